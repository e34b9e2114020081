/**
 * The client against Mosquitto, a broker that we did not write, over TCP and WebSocket. Skipped where
 * Mosquitto is not installed, except in CI, where that is a failure.
 */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import type { Log } from "../logging.ts";
import { connectMqtt, type MqttMessage } from "./mod.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const hostname = "127.0.0.1";

function installed(): boolean {
  try {
    return new Deno.Command("mosquitto", { args: ["-h"] }).outputSync().stdout.length > 0;
  } catch {
    return false;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.port;
}

/** Mosquitto on the given ports until disposed; it keeps nothing. */
async function mosquitto(ports: { tcp: number; web: number }): Promise<AsyncDisposable> {
  const config = await Deno.makeTempFile({ suffix: ".conf" });
  const lines = [
    "persistence false",
    "allow_anonymous true",
    "user root",
    `listener ${ports.tcp} ${hostname}`,
    `listener ${ports.web} ${hostname}`,
    "protocol websockets",
  ];
  await Deno.writeTextFile(config, lines.join("\n"));
  const command = new Deno.Command("mosquitto", {
    args: ["-c", config],
    stdout: "null",
    stderr: "null",
  });
  const child = command.spawn();
  const stop = async () => {
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(config);
  };
  let stopping: Promise<void> | undefined;
  return { [Symbol.asyncDispose]: () => stopping ??= stop() };
}

Deno.test({
  name: "the client talks to Mosquitto and survives its restart",
  ignore: !installed() && Deno.env.get("CI") !== "true",
  async fn(t) {
    const ports = { tcp: freePort(), web: freePort() };
    const urls = {
      mqtt: `mqtt://${hostname}:${ports.tcp}`,
      ws: `ws://${hostname}:${ports.web}/mqtt`,
    };
    for (const [protocol, url] of Object.entries(urls)) {
      await t.step(protocol, async () => {
        let onState = (_state: string) => {};
        const state = (wanted: string) =>
          new Promise<void>((resolve) => onState = (is) => is === wanted && resolve());
        let onMessage = (_message: MqttMessage) => {};
        const next = () => new Promise<MqttMessage>((resolve) => onMessage = resolve);

        await using first = await mosquitto(ports);
        await using client = await connectMqtt({
          url,
          clientId: "edgeward-site",
          log,
          onState: (is) => onState(is),
        });
        if (!client.connected) await state("up");
        const end = await client.subscribe("edgeward/+/up/+", (message) => onMessage(message));
        await client.subscribe("edgeward/#", () => {});

        const payload = new Uint8Array(100_000).map((_, i) => i);
        let received = next();
        await client.publish("edgeward/meter/up/m1", payload);
        assert.deepEqual(await received, {
          topic: "edgeward/meter/up/m1",
          payload,
          retained: false,
        });

        const down = state("down");
        await first[Symbol.asyncDispose]();
        await down;
        await assert.rejects(client.publish("a", utf8("")), { code: "mqtt_down" });
        const up = state("up");
        await using _second = await mosquitto(ports);
        await up;
        received = next();
        await client.publish("edgeward/rpc/up/x", utf8("again"), { qos: 0 });
        assert.deepEqual((await received).payload, utf8("again"));
        await end();
        await client[Symbol.asyncDispose]();
      });
    }
  },
});
