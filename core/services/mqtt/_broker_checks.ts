/** What the site's client must do with any broker, as steps that the tests of each broker run. */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import { Secret } from "../../base/secret.ts";
import { connectMqtt, type ConnectOptions, type MqttMessage } from "./mod.ts";
import type { RealBroker } from "./_real_broker.ts";
import { log } from "./_test_broker.ts";
import type { TestPki } from "./_test_pki.ts";

export type Protocol = "mqtt" | "mqtts" | "ws" | "wss";
/** The password of the user "site". */
export const password = "of the site";

/** What a client says of its state, for a test that waits. */
export function stateWatch() {
  const heard: [state: string, detail: string][] = [];
  let wake = () => {};
  return {
    onState(state: string, detail: string) {
      heard.push([state, detail]);
      wake();
    },
    /** Resolves with the detail when the state is, or has been since the last call. */
    async until(wanted: string, detail = /./): Promise<string> {
      for (;;) {
        for (let next = heard.shift(); next !== undefined; next = heard.shift()) {
          if (next[0] === wanted && detail.test(next[1])) return next[1];
        }
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
  };
}

/** How a client reaches the broker; the certificates are for localhost. */
export function optionsFor(broker: RealBroker, protocol: Protocol, pki?: TestPki): ConnectOptions {
  const isSecure = protocol === "mqtts" || protocol === "wss";
  const path = protocol.startsWith("ws") ? "/mqtt" : "";
  return {
    url: `${protocol}://localhost:${broker.ports[protocol]}${path}`,
    clientId: "edgeward-site",
    username: "site",
    password: new Secret(password),
    log,
    ...(isSecure && pki !== undefined && { tls: { caFile: pki.ca } }),
  };
}

/** Publishes and subscribes, through a kill -9 of the broker and its return. */
export async function survivesRestart(broker: RealBroker, options: ConnectOptions): Promise<void> {
  const states = stateWatch();
  let onMessage = (_message: MqttMessage) => {};
  const next = () => new Promise<MqttMessage>((resolve) => onMessage = resolve);
  await using client = await connectMqtt({ ...options, onState: states.onState });
  await states.until("up");
  const end = await client.subscribe("edgeward/+/up/+", (message) => onMessage(message));
  await client.subscribe("edgeward/#", () => {});

  const payload = new Uint8Array(100_000).map((_, i) => i);
  let received = next();
  await client.publish("edgeward/meter/up/m1", payload);
  assert.deepEqual(await received, { topic: "edgeward/meter/up/m1", payload, retained: false });

  await broker.kill();
  await states.until("down");
  await assert.rejects(client.publish("a", utf8("")), { code: "mqtt_down" });
  await broker.restart();
  await states.until("up");
  received = next();
  await client.publish("edgeward/meter/up/x", utf8("again"));
  assert.deepEqual((await received).payload, utf8("again"));
  await end();
}

/** Stays down and says why. */
export async function isDown(options: ConnectOptions, why: RegExp): Promise<void> {
  const states = stateWatch();
  await using client = await connectMqtt({ ...options, onState: states.onState });
  assert.equal(client.connected, false);
  assert.match(await states.until("down"), why);
}
