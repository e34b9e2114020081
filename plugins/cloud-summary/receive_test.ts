/** What a fog's calls make the site say: events, each once, and answers that judge each statement. */
import assert from "node:assert/strict";
import type { Id } from "../../core/base/id.ts";
import type { Host } from "../../core/host/plugin.ts";
import { auditOf } from "../../core/services/audit.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { VerificationPool } from "../../core/services/verification.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import { splitSign1 } from "../../core/trust/cose_sign1.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { decodeSummary, encodeSummary, summaryType } from "../../core/wire/summary.ts";
import {
  decodeHead,
  decodeKnownRegisters,
  decodeSummariesAnswer,
  encodeUplinkCall,
  type Link,
  maxRegisters,
  type UplinkCall,
} from "../../core/wire/uplink.ts";
import { type Change, fog, link, register } from "./_links.ts";
import { withDatabase } from "./_temporary_store.ts";
import { receiveUplink } from "./receive.ts";
import type { SignedSummary } from "./store.ts";
import { libsqlStore } from "./store_libsql.ts";

const suite = nativeSuite();
const signer = suite.ed25519.signer();
const peer = { id: fog, signKey: signer.publicKey } as Peer;

interface Cloud {
  call(call: UplinkCall): Promise<Uint8Array>;
  /** Those since the last question, without those of every stored summary. */
  news(): unknown[];
}

function withCloud(use: (cloud: Cloud) => Promise<void>): Promise<void> {
  return withDatabase(async (db) => {
    const events: unknown[] = [];
    const silent = { error() {}, warn() {}, info() {}, debug() {} };
    const host = {
      suite,
      verification: new VerificationPool({ log: silent, threads: 0 }),
      clock: () => 77,
      log: silent,
      metrics: { counter: () => ({ add() {} }) },
      bus: {
        emit: ({ type, severity, subject, detail }: Parameters<Host["bus"]["emit"]>[0]) => {
          if (type !== "cloud.summary_stored") events.push([type, severity, subject, detail]);
        },
      },
      audit: auditOf("cloud-summary", () => 77),
    } as unknown as Host;
    const read = (statement: Uint8Array) => decodeSummary(splitSign1(statement)!.payload);
    const handler = receiveUplink(host, libsqlStore(db, { read, audit: host.audit }));
    await use({
      call: async (call) => (await handler(encodeUplinkCall(call), peer))!,
      news: () => events.splice(0),
    });
  });
}

/** A link that the fog has signed. */
function signed(change: Change, before?: SignedSummary): SignedSummary {
  const { summary } = link(change, before);
  const statement = signStatement(suite, signer, summaryType, encodeSummary(summary));
  return { summary, statement, hash: suite.sha256(statement) };
}

function signedChain(...changes: Change[]): SignedSummary[] {
  const links: SignedSummary[] = [];
  for (const change of changes) links.push(signed(change, links.at(-1)));
  return links;
}

const placeOf = ({ summary: { epoch, seq }, hash }: SignedSummary): Link => ({ epoch, seq, hash });

async function send(cloud: Cloud, links: readonly { statement: Uint8Array }[]) {
  const statements = links.map(({ statement }) => statement);
  return decodeSummariesAnswer(await cloud.call({ call: "summaries", statements }));
}

Deno.test("a statement that is refused does not stop the others of its call", async () => {
  await withCloud(async (cloud) => {
    const links = signedChain({ at: 1 }, { at: 2 }, { at: 3 });
    const forged = links[1]!.statement.slice();
    forged[forged.length - 1]! ^= 1;
    const { head, refused } = await send(cloud, [
      ...[{ statement: new Uint8Array() }, links[0]!, { statement: forged }, ...links.slice(1)],
    ]);
    assert.deepEqual(head, { ...placeOf(links[2]!), t: 77 });
    assert.deepEqual(refused, [
      { index: 0, reason: "malformed" },
      { index: 2, reason: "forged" },
    ]);
  });
});

Deno.test("a contradiction is an alarm, once", async () => {
  await withCloud(async (cloud) => {
    await send(cloud, signedChain({ at: 1 }, { at: 2 }));
    const forked = signed({ at: 1, n: 9 });
    for (const expected of [[["cloud.conflict", "alarm", fog, { epoch: 1, seq: 1 }]], []]) {
      const { refused } = await send(cloud, [forked]);
      assert.deepEqual(refused, [{ index: 0, reason: "conflict" }]);
      assert.deepEqual(cloud.news(), expected);
    }
  });
});

Deno.test("what a fog has lost is a warning for each hole, once, without control characters", async () => {
  await withCloud(async (cloud) => {
    const links = signedChain(...[1, 2, 3, 4, 5].map((at) => ({ at })));
    await send(cloud, [links[0]!, links[2]!]);
    const after = placeOf(links[0]!);
    const call = {
      call: "lost",
      after,
      upto: placeOf(links[3]!),
      reason: "pruned\x1b[2J",
    } as const;
    const elsewhere = { ...call, after: { ...after, seq: 2 } };
    assert.deepEqual(decodeHead(await cloud.call(elsewhere)), { ...after, t: 77 });
    assert.deepEqual(decodeHead(await cloud.call(call)), { ...placeOf(links[3]!), t: 77 });
    const hole = (seq: number) => {
      const detail = { epoch: 1, from: seq, to: seq, reason: "pruned?[2J" };
      return ["cloud.summaries_missing", "warning", fog, detail];
    };
    assert.deepEqual(cloud.news(), [hole(2), hole(4)]);
    await cloud.call(call);
    assert.deepEqual(cloud.news(), []);
  });
});

Deno.test("a new epoch is a warning, and no refusal", async () => {
  await withCloud(async (cloud) => {
    const [first] = signedChain({ at: 1 });
    await send(cloud, [first!]);
    const second = signed({ at: 2, epoch: 2, seq: 1 }, first);
    const { head, refused } = await send(cloud, [second]);
    assert.deepEqual([head.epoch, head.seq, refused], [2, 1, []]);
    assert.deepEqual(cloud.news(), [["cloud.epoch_began", "warning", fog, { epoch: 2 }]]);
  });
});

Deno.test("registers come in pages until one is not full", async () => {
  await withCloud(async (cloud) => {
    const meters = Array.from({ length: maxRegisters + 2 }, (_, i) => `m-${1e4 + i}` as Id);
    const registers = new Map(
      meters.map((id) => [id, new Map([[register, { energy_Wh: 5, seqs: [[3, 3]] as const }]])]),
    );
    await send(cloud, [signed({ registers, n: meters.length, num_meters: meters.length })]);
    const first = decodeKnownRegisters(await cloud.call({ call: "registers" }));
    const after = [first.at(-1)!.meter, first.at(-1)!.register] as const;
    const rest = decodeKnownRegisters(await cloud.call({ call: "registers", after }));
    assert.deepEqual([first.length, rest.length], [maxRegisters, 2]);
    assert.deepEqual([...first, ...rest].map(({ meter }) => meter), meters);
    assert.deepEqual(rest[0], { meter: meters.at(-2), register, seq: 3, energy_Wh: 5 });
  });
});
