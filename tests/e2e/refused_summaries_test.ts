/**
 * What a cloud does not take from a fog: another fog's summary, one that contradicts what is there, one
 * that it has not signed. The fog is told the reason, the reason is counted, and of what is refused no
 * figure is stored. What comes before its turn is kept, and what is lost is written down.
 */
import assert from "node:assert/strict";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Signer } from "../../core/trust/crypto.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { encodeSummary, type Summary, summaryType } from "../../core/wire/summary.ts";
import {
  decodeHead,
  decodeKnownRegisters,
  decodeSummariesAnswer,
  encodeUplinkCall,
  type Head,
  type Link,
  maxStatements,
  type UplinkCall,
} from "../../core/wire/uplink.ts";
import { type Door, httpDoor } from "./_doors.ts";
import { RawPeer, type RawSession, suite } from "./_raw_peer.ts";
import { startTestSite, type TestSite } from "./_test_site.ts";

interface Fog {
  readonly id: Id;
  readonly signer: Signer;
  readonly session: RawSession;
  readonly door: Door;
}

const minute = 60_000;

Deno.test("a cloud stores a chain, and a repeated link once", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const [first, second, third] = chainOf(fog, 3);
  const stored = await send(fog, [first!, second!]);
  assert.deepEqual(stored, { head: headAt(2, second!), refused: [] });
  const again = await send(fog, [first!, second!, third!, first!]);
  assert.deepEqual(again, { head: headAt(3, third!), refused: [] });
  assert.deepEqual(await outcomes(cloud), { stored: 3, duplicate: 3 });
  assert.deepEqual(await seqs(cloud), ["fog-1 1.1", "fog-1 1.2", "fog-1 1.3"]);
});

Deno.test("a cloud refuses a summary of another fog, and what is not signed by its own", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  await connectedFog(cloud, stack, "fog-2");
  const link = { ...genesis, fog_id: fog.id };
  const good = signed(fog.signer, link);
  const forged = good.slice();
  forged[good.length - 1]! ^= 1;
  const payload = encodeSummary(link);
  const cases: [string, Uint8Array][] = [
    ["wrong_fog", signed(fog.signer, { ...link, fog_id: parseId("fog-2") })],
    ["wrong_key", signed(suite.ed25519.signer(), link)],
    ["forged", forged],
    ["wrong_type", signStatement(suite, fog.signer, "application/edgeward-x+cbor", payload)],
    ["malformed", signStatement(suite, fog.signer, summaryType, payload.subarray(1))],
    ["malformed", new Uint8Array()],
  ];
  const expected: Record<string, number> = {};
  for (const [reason, statement] of cases) {
    const answer = await send(fog, [statement]);
    assert.deepEqual(answer, { head: nowhere, refused: [{ index: 0, reason }] });
    expected[reason] = (expected[reason] ?? 0) + 1;
    assert.deepEqual(await refusals(cloud), expected);
    assert.deepEqual(await outcomes(cloud), {});
  }
  assert.deepEqual(await storedAt(cloud), nothing);
  // each is judged by itself
  const among = await send(fog, [forged, good, cases[0]![1]]);
  const refused = [{ index: 0, reason: "forged" }, { index: 2, reason: "wrong_fog" }];
  assert.deepEqual(among, { head: headAt(1, good), refused });
});

Deno.test("a cloud keeps what comes before its turn, and its head waits for what is open", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const [first, second, third, fourth] = chainOf(fog, 4);
  assert.deepEqual(await send(fog, [fourth!]), { head: nowhere, refused: [] });
  assert.deepEqual(await send(fog, [first!, third!]), { head: headAt(1, first!), refused: [] });
  assert.deepEqual(await headOf(fog, { epoch: 1, seq: 2 }), headAt(1, first!));
  assert.deepEqual(await headOf(fog, { epoch: 1, seq: 3 }), headAt(3, third!));
  assert.deepEqual(await send(fog, [second!]), { head: headAt(4, fourth!), refused: [] });
  assert.deepEqual(await outcomes(cloud), { stored: 4 });
  assert.deepEqual(await refusals(cloud), {});
});

Deno.test("a cloud refuses what no chain can begin with", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const changes: Partial<Summary>[] = [
    ...[{ seq: 2 }, { epoch: 2, seq: 2 }, { prev: suite.randomBytes(32) }],
  ];
  for (const change of changes) {
    const astray = signed(fog.signer, { ...genesis, fog_id: fog.id, ...change });
    const { head, refused } = await send(fog, [astray]);
    assert.deepEqual({ head, refused }, {
      head: nowhere,
      refused: [{ index: 0, reason: "conflict" }],
    });
  }
  assert.deepEqual(await storedAt(cloud), nothing);
});

