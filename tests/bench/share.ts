/**
 * What a share gateway's answer costs: sealed frames in, answers out, every decision in the log and on
 * disk before its answer. The floor evaluates the same inputs with the primitive alone. And how long a
 * device waits for its volume: three gateways as processes of their own, two of which must answer.
 */
import { join } from "node:path";
import { ristretto255_hasher, ristretto255_oprf } from "@noble/curves/ed25519.js";
import { concat, utf8 } from "../../core/base/bytes.ts";
import { deal, publicShare } from "../../core/trust/share/dealing.ts";
import { decodeSignedRoster, type Roster } from "../../core/trust/share/roster.ts";
import { evaluate, volumeInput, voprfCombiner } from "../../core/trust/share/voprf.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { decodeRosters, decodeUnlockReply, encodeUnlockCall } from "../../core/wire/unlock.ts";
import { DeviceHome } from "../../edge/device/home.ts";
import { unlock } from "../../edge/device/unlock.ts";
import shareGateway from "../../plugins/share-gateway/mod.ts";
import { Gateways } from "../e2e/gateways.ts";
import {
  type Bench,
  type BenchOptions,
  type Figure,
  mediansOf,
  percentile,
  rateOf,
} from "./figure.ts";
import { readAll, sendAll } from "./_load.ts";
import { type BenchPeer, openPeer } from "./_peer.ts";
import { openRoleSite, type RoleSite } from "./_role_site.ts";

export const shareBenches: Readonly<Record<string, Bench>> = {
  "share.answer.proved": answers("share.answer.proved", { proof: true, frames: 10 }),
  "share.answer.plain": answers("share.answer.plain", { proof: false, frames: 40 }),
  "share.unlock_p99_ms": unlocks,
};

/** As after a power cut: many devices, each with one request at a time, each from another start. */
const deviceCount = 64;
/** Nobody is kept waiting by a limit: the limits are not what is measured. */
const table = { rate: "999999/s", rate_all: "999999/s" };

function answers(name: string, work: { proof: boolean; frames: number }): Bench {
  return async ({ quick, note }): Promise<Figure> => {
    const frames = Math.ceil(work.frames / (quick ? 10 : 1));
    await using site = await openRoleSite(shareGateway, table);
    await found(site);
    const devices: BenchPeer[] = [];
    for (let i = 1; i <= deviceCount; i++) {
      devices.push(
        await openPeer(site, { kind: "device", purpose: "unlock", name: `kiosk-${i}` }),
      );
    }
    const { suite } = site;
    const group = await groupKey(site, devices[0]!);
    const volume = suite.randomBytes(16);
    let counter = 0;
    const call = () =>
      encodeUnlockCall({
        ...{ call: "unlock", scheme: "voprf", volume, group, epoch: 1, proof: work.proof },
        ...{ boot: { counter: ++counter, id: suite.randomBytes(16) }, seal: false },
      });
    const primitive = primitiveOf(devices, { volume, proof: work.proof });
    const medians = await mediansOf(quick ? 2 : 7, async () => {
      const queues = devices.map((device) =>
        Array.from({ length: frames }, () => device.prepare(call()))
      );
      const count = deviceCount * frames;
      const floor = await rateOf(count, () => primitive(frames));
      let replies: Awaited<ReturnType<typeof sendAll>> = [];
      const value = await rateOf(count, async () => {
        replies = await sendAll(site.responderOf("unlock"), queues, 1);
      });
      readAll(devices, replies, (body) => {
        const reply = decodeUnlockReply(body);
        if ("denied" in reply) throw new Error(`An answer was denied: ${reply.denied}`);
      });
      note(`${Math.round(value)} answers/s, floor ${Math.round(floor)}`);
      return { floor, value };
    });
    return { name, unit: "answers/s", ...medians };
  };
}

