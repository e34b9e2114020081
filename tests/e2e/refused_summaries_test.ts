/**
 * What a cloud does not take from a fog: another fog's summary, one that is not next in its chain, one
 * that contradicts what is there, one that it has not signed. The fog is told the reason, the reason
 * is counted, and of what is refused nothing is stored.
 */
import assert from "node:assert/strict";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Signer } from "../../core/trust/crypto.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { encodeSummary, type Summary, summaryType } from "../../core/wire/summary.ts";
import {
  decodeHead,
  decodeSummariesAnswer,
  encodeUplinkCall,
  type Head,
  maxStatements,
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
    const answer = await send(fog, [statement, good]);
    assert.deepEqual(answer, { head: nowhere, refused: [{ index: 0, reason }] });
    expected[reason] = (expected[reason] ?? 0) + 1;
    assert.deepEqual(await refusals(cloud), expected);
    assert.deepEqual(await outcomes(cloud), {});
  }
  assert.deepEqual(await storedAt(cloud), nothing);
  assert.deepEqual((await send(fog, [good])).refused, []);
});

Deno.test("a cloud refuses what leaves a gap in a fog's chain", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const [first, second, third, fourth] = chainOf(fog, 4);
  const gap = await send(fog, [second!]);
  assert.deepEqual(gap, { head: nowhere, refused: [{ index: 0, reason: "gap" }] });
  assert.deepEqual(await storedAt(cloud), nothing);
  // the part before the gap is stored, the part behind it is not
  const partly = await send(fog, [first!, third!, fourth!]);
  assert.deepEqual(partly, {
    head: headAt(1, first!),
    refused: [{ index: 1, reason: "gap" }, { index: 2, reason: "gap" }],
  });
  assert.deepEqual(await seqs(cloud), ["fog-1 1.1"]);
  assert.deepEqual((await send(fog, [second!, third!, fourth!])).head, headAt(4, fourth!));
  assert.deepEqual(await refusals(cloud), { gap: 3 });
  assert.deepEqual(await outcomes(cloud), { stored: 4 });
});

Deno.test("a cloud refuses a chain that does not begin at its beginning", async () => {
  await using cloud = await startCloud();
  await using stack = new AsyncDisposableStack();
  const fog = await connectedFog(cloud, stack, "fog-1");
  const changes: Partial<Summary>[] = [
    { epoch: 2 },
    { seq: 2 },
    { prev: suite.randomBytes(32) },
  ];
  for (const change of changes) {
    const astray = signed(fog.signer, { ...genesis, fog_id: fog.id, ...change });
    const { head, refused } = await send(fog, [astray]);
    assert.deepEqual({ head, refused }, { head: nowhere, refused: [{ index: 0, reason: "gap" }] });
  }
  assert.deepEqual(await storedAt(cloud), nothing);
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
    signed(fog.signer, { ...link, n: 11 }),
    signed(fog.signer, { ...link, seq: 2, prev: suite.sha256(first!), n: 11 }),
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
  const head = async (fog: Fog) => {
    const answer = await answered(fog, encodeUplinkCall({ call: "head" }));
    return decodeHead(answer as Uint8Array);
  };
  assert.deepEqual(await head(one), headAt(1, first!));
  assert.deepEqual(await head(two), nowhere);
});

const nowhere: Head = { epoch: 0, seq: 0, hash: new Uint8Array(32) };
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
  registers: new Map([[parseId("m-1"), 8]]),
  prev: null,
};

function startCloud(): Promise<TestSite> {
  return startTestSite("cloud", "[plugins.cloud-summary]");
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

function headAt(seq: number, statement: Uint8Array): Head {
  return { epoch: 1, seq, hash: suite.sha256(statement) };
}

async function send(fog: Fog, statements: Uint8Array[]) {
  const answer = await answered(fog, encodeUplinkCall({ call: "summaries", statements }));
  if (typeof answer === "string") throw new Error(`The cloud refuses the call: ${answer}`);
  return decodeSummariesAnswer(answer);
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
  return { ...counts, fogs: fogs.map(({ hash: _, ...fog }) => fog) };
}
