/**
 * Sessions with calls both ways over brokers that we did not write: they are Mosquitto's and NATS' ways
 * of delivering that count here, and that a broker which starts over ends no session.
 */
import assert from "node:assert/strict";
import { type Id, parseId } from "../../base/id.ts";
import { decodeRpc, encodeRpc } from "../../wire/json_rpc.ts";
import { nativeSuite } from "../crypto_native.ts";
import { pskFromCode } from "../../trust/session/handshake.ts";
import { MetricsRegistry } from "../metrics.ts";
import type { Admission, Peer } from "../peers/mod.ts";
import { dial, sessionsOf } from "../sessions/mod.ts";
import { connectMqtt } from "./mod.ts";
import { missing, mosquitto, nats, type RealBroker } from "./_real_broker.ts";
import { publishPacket, RawPeer } from "./_raw_peer.ts";
import { log } from "./_test_broker.ts";

const suite = nativeSuite();
const site = parseId("site-1");
const device = parseId("d-1");

/** One device that comes with its code. */
function admission(code: Uint8Array): Admission {
  let peer: Peer = {
    ...{ kind: "device", id: device, state: "enrolled", noiseKey: null, signKey: null },
    psk: pskFromCode(suite, code, { site, device }),
    codeExpires: Number.MAX_SAFE_INTEGER,
  } as Peer;
  return {
    find: (_kind, id) => Promise.resolve(id === device ? peer : null),
    bind: (_peer, keys) => Promise.resolve(peer = { ...peer, ...keys, state: "approved" }),
    apply: () => Promise.resolve("pending"),
    watch: () => () => {},
  };
}

/** A site and a device at a broker; each answers with what it was asked. */
async function ends(broker: RealBroker) {
  await using stack = new AsyncDisposableStack();
  const url = `mqtt://127.0.0.1:${broker.ports.mqtt}`;
  const mqtt = stack.use(await connectMqtt({ url, clientId: "edgeward-site", log }));
  const [staticKey, code] = [suite.x25519.keyPair(), suite.randomBytes(16)];
  const signKey = suite.ed25519.signer().publicKey;
  const registry = new MetricsRegistry();
  const runs = new Map<string, number>();
  const answer = (body: Uint8Array) => {
    const { id } = decodeRpc(body);
    runs.set(`${id}`, (runs.get(`${id}`) ?? 0) + 1);
    return Promise.resolve(encodeRpc({ kind: "result", id, result: `${id}` }));
  };
  const sessions = sessionsOf({
    ...{ suite, site, staticKey, signKey, peers: admission(code), clock: Date.now, log, mqtt },
    ...{ runOnce: { run: (_call, effect) => effect() }, metrics: registry.scoped("test") },
    defer: (undo) => stack.defer(undo),
  });
  const heard: Id[] = [];
  const served = await sessions.serve("rpc", answer, { onActivity: (id) => void heard.push(id) });
  const channel = stack.use(dial(
    { site, url, noiseKey: staticKey.publicKey, code },
    {
      ...{ suite, device, purpose: "rpc", log, signKey, onCall: answer },
      staticKey: suite.x25519.keyPair(),
    },
  ));
  const kept = stack.move();
  let last = 0;
  const call = async (make: (body: Uint8Array) => Promise<Uint8Array>) => {
    const id = `c-${++last}`;
    const response = decodeRpc(await make(encodeRpc({ kind: "request", id, method: "echo" })));
    assert.deepEqual({ ...response }, { kind: "result", id, result: id });
  };
  return {
    ...{ runs, registry, mqtt, served },
    fromDevice: () => call((body) => channel.call(body)),
    fromSite: () => call((body) => served.call(device, body)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

for (const [name, start] of [["mosquitto", mosquitto], ["nats-server", nats]] as const) {
  Deno.test({
    name: `rpc runs both ways over ${name}, and outlives its end`,
    ignore: missing(name),
    async fn() {
      const path = await Deno.makeTempDir({ prefix: "edgeward-rpc-" });
      try {
        await using broker = await start(path);
        await using both = await ends(broker);
        await both.fromDevice();
        assert.ok(both.served.isOpen(device));
        for (let i = 0; i < 3; i++) {
          await Promise.all(
            Array.from({ length: 8 }, () => [both.fromDevice(), both.fromSite()]).flat(),
          );
        }
        await broker.kill();
        // whoever calls now has to wait until it is back
        const waiting = [both.fromDevice(), both.fromSite()];
        await broker.restart();
        await Promise.all(waiting);
        assert.equal(both.runs.size, 51);
        assert.equal(Math.max(...both.runs.values()), 1);
      } finally {
        await Deno.remove(path, { recursive: true });
      }
    },
  });
}

Deno.test({
  name: "a retained message of Mosquitto reaches no session, and is counted",
  ignore: missing("mosquitto"),
  async fn() {
    const path = await Deno.makeTempDir({ prefix: "edgeward-rpc-" });
    try {
      await using broker = await mosquitto(path);
      using sender = await RawPeer.login(broker.ports.mqtt, "sender");
      const payload = new TextEncoder().encode('{"device_id":"x"}');
      await sender.send(publishPacket("jrpc/gateway/rx", payload, { id: 1, retain: true }));
      assert.equal((await sender.receive())?.type, 4);
      await using both = await ends(broker);
      await both.fromDevice();
      const refused = /edgeward_session_refused_total{.*reason="retained".*} 1/;
      assert.match(await both.registry.text(), refused);
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  },
});
