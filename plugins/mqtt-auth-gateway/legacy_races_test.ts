/**
 * Profile v1 between two turns of the disk: what is under way while something is decided about its device
 * comes neither before nor behind that.
 */
import assert from "node:assert/strict";
import { utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { Secret } from "../../core/base/secret.ts";
import { type Peer } from "../../core/services/peers/mod.ts";
import { pskOfCode } from "../../core/trust/legacy/connect.ts";
import { DeviceSide } from "../../core/trust/legacy/device_side.ts";
import { zeroPsk } from "../../core/trust/session/handshake.ts";
import { LegacyGateway } from "./legacy.ts";
import { log, suite } from "./_test_gateway.ts";

const id = parseId("esp-1");
const code = utf8("sixteen bytes of");

/** A disk that does what it is told in order, and stands still when it is told to. */
class Disk {
  readonly kept = new Map<string, Uint8Array>([[`psk/${id}`, code]]);
  #last: Promise<unknown> = Promise.resolve();

  write(job: () => void): Promise<void> {
    const done = this.#last.then(job);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Nothing is written until the returned function is called. */
  stop(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = this.#last.then(() => promise);
    return resolve;
  }
}

/** A gateway on such a disk, and a device that has its keys and has used them. */
async function openEnds() {
  const disk = new Disk();
  const get = (name: string) => {
    const bytes = disk.kept.get(`${name}/${id}`);
    return Promise.resolve(bytes === undefined ? null : new Secret(bytes.slice()));
  };
  const keyPair = suite.x25519.keyPair();
  const device = new DeviceSide(suite, {
    ...{ device: id, keyPair, clock: () => 0 },
    psk: pskOfCode(suite, code),
  });
  const peer: Peer = {
    ...{ kind: "device", id, state: "approved", noiseKey: keyPair.publicKey, signKey: null },
    ...{ psk: zeroPsk, codeExpires: 0 },
  };
  const [dropped, calls]: [string[], string[]] = [[], []];
  const open = () =>
    new LegacyGateway({
      ...{ suite, log, once: [], clock: () => 0 },
      store: {
        has: () => disk.kept.has(`psk/${id}`),
        psk: () => get("psk"),
        keys: () => get("keys"),
        putKeys: (_id, state) => {
          const bytes = state.reveal().slice();
          return disk.write(() => void disk.kept.set(`keys/${id}`, bytes));
        },
        forget: () => disk.write(() => void disk.kept.delete(`keys/${id}`)),
      },
      peers: { find: () => Promise.resolve(peer), apply: () => assert.fail("it is approved") },
      registry: { heard() {}, isPinned: () => false },
      dispatch({ method }) {
        calls.push(method);
        return Promise.resolve(null);
      },
      publish(_topic, payload) {
        const isApprove = new TextDecoder().decode(payload).startsWith('{"status"');
        if (isApprove) device.approve(payload).stored();
        return Promise.resolve();
      },
      drop: (reason) => void dropped.push(reason),
      alarm: () => assert.fail("it has never spoken v2"),
    });
  const gateway = open();
  const sealed = (method: string) => device.request({ kind: "request", id: method, method });
  await gateway.connect(device.connect());
  await gateway.message(sealed("first"));
  assert.deepEqual([dropped, calls], [[], ["first"]]);
  return { disk, gateway, restarted: open, device, sealed, dropped, calls };
}

Deno.test("keys that are forgotten do not come back with a message that is under way", async () => {
  const { disk, gateway, sealed, dropped, calls } = await openEnds();
  const goOn = disk.stop();
  const before = gateway.message(sealed("before"));
  await new Promise((resolve) => setTimeout(resolve)); // it waits for the disk
  const waiting = gateway.message(sealed("waiting"));
  const renewed = gateway.renew(id, () => disk.write(() => void disk.kept.delete(`keys/${id}`)));
  const meanwhile = gateway.message(sealed("meanwhile"));
  goOn();
  await Promise.all([before, waiting, renewed, meanwhile]);
  await gateway.message(sealed("after"));
  // what was on its way to the disk before that is done, and its answer is worth nothing
  assert.deepEqual(calls, ["first", "before"]);
  assert.deepEqual(dropped.sort(), ["busy", "no_keys", "no_keys", "no_keys"]);
  assert.deepEqual([...disk.kept.keys()], [`psk/${id}`]);
});

Deno.test("what is stored last holds all that was stored before", async () => {
  const { disk, gateway, restarted, device, sealed, dropped, calls } = await openEnds();
  const goOn = disk.stop();
  const first = gateway.message(sealed("one"));
  await new Promise((resolve) => setTimeout(resolve)); // it waits for the disk
  const connected = gateway.connect(device.connect());
  await new Promise((resolve) => setTimeout(resolve));
  // it is looked at before the new keys are made, and stored behind them
  const second = gateway.message(sealed("two"));
  goOn();
  await Promise.all([first, connected, second]);
  await restarted().message(sealed("three"));
  assert.deepEqual([dropped, calls], [[], ["first", "one", "two", "three"]]);
});

Deno.test("keys that could not be forgotten are as good as they were", async () => {
  const { disk, gateway, sealed, calls } = await openEnds();
  const failing = gateway.renew(id, () => disk.write(() => assert.fail("the disk is full")));
  await assert.rejects(failing, /full/);
  await gateway.message(sealed("after"));
  assert.deepEqual(calls, ["first", "after"]);
});

Deno.test("a device whose stored keys cannot be read connects again, and is served", async () => {
  const { disk, gateway, device, sealed, dropped, calls } = await openEnds();
  await gateway.renew(id, () => disk.write(() => void disk.kept.set(`keys/${id}`, utf8("?"))));
  await gateway.message(sealed("unreadable"));
  assert.deepEqual(dropped, ["no_keys"]);
  await gateway.connect(device.connect());
  await gateway.message(sealed("after"));
  assert.deepEqual(calls, ["first", "after"]);
});
