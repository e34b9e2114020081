/**
 * A meter in Python at a running site: the program as its users start it, spoken to over HTTP by a
 * peer that shares no line of code with it (`noise_peer.py`).
 */
import assert from "node:assert/strict";
import { createClient } from "@libsql/client";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { dirname, join } from "node:path";
import type { EnrolmentJson } from "../../core/wire/enrolment.ts";
import type { PeerStatus } from "../../core/wire/peer_status.ts";
import { askSite } from "../../edge/admin_client.ts";
import { run, temporaryFolder } from "../e2e/program.ts";
import { SiteProcess } from "../e2e/site_process.ts";
import { interopTest, PythonPeer } from "./_python.ts";

const register = "r1";
const measured = Date.now();
/** As they are on the wire: seq, time, energy, power, voltage, flags. */
const readings = [[1, measured, 4_711, 230, 229_800, 0], [
  2,
  measured + 1_000,
  4_712,
  -5,
  230_100,
  8,
]];
const taken = { accepted: 2, duplicates: 0, refused: [] };
const known = { accepted: 0, duplicates: 2, refused: [] };

interopTest("a meter in Python enrols at a running site, which stores its readings", async () => {
  await using stack = new AsyncDisposableStack();
  const { site, python, keys: { noise_key, sign_key } } = await joinedMeter(stack);
  await shakeHands(python, { times: 3 });
  assert.deepEqual(await deliver(python), { status: 200, seq: 0, refusal: "not_enrolled" });
  assert.deepEqual(await python.ask("enrol"), { status: 200, seq: 1, answer: { site: "fog-1" } });
  assert.deepEqual(await deliver(python), { status: 200, seq: 2, answer: taken });
  assert.deepEqual(await deliver(python), { status: 200, seq: 3, answer: known });
  const forged = await deliver(python, { forged: true });
  assert.deepEqual(forged, { status: 200, seq: 4, refusal: "forged" });

  const peers =
    "SELECT state, lower(hex(noise_key)) AS noise_key, lower(hex(sign_key)) AS sign_key";
  assert.deepEqual(await queried(site, `${peers} FROM peers`), [
    { state: "approved", noise_key, sign_key },
  ]);
  const columns = "seq, t, energy_wh, power_w, voltage_mv, flags";
  const stored = await queried(site, `SELECT ${columns} FROM fog_aggregator_readings`);
  assert.deepEqual(stored.map((row) => Object.values(row)), readings);
});

interopTest(
  "a running site tells repeated frames of a meter in Python from altered ones",
  async () => {
    await using stack = new AsyncDisposableStack();
    const { site, python } = await joinedMeter(stack);
    await shakeHands(python);
    await python.ask("enrol");
    assert.deepEqual(await deliver(python), { status: 200, seq: 1, answer: taken });
    assert.equal(await python.ask("repeat"), true);
    // version, type, number, ciphertext, tag
    for (const byte of [0, 1, 17, 18, -1]) {
      assert.equal(await python.ask("alter", { byte }), 403, `byte ${byte}`);
    }
    const reasons = { wrong_version: 1, malformed: 1, forged: 3 };
    assert.deepEqual(await refusals(site), reasons);
    assert.equal(await python.ask("repeat"), true);
    assert.deepEqual(await deliver(python), { status: 200, seq: 2, answer: known });
  },
);

interopTest("a running site follows a meter in Python across rekeys", async () => {
  await using stack = new AsyncDisposableStack();
  const { site, python } = await joinedMeter(stack);
  await shakeHands(python);
  await python.ask("enrol");
  assert.deepEqual(await deliver(python), { status: 200, seq: 1, answer: taken });
  for (const generation of [1, 2]) {
    const seq = generation * 2 ** 16;
    assert.deepEqual(await python.ask("skip"), { seq });
    assert.deepEqual(await deliver(python), { status: 200, seq, answer: known });
    assert.equal(await python.ask("repeat"), true);
  }
  await python.ask("skip", { to: 4 * 2 ** 16 });
  assert.deepEqual(await deliver(python), { status: 403 });
  assert.deepEqual(await refusals(site), { out_of_generation: 1 });
});

interopTest("a running site refuses a meter in Python with a wrong name, code or key", async () => {
  await using stack = new AsyncDisposableStack();
  const { site, python, join } = await joinedMeter(stack);
  const refused = { status: 403 };
  assert.deepEqual(await python.ask("handshake", { site: "fog-2" }), refused);
  assert.deepEqual(await python.ask("handshake", { psk: "00".repeat(32) }), refused);
  await shakeHands(python);
  await python.ask("enrol");
  await join();
  assert.deepEqual(await python.ask("handshake"), refused);
  const reasons = { wrong_site: 1, payload_forged: 1, wrong_key: 1 };
  assert.deepEqual(await refusals(site), reasons);
});