/** Makes the gateway a group of its own. */
async function found({ routes }: RoleSite): Promise<void> {
  const plan = JSON.stringify({ group: "bench", threshold: 1 });
  for (const [path, body] of [["/group/plan", plan], ["/group/deal", null]] as const) {
    const response = await routes.request(path, { method: "POST", body });
    if (!response.ok) throw new Error(`Cannot found a group: ${await response.text()}`);
  }
  for (;;) {
    const { group } = await (await routes.request("/status")).json();
    if (group !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The key of the gateway's group, as a device learns it. */
async function groupKey(site: RoleSite, device: BenchPeer): Promise<Uint8Array> {
  const { frame } = device.prepare(encodeUnlockCall({ call: "rosters", after: 0 }));
  const [roster] = decodeRosters(
    device.read(await site.responderOf("unlock").receive(frame)),
  );
  return decodeSignedRoster(roster!).roster.commitments[0]!;
}

/** The bare evaluation of RFC 9497 for every device's volume, with a share of its own. */
function primitiveOf(
  devices: readonly BenchPeer[],
  { volume, proof }: { volume: Uint8Array; proof: boolean },
): (times: number) => void {
  const suite = nativeSuite();
  const { shares, commitments } = deal(suite, { k: 1, n: 1 });
  const [share, key] = [shares[0]!, publicShare(commitments, 1)];
  const tag = concat(
    utf8("HashToGroup-OPRFV1-"),
    Uint8Array.of(1),
    utf8("-ristretto255-SHA512"),
  );
  const { voprf, oprf } = ristretto255_oprf;
  return (times) => {
    for (const { id } of devices) {
      const input = volumeInput(id, volume);
      for (let i = 0; i < times; i++) {
        const element = ristretto255_hasher.hashToCurve(input, { DST: tag }).toBytes();
        if (proof) voprf.blindEvaluate(share, key, element);
        else oprf.blindEvaluate(share, element);
      }
    }
  };
}

/** The 99th percentile over many openings of one volume. */
async function unlocks({ quick, note }: BenchOptions): Promise<Figure> {
  const times = quick ? 10 : 300;
  const folder = await Deno.makeTempDir({ prefix: "edgeward-bench-" });
  try {
    await using gateways = await Gateways.start(folder, { n: 3 });
    await gateways.deal(2);
    const device = await gateways.device("kiosk-1");
    const file = await device.seal("payload", new Uint8Array(1_000));
    const suite = nativeSuite();
    const home = DeviceHome.open(suite, join(folder, "kiosk-1"));
    const floors: number[] = [], values: number[] = [];
    const primitive = criticalPath();
    for (let i = 0; i < times + 20; i++) {
      const began = performance.now();
      const opened = await unlock(home, { suite, file });
      const value = performance.now() - began;
      opened.report("MOUNT_OK");
      await opened.settle();
      await opened[Symbol.asyncDispose]();
      const floor = await primitive();
      if (i < 20) continue; // caches and compilers
      values.push(value);
      floors.push(floor);
    }
    const [value, floor] = [percentile(values, 0.99), percentile(floors, 0.99)];
    note(`median ${percentile(values, 0.5).toFixed(1)} ms of ${times}`);
    return { name: "share.unlock_p99_ms", value, unit: "ms", floor, ratio: value / floor };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What cannot be done at the same time: one gateway's proof, two checks, and combining them. */
function criticalPath(): () => Promise<number> {
  const suite = nativeSuite();
  const { shares, commitments } = deal(suite, { k: 2, n: 3 });
  const keys = [1, 2, 3].map((index) => publicShare(commitments, index));
  const input = new Uint8Array(40);
  const members = [1, 2, 3].map((index) => ({ index }));
  const roster = { k: 2, n: 3, members, commitments } as unknown as Roster;
  const answer = (i: number) =>
    evaluate(suite, { share: shares[i]!, publicShare: keys[i]!, input, proof: true });
  const second = answer(1);
  return async () => {
    const began = performance.now();
    const combiner = voprfCombiner(suite, { roster, input, proofs: "required" });
    combiner.take(1, answer(0));
    combiner.take(2, second);
    await combiner.result();
    return performance.now() - began;
  };
}