Deno.test("a cloud writes down what a fog has lost, names it, and goes on from there", async () => {
  await using cloud = await startCloud("public_summary = true");
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const [first, , third, fourth] = chainOf(fog, 4);
  await send(fog, [first!]);
  const upto = headAt(3, third!);
  const after = headAt(1, first!);
  const lost = encodeUplinkCall({ call: "lost", after, upto, reason: "pruned\n" });
  const answer = await answered(fog, lost);
  assert.deepEqual(plain(decodeHead(answer as Uint8Array)), upto);
  assert.deepEqual((await send(fog, [fourth!])).head, headAt(4, fourth!));
  const response = await fetch(`${cloud.url}/cloud-summary/completeness`);
  const { complete, summaries, fogs, next } = await response.json();
  assert.deepEqual([complete, next, fogs.length], [false, null, 1]);
  const hole = { fog_id: "fog-1", epoch: 1, from: 2, to: 3, reason: "lost: pruned?" };
  assert.deepEqual(summaries, [hole]);
  assert.deepEqual(await cloud.counts("edgeward_summaries_missing_total", "role"), {
    "cloud-summary": 2,
  });
});

Deno.test("a cloud tells a fog what it knows of the fog's registers", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  await send(fog, chainOf(fog, 2));
  const ask = async (call: UplinkCall) =>
    decodeKnownRegisters(await answered(fog, encodeUplinkCall(call)) as Uint8Array);
  const [meter, register] = [parseId("m-1"), parseId("1-8-0")];
  const known = [{ meter, register, seq: 10, energy_Wh: 8 }];
  assert.deepEqual(await ask({ call: "registers" }), known);
  assert.deepEqual(await ask({ call: "registers", after: [meter, register] }), []);
});

Deno.test("a cloud refuses other content under a number, and another history", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const [first, second] = chainOf(fog, 2);
  await send(fog, [first!, second!]);
  const stored = await storedAt(cloud);
  const link = { ...genesis, fog_id: fog.id };
  const contradicting = [
    signed(fog.signer, { ...link, energy_Wh: 11 }),
    signed(fog.signer, { ...link, seq: 2, prev: suite.sha256(first!), energy_Wh: 11 }),
    signed(fog.signer, { ...link, seq: 3, prev: suite.randomBytes(32) }),
    signed(fog.signer, { ...link, seq: 3, prev: null }),
  ];
  for (const [count, statement] of contradicting.entries()) {
    const { head, refused } = await send(fog, [statement]);
    assert.deepEqual(refused, [{ index: 0, reason: "conflict" }]);
    assert.deepEqual(head, headAt(2, second!));
    assert.deepEqual(await refusals(cloud), { conflict: count + 1 });
    assert.deepEqual(await storedAt(cloud), stored);
  }
  const evidence = await cloud.rows("SELECT epoch, seq FROM cloud_summary_conflicts ORDER BY seq");
  assert.deepEqual(evidence.map(({ seq }) => seq), [1, 2, 3, 3]);
});

Deno.test("a cloud refuses an uplink call that it cannot read", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const [first] = chainOf(fog, 1);
  const tooMany = { call: "summaries", statements: Array(maxStatements + 1).fill(first) } as const;
  for (const body of [new Uint8Array(), Uint8Array.of(0xa0), encodeUplinkCall(tooMany)]) {
    assert.equal(await answered(fog, body), "malformed");
  }
  const counts = await cloud.counts("edgeward_session_refused_total", "purpose", "reason");
  assert.deepEqual(counts, { "uplink malformed": 3 });
  assert.deepEqual(await storedAt(cloud), nothing);
});

Deno.test("a cloud shows a fog its own head only", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const [one, two] = [
    await connectedFog(cloud, stack, "fog-1"),
    await connectedFog(cloud, stack, "fog-2"),
  ];
  const [first] = chainOf(one, 1);
  await send(one, [first!]);
  assert.deepEqual(await headOf(one), headAt(1, first!));
  assert.deepEqual(await headOf(two), nowhere);
  const { t } = decodeHead(await answered(one, encodeUplinkCall({ call: "head" })) as Uint8Array);
  assert.ok(Math.abs(t - cloud.clock()) < minute);
});