interopTest("a meter in Python shakes hands again after its site has restarted", async () => {
  await using stack = new AsyncDisposableStack();
  const { site, python } = await joinedMeter(stack);
  await shakeHands(python);
  await python.ask("enrol");
  assert.deepEqual(await deliver(python), { status: 200, seq: 1, answer: taken });
  await site.kill();
  await site.start();
  assert.deepEqual(await deliver(python), { status: 200, unknown: true });
  await shakeHands(python);
  assert.deepEqual(await deliver(python), { status: 200, seq: 0, answer: known });
});

interopTest("a running site admits a meter in Python by its six words", async () => {
  await using stack = new AsyncDisposableStack();
  const { site, python, url } = await siteAndMeter(stack);
  await python.ask("join", { url, id: "m-1" });
  const { status, words } = await python.ask<{ status: number; words: number[] }>("meet");
  assert.equal(status, 204);
  assert.deepEqual(await python.ask("enrol"), { status: 200, seq: 0, refusal: "pending" });
  const shown = words.map((index) => wordlist[index]).join(" ");
  assert.deepEqual(await waiting(site), { state: "pending", proof: "key", words: shown });

  await approve(site, { words: shown });
  assert.deepEqual(await python.ask("enrol"), { status: 200, seq: 1, answer: { site: "fog-1" } });
  assert.deepEqual(await deliver(python), { status: 200, seq: 2, answer: taken });
  // the key that it has learnt is all that it needs from now on
  await shakeHands(python);
  assert.deepEqual(await deliver(python), { status: 200, seq: 0, answer: known });
});

interopTest("a running site lets a meter in Python without a code wait for approval", async () => {
  await using stack = new AsyncDisposableStack();
  const { site, python, url } = await siteAndMeter(stack);
  const { noise_key } = await enrol(site, "m-2");
  const address = { url, id: "m-1", site: "fog-1", noise_key };
  const { fingerprint } = await python.ask<Keys>("join", address);
  assert.deepEqual(await python.ask("handshake"), { status: 202 });
  assert.deepEqual(await waiting(site), { state: "pending", proof: "key", words: null });
  await approve(site, { fingerprint });
  await shakeHands(python);
  await python.ask("enrol");
  assert.deepEqual(await deliver(python), { status: 200, seq: 1, answer: taken });
});

/** A site with one meter, which holds its code and has not spoken yet. */
async function joinedMeter(stack: AsyncDisposableStack) {
  const { site, python, url } = await siteAndMeter(stack);
  const enrolment = await enrol(site, "m-1");
  /** Draws new keys for the meter. */
  const join = () => python.ask<Keys>("join", { url, id: "m-1", enrolment });
  return { site, python, join, keys: await join() };
}

type Keys = Readonly<Record<"noise_key" | "sign_key" | "fingerprint", string>>;

async function siteAndMeter(stack: AsyncDisposableStack) {
  const { path } = stack.use(await temporaryFolder());
  const site = stack.use(
    await SiteProcess.start(path, "fog-1", 'peers.join = "open"\n[plugins.fog-aggregator]'),
  );
  const python = stack.use(new PythonPeer("meter"));
  return { site, python, url: `http://127.0.0.1:${site.ports.http}` };
}

/** What the operator gives to a meter. */
async function enrol(site: SiteProcess, id: string): Promise<EnrolmentJson> {
  const args = ["admin", "enrol", "meter", id, "--json"];
  const { code, stdout, stderr } = await run(args, { cwd: dirname(site.dataDir) });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** What the operator sees of the meter that waits. */
async function waiting(site: SiteProcess): Promise<Pick<PeerStatus, "state" | "proof" | "words">> {
  const { peers } = await askSite(site.dataDir, "/peers/meter/m-1") as { peers: PeerStatus[] };
  assert.equal(peers.length, 1);
  const { state, proof, words } = peers[0]!;
  return { state, proof, words };
}

async function approve(site: SiteProcess, body: unknown): Promise<void> {
  await askSite(site.dataDir, "/peers/meter/m-1/approve", { method: "POST", body });
}

/** Shakes hands; the same message 1, sent again, gets the same answer. */
async function shakeHands(python: PythonPeer, args: { times?: number } = {}): Promise<void> {
  const { status, same } = await python.ask<Record<string, unknown>>("handshake", args);
  assert.deepEqual({ status, same }, { status: 200, same: true });
}

function deliver(python: PythonPeer, options: { forged?: boolean } = {}): Promise<unknown> {
  return python.ask("deliver", { register, readings, ...options });
}

/** How often the site has refused frames of meters, by reason. */
async function refusals(site: SiteProcess): Promise<Record<string, number>> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(`http://127.0.0.1:${site.ports.admin}/metrics`, { client });
  const counts: Record<string, number> = {};
  const lines = /^edgeward_session_refused_total{.*reason="(\w+)".*} (\d+)$/gm;
  for (const [, reason, n] of (await response.text()).matchAll(lines)) counts[reason!] = Number(n);
  return counts;
}

async function queried(site: SiteProcess, sql: string): Promise<Record<string, unknown>[]> {
  const client = createClient({ url: `file:${join(site.dataDir, "edgeward.db")}` });
  try {
    const { columns, rows } = await client.execute(sql);
    return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  } finally {
    client.close();
  }
}
