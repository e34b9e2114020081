/** The site's client with Mosquitto, over every way to reach it. */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import { isDown, optionsFor, password, stateWatch, survivesRestart } from "./_broker_checks.ts";
import { parseBrokerUrl } from "./_broker_url.ts";
import { ReconnectingClient } from "./_client.ts";
import { type BrokerFacts, probeBroker } from "./_probe.ts";
import { publishPacket, RawPeer } from "./_raw_peer.ts";
import { missing, mosquitto, protocols } from "./_real_broker.ts";
import { log } from "./_test_broker.ts";
import { makePki } from "./_test_pki.ts";
import { connectMqtt, openMqtt } from "./mod.ts";

const ignore = missing("mosquitto", "mosquitto_passwd", "openssl");

/** Each version of Deno has its own words. */
const untrusted = /certificate/;

async function temporaryFolder() {
  const path = await Deno.makeTempDir({ prefix: "edgeward-mosquitto-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test({
  name: "the client talks to Mosquitto and survives its end, over TCP, TLS and WebSocket",
  ignore,
  async fn(t) {
    await using folder = await temporaryFolder();
    const pki = await makePki(folder.path);
    await using broker = await mosquitto(folder.path, { pki, password });
    for (const protocol of protocols) {
      await t.step(protocol, () => survivesRestart(broker, optionsFor(broker, protocol, pki)));
    }
  },
});

Deno.test({
  name: "Mosquitto's refusals are reported with their reason",
  ignore,
  async fn(t) {
    await using folder = await temporaryFolder();
    const pki = await makePki(folder.path);
    await using broker = await mosquitto(folder.path, { pki, password });
    for (const protocol of protocols) {
      const options = optionsFor(broker, protocol, pki);
      await t.step(`${protocol}: no password`, async () => {
        const { username: _u, password: _p, ...anonymous } = options;
        await isDown(anonymous, /Not authorized/);
      });
      if (options.tls === undefined) continue;
      await t.step(`${protocol}: an unknown CA`, async () => {
        const { tls: _tls, ...without } = options;
        await isDown(without, untrusted);
        await isDown({ ...options, tls: { caFile: pki.stranger } }, untrusted);
      });
      await t.step(`${protocol}: another name`, async () => {
        await isDown(
          { ...options, url: options.url.replace("localhost", "127.0.0.1") },
          untrusted,
        );
      });
    }
  },
});

Deno.test({
  name: "Mosquitto gets our certificate when it asks for one",
  ignore,
  async fn(t) {
    await using folder = await temporaryFolder();
    const pki = await makePki(folder.path);
    await using broker = await mosquitto(folder.path, { pki, password, isMutual: true });
    for (const protocol of ["mqtts", "wss"] as const) {
      await t.step(protocol, async () => {
        const options = optionsFor(broker, protocol, pki);
        const { cert: certFile, key: keyFile } = pki.client;
        const tls = { caFile: pki.ca, certFile, keyFile };
        await using client = await connectMqtt({ ...options, tls });
        assert.equal(client.connected, true);
        await isDown(options, /./);
      });
    }
  },
});

Deno.test({
  name: "two clients with one id notice each other at Mosquitto and slow down",
  ignore,
  async fn() {
    await using folder = await temporaryFolder();
    await using broker = await mosquitto(folder.path);
    const waits: [n: number, most: number | undefined][] = [];
    const watches = [stateWatch(), stateWatch()];
    await using stack = new AsyncDisposableStack();
    for (const { onState } of watches) {
      stack.use(
        new ReconnectingClient({
          url: parseBrokerUrl(`mqtt://127.0.0.1:${broker.ports.mqtt}`),
          ...{ clientId: "edgeward-site", log, onState },
          wait(n, most) {
            waits.push([n, most]);
            return 20;
          },
        }),
      );
    }
    const found = watches.map(({ until }) => until("down", /another client/));
    assert.equal(
      await Promise.race(found),
      'the broker closed the connection; another client seems to use our client id "edgeward-site"',
    );
    await Promise.all(found);
    // Its longest wait is minutes then.
    assert.ok(waits.some(([n, most]) => n >= 2 && most === 60_000));
  },
});

Deno.test({
  name: "a retained message of Mosquitto says that it is one, each time, and is complained of once",
  ignore,
  async fn() {
    await using folder = await temporaryFolder();
    await using broker = await mosquitto(folder.path);
    using sender = await RawPeer.login(broker.ports.mqtt, "sender");
    await sender.send(publishPacket("edgeward/meter/up/x", utf8("old"), { id: 1, retain: true }));
    assert.equal((await sender.receive())?.type, 4);
    const complaints: string[] = [];
    await using client = await connectMqtt({
      url: `mqtt://127.0.0.1:${broker.ports.mqtt}`,
      ...{ clientId: "edgeward-site", log, onRetained: (topic) => complaints.push(topic) },
    });
    for (let i = 0; i < 2; i++) {
      const heard: [string, boolean][] = [];
      const both = Promise.withResolvers<void>();
      const end = await client.subscribe("edgeward/+/up/+", ({ payload, retained }) => {
        heard.push([new TextDecoder().decode(payload), retained]);
        if (heard.length === 2) both.resolve();
      });
      await client.publish("edgeward/meter/up/x", utf8("new"));
      await both.promise;
      await end();
      assert.deepEqual(heard, [["old", true], ["new", false]]);
    }
    assert.deepEqual(complaints, ["edgeward/meter/up/x"]);
  },
});

Deno.test({
  name: "the probe sees what Mosquitto does and does not let through",
  ignore,
  async fn(t) {
    await using folder = await temporaryFolder();
    const acl = `${folder.path}/acl`;
    const rules = (...lines: string[]) => Deno.writeTextFile(acl, lines.join("\n"));
    const all = { wildcards: true, qos: 1, largest: 65_553, retains: true, forgets: true };
    const cases: [name: string, lines: string[], facts: Partial<BrokerFacts>][] = [
      ["everything", [], all],
      ["a limit on messages", ["message_size_limit 20000"], { ...all, largest: 8_192 }],
      ["a limit on packets", ["max_packet_size 20000"], { ...all, largest: 8_192 }],
      ["nothing retained", ["retain_available false"], { ...all, retains: null, forgets: null }],
      ["no publishing", [`acl_file ${acl}`], { largest: 0 }],
    ];
    await rules("topic read edgeward/#");
    for (const [name, lines, expected] of cases) {
      await t.step(name, async () => {
        await using broker = await mosquitto(folder.path, { lines });
        const facts = await probeBroker({
          url: parseBrokerUrl(`mqtt://127.0.0.1:${broker.ports.mqtt}`),
          ...{ clientId: "edgeward-site", timeout: 3_000, signal: new AbortController().signal },
        });
        assert.deepEqual({ ...facts, ...expected }, facts);
        const isKnown = facts.retains !== null;
        assert.match(facts.name ?? "none", isKnown ? /^mosquitto version \d/ : /^none$/);
      });
    }
  },
});

Deno.test({
  name: "what Mosquitto falls short of is reported with the state, until it is mended",
  ignore,
  async fn() {
    await using folder = await temporaryFolder();
    await using broker = await mosquitto(folder.path, { lines: ["message_size_limit 20000"] });
    const states = stateWatch();
    const url = `mqtt://127.0.0.1:${broker.ports.mqtt}`;
    await using mqtt = await openMqtt({
      ...{ url, clientId: "edgeward-site", log, onState: states.onState, probeTimeout: 3_000 },
      listen: { hostname: "127.0.0.1", port: 0 },
    });
    assert.equal(
      await states.until("impaired"),
      `connected to ${url}; a message of 65553 bytes does not arrive`,
    );
    const largest = () => mqtt.client.broker.facts?.largest;
    assert.equal(largest(), 8_192);

    const file = `${folder.path}/mosquitto-${broker.ports.mqtt}.conf`;
    const config = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, config.replace(/^message_size_limit.*$/m, ""));
    await broker.kill();
    await broker.restart();
    await states.until("up");
    while (largest() !== 65_553) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  },
});