const nowhere: Link = { epoch: 0, seq: 0, hash: new Uint8Array(32) };
const nothing = { summaries: 0, windows: 0, fogs: [] };

/** The first summary of a chain, of no fog yet. */
const genesis: Omit<Summary, "fog_id"> = {
  epoch: 1,
  seq: 1,
  window: { start: 0, end: minute },
  revision: 0,
  num_meters: 1,
  n: 10,
  sum_power_W: 5_000,
  min_power_W: 100,
  max_power_W: 900,
  sum_voltage_mV: 2_300_000,
  min_voltage_mV: 229_000,
  max_voltage_mV: 231_000,
  energy_Wh: 8,
  registers: new Map([
    [parseId("m-1"), new Map([[parseId("1-8-0"), { energy_Wh: 8, seqs: [[1, 10]] }]])],
  ]),
  prev: null,
};

function startCloud(settings = ""): Promise<TestSite> {
  return startTestSite("cloud", `[plugins.cloud-summary]\n${settings}`);
}

async function connectedFog(
  cloud: TestSite,
  stack: AsyncDisposableStack,
  name: string,
): Promise<Fog> {
  const id = parseId(name);
  const enrolment = await cloud.site.enrol("fog", id, { ttl: minute });
  const door = stack.use(await httpDoor(cloud, "uplink", { id, url: enrolment.url }));
  const peer = new RawPeer(id, enrolment, { purpose: "uplink" });
  const { message1, finish } = peer.begin();
  const session = finish(await door.exchange(message1));
  assert.equal(session.joined(await door.exchange(session.enrol())), cloud.site.name);
  return { id, signer: peer.signer, session, door };
}

function signed(signer: Signer, summary: Summary): Uint8Array {
  return signStatement(suite, signer, summaryType, encodeSummary(summary));
}

/** Links of one chain, each of the next window. */
function chainOf({ id, signer }: Fog, length: number): Uint8Array[] {
  const links: Uint8Array[] = [];
  for (let seq = 1; seq <= length; seq++) {
    const last = links.at(-1);
    const window = { start: (seq - 1) * minute, end: seq * minute };
    const prev = last === undefined ? null : suite.sha256(last);
    links.push(signed(signer, { ...genesis, fog_id: id, seq, window, prev }));
  }
  return links;
}

function headAt(seq: number, statement: Uint8Array): Link {
  return { epoch: 1, seq, hash: suite.sha256(statement) };
}

/** Without the cloud's clock. */
function plain({ epoch, seq, hash }: Head): Link {
  return { epoch, seq, hash };
}

async function headOf(fog: Fog, upto?: { epoch: number; seq: number }): Promise<Link> {
  const call = encodeUplinkCall({ call: "head", ...(upto && { upto }) });
  return plain(decodeHead(await answered(fog, call) as Uint8Array));
}

async function send(fog: Fog, statements: Uint8Array[]) {
  const answer = await answered(fog, encodeUplinkCall({ call: "summaries", statements }));
  if (typeof answer === "string") throw new Error(`The cloud refuses the call: ${answer}`);
  const { head, refused } = decodeSummariesAnswer(answer);
  return { head: plain(head), refused };
}

async function answered({ session, door }: Fog, body: Uint8Array): Promise<Uint8Array | string> {
  return session.answer(await door.exchange(session.call(body)));
}

function outcomes(cloud: TestSite): Promise<Record<string, number>> {
  return cloud.counts("edgeward_summaries_total", "outcome");
}

function refusals(cloud: TestSite): Promise<Record<string, number>> {
  return cloud.counts("edgeward_summaries_refused_total", "reason");
}

async function seqs(cloud: TestSite): Promise<unknown[]> {
  const rows = await cloud.rows(`SELECT fog_id || ' ' || epoch || '.' || seq AS link
    FROM cloud_summary_summaries ORDER BY fog_id, epoch, seq`);
  return rows.map(({ link }) => link);
}

/** All that fogs can make a cloud store. */
async function storedAt(cloud: TestSite): Promise<unknown> {
  const [counts] = await cloud.rows(`SELECT
    (SELECT count(*) FROM cloud_summary_summaries) AS summaries,
    (SELECT count(*) FROM cloud_summary_windows) AS windows`);
  const fogs = await cloud.rows("SELECT * FROM cloud_summary_fogs ORDER BY fog_id");
  return { ...counts, fogs: fogs.map(({ hash: _, received_at: __, ...fog }) => fog) };
}
