/**
 * The site's client with nats-server, whose MQTT differs most from the others: no QoS 2, sessions kept
 * in JetStream. 2.9 has one listener for MQTT and one for WebSocket, each plain or with TLS.
 */
import assert from "node:assert/strict";
import { isDown, optionsFor, password, stateWatch, survivesRestart } from "./_broker_checks.ts";
import { parseBrokerUrl } from "./_broker_url.ts";
import { ReconnectingClient } from "./_client.ts";
import { probeBroker } from "./_probe.ts";
import { missing, nats } from "./_real_broker.ts";
import { log } from "./_test_broker.ts";
import { makePki } from "./_test_pki.ts";

const ignore = missing("nats-server", "openssl");
/** Each version of Deno has its own words. */
const untrusted = /certificate/;

async function temporaryFolder() {
  const path = await Deno.makeTempDir({ prefix: "edgeward-nats-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test({
  name: "the client talks to NATS and survives its end, over TCP and WebSocket",
  ignore,
  async fn(t) {
    await using folder = await temporaryFolder();
    await using broker = await nats(folder.path, { password });
    for (const protocol of ["mqtt", "ws"] as const) {
      const options = optionsFor(broker, protocol);
      await t.step(protocol, () => survivesRestart(broker, options));
      await t.step(`${protocol}: no password`, async () => {
        const { username: _u, password: _p, ...anonymous } = options;
        await isDown(anonymous, /Not authorized/);
      });
    }
  },
});

Deno.test({
  name: "the client talks to NATS and survives its end, over TLS",
  ignore,
  async fn(t) {
    await using folder = await temporaryFolder();
    const pki = await makePki(folder.path);
    await using broker = await nats(folder.path, { pki, password });
    for (const protocol of ["mqtts", "wss"] as const) {
      const options = optionsFor(broker, protocol, pki);
      await t.step(protocol, () => survivesRestart(broker, options));
      await t.step(`${protocol}: an unknown CA`, async () => {
        await isDown({ ...options, tls: { caFile: pki.stranger } }, untrusted);
      });
    }
  },
});

Deno.test({
  name: "two clients with one id notice each other at NATS and slow down",
  ignore,
  async fn() {
    await using folder = await temporaryFolder();
    await using broker = await nats(folder.path);
    const watches = [stateWatch(), stateWatch()];
    await using stack = new AsyncDisposableStack();
    for (const { onState } of watches) {
      stack.use(
        new ReconnectingClient({
          url: parseBrokerUrl(`mqtt://127.0.0.1:${broker.ports.mqtt}`),
          ...{ clientId: "edgeward-site", log, onState, wait: () => 20 },
        }),
      );
    }
    await Promise.all(watches.map(({ until }) => until("down", /another client/)));
  },
});

Deno.test({
  name: "the probe finds NATS to do what is needed",
  ignore,
  async fn() {
    await using folder = await temporaryFolder();
    await using broker = await nats(folder.path);
    const facts = await probeBroker({
      url: parseBrokerUrl(`mqtt://127.0.0.1:${broker.ports.mqtt}`),
      ...{ clientId: "edgeward-site", signal: new AbortController().signal },
    });
    assert.deepEqual(facts, {
      ...{ name: null, wildcards: true, qos: 1, largest: 65_553, retains: true, forgets: true },
    });
  },
});
