/**
 * A customer checks a window of the cloud with nothing but keys: real meters, fog, cloud and a witness,
 * each a process of its own. The summary is the fog's, the log of the cloud has it, the log is signed
 * and witnessed; and whatever of that is changed by one bit is refused. The fog's own log has the
 * summary as well, and every batch of its meters.
 */
import assert from "node:assert/strict";
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { logKey } from "../../core/services/tlog/mod.ts";
import { verifyCosignature } from "../../core/trust/log/cosignature.ts";
import {
  formatNoteKey,
  type NoteKey,
  parseNoteKey,
  verifyText,
} from "../../core/trust/log/note.ts";
import { checkProof, parseProof } from "../../core/trust/log/proof_file.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeLogEntry } from "../../core/wire/log_entry.ts";
import { decodeSummary, type Summary, summaryType } from "../../core/wire/summary.ts";
import { enrolFleet } from "../../edge/simulate/enrol_fleet.ts";
import { drainFleet, runFleet } from "../../edge/simulate/fleet.ts";
import { loadModel } from "../../edge/simulate/load_model.ts";
import { run, temporaryFolder } from "./program.ts";
import { SiteProcess } from "./site_process.ts";
import { eventually } from "./_test_site.ts";

const suite = nativeSuite();
const patience = 60_000;

interface Keys {
  readonly log: NoteKey;
  readonly witness: NoteKey;
  /** What the fog signs with. */
  readonly fog: Uint8Array;
}

interface ShownWindow {
  readonly window: { readonly start: number; readonly end: number };
  readonly revision: number;
  readonly num_meters: number;
  readonly readings: number;
  readonly energy_Wh: number;
}

Deno.test("a customer checks every window offline, and whatever is changed is refused", async () => {
  await using folder = await temporaryFolder();
  await using stack = new AsyncDisposableStack();
  const { cloud, fog, witness } = await startSites(folder.path, stack);
  const keys = {
    log: (await publishedKeys(cloud)).log,
    witness: (await publishedKeys(witness)).witness,
    fog: openIdentity(suite, fog.dataDir).signer.publicKey,
  };
  const accepted = await meter(fog);
  const windows = await eventually("all readings are at the cloud", async () => {
    const { windows } = await (await get(cloud, "/windows?limit=1000")).json() as {
      windows: ShownWindow[];
    };
    const there = windows.reduce((sum, { readings }) => sum + readings, 0);
    return there === accepted ? windows : undefined;
  }, patience);
  assert.ok(windows.length > 1);

  let last: { proof: string; statement: Uint8Array } | undefined;
  for (const shown of windows) {
    const { summary, ...files } = await eventually("the proof is cosigned", async () => {
      const query = `?fog=fog-1&window=${shown.window.start}`;
      const [proof, statement] = [
        await get(cloud, `/proof${query}`),
        await get(cloud, `/statement${query}`),
      ];
      const bytes = new Uint8Array(await statement.arrayBuffer());
      const text = await proof.text();
      if (proof.status === 404) return undefined;
      assert.equal(proof.status, 200, text);
      const isCosigned = text.includes(`\n— ${keys.witness.name} `);
      if (!isCosigned || !names(text, bytes)) return undefined;
      return { summary: checked(text, bytes, keys), proof: text, statement: bytes };
    }, patience);
    const { window, num_meters, n, energy_Wh } = summary;
    assert.deepEqual([window, num_meters], [shown.window, shown.num_meters]);
    assert.equal(n, shown.readings);
    // the last revision may have come after the list of windows
    if (summary.revision === shown.revision) assert.equal(energy_Wh, shown.energy_Wh);
    last = files;
  }
  const { proof, statement } = last!;
  assertBound(proof, statement, keys);
  await assertPeopleCan(folder.path, { proof, statement, keys });
  await assertFogLogged(fog, statement);
});

/** A cloud that a third site witnesses, and a fog that reports to it. */
async function startSites(folder: string, stack: AsyncDisposableStack) {
  const dataDir = join(folder, "cloud", "data");
  await Deno.mkdir(dataDir, { recursive: true });
  const identity = openIdentity(suite, dataDir);
  const log = logKey({ suite, site: "cloud", identity }, 1);
  const witness = stack.use(
    await SiteProcess.start(
      join(folder, "witness"),
      "gw-9",
      `log.witness_of = ["${formatNoteKey(log)}"]\n[plugins.cloud-summary]`,
    ),
  );
  const { witness: key } = await publishedKeys(witness);
  const cloud = stack.use(
    await SiteProcess.start(
      join(folder, "cloud"),
      "cloud",
      `log.witnesses = [{ url = "${witness.url}/log", key = "${formatNoteKey(key)}" }]
[plugins.cloud-summary]
public_summary = true`,
    ),
  );
  const code = await cloud.operate(["admin", "enrol", "fog", "fog-1", "--json"]);
  assert.equal(code.code, 0, code.stderr);
  await Deno.mkdir(join(folder, "fog"));
  await Deno.writeTextFile(join(folder, "fog", "cloud.json"), code.stdout, { mode: 0o600 });
  const fog = stack.use(
    await SiteProcess.start(
      join(folder, "fog"),
      "fog-1",
      `[plugins.fog-aggregator]
window = "1s"
grace = "200ms"
code_file = "cloud.json"
cloud = "${cloud.url}"`,
    ),
  );
  return { cloud, fog, witness };
}

/** What a site's operator publishes. */
async function publishedKeys(site: SiteProcess): Promise<Pick<Keys, "log" | "witness">> {
  const { code, stdout, stderr } = await site.operate(["audit", "witness", "--json"]);
  assert.equal(code, 0, stderr);
  const { log, witness } = JSON.parse(stdout);
  return { log: parseNoteKey(suite, log), witness: parseNoteKey(suite, witness) };
}

/** Lets three meters measure for some windows; gives how many readings the fog has taken. */
async function meter(fog: SiteProcess): Promise<number> {
  await using fleet = await enrolFleet({ count: 3, enrol: (id) => fog.enrol(id) });
  const { signal } = new AbortController();
  const source = loadModel(7);
  await runFleet({ meters: fleet.meters, source, interval: 250, steps: 12, signal });
  const { sent, accepted } = await drainFleet(fleet.meters, AbortSignal.timeout(patience));
  assert.equal(accepted, sent);
  return accepted;
}

async function get(cloud: SiteProcess, path: string): Promise<Response> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(`${cloud.url}/cloud-summary${path}`, { client });
  const { status, headers } = response;
  return new Response(await response.arrayBuffer(), { status, headers });
}

/** Whether a proof is of this statement: a revision may have come between the two. */
function names(proof: string, statement: Uint8Array): boolean {
  const named = decodeLogEntry(parseProof(proof).extra!).statement;
  return named !== null && equalBytes(named, suite.sha256(statement));
}

/** What a customer believes after checking all of it. @throws what is wrong */
function checked(text: string, statement: Uint8Array, keys: Keys): Summary {
  const proof = parseProof(text);
  if (proof.extra === undefined) throw new Error("There is no entry");
  const { note, checkpoint } = checkProof(suite, proof, proof.extra);
  verifyText(suite, note, keys.log);
  verifyCosignature(suite, note, keys.witness);
  assert.equal(checkpoint.origin, keys.log.name);
  if (!names(text, statement)) throw new Error("The entry is of another statement");
  const verifier = new StatementVerifier(suite, keys.fog, summaryType);
  const summary = decodeSummary(verifier.open(statement));
  const { type, actor, detail } = decodeLogEntry(proof.extra);
  const { epoch, seq, window, revision } = summary;
  assert.deepEqual([type, actor, summary.fog_id], ["summary.stored", "fog-1", "fog-1"]);
  assert.deepEqual(JSON.parse(detail), { epoch, seq, window, revision });
  return summary;
}

/** Fails if anything can be changed, in any byte, and is still believed. */
function assertBound(proof: string, statement: Uint8Array, keys: Keys): void {
  for (let i = 0; i < statement.length; i++) {
    const changed = statement.slice();
    changed[i]! ^= 1 << (i % 8);
    assert.throws(() => checked(proof, changed, keys), `byte ${i} of the statement`);
  }
  for (let i = 0; i < proof.length; i++) {
    const other = String.fromCharCode(proof.charCodeAt(i) ^ 1);
    const changed = proof.slice(0, i) + other + proof.slice(i + 1);
    assert.throws(() => checked(changed, statement, keys), `character ${i} of the proof`);
    assert.throws(() => checked(proof.slice(0, i), statement, keys), `the first ${i} characters`);
  }
  const stranger = { ...keys.log, publicKey: suite.ed25519.signer().publicKey };
  assert.throws(() => checked(proof, statement, { ...keys, log: stranger }), { code: "forged" });
  const other = suite.ed25519.signer().publicKey;
  assert.throws(() => checked(proof, statement, { ...keys, fog: other }), { code: "wrong_key" });
}

/** The same with the program alone. */
async function assertPeopleCan(
  folder: string,
  { proof, statement, keys }: { proof: string; statement: Uint8Array; keys: Keys },
): Promise<void> {
  const [proofFile, statementFile] = ["window.tlog-proof", "window.cose"]
    .map((name) => join(folder, name)) as [string, string];
  const args = [
    ...["audit", "verify", proofFile, statementFile],
    ...["--key", formatNoteKey(keys.log), "--witness", formatNoteKey(keys.witness)],
  ];
  await Deno.writeTextFile(proofFile, proof);
  await Deno.writeFile(statementFile, statement);
  const good = await run(args);
  assert.deepEqual([good.code, good.stderr], [0, ""]);
  const changed = statement.slice();
  changed[changed.length - 1]! ^= 1;
  await Deno.writeFile(statementFile, changed);
  const bad = await run(args);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /window\.cose/);
}

/** The fog's log has the summary that the cloud has, and exactly the batches that are stored. */
async function assertFogLogged(fog: SiteProcess, statement: Uint8Array): Promise<void> {
  const shown = async (type: string) => {
    const { code, stdout, stderr } = await fog.operate([
      ...["audit", "show", "--last", "1000", "--type", type, "--json"],
    ]);
    assert.equal(code, 0, stderr);
    return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  };
  const hash = toHex(suite.sha256(statement));
  const summaries = await shown("summary.signed");
  assert.equal(summaries.filter((entry) => entry.statement === hash).length, 1);
  const logged: string[] = (await shown("readings.stored")).flatMap(({ detail }) => detail.batches);
  const client = createClient({ url: `file:${join(fog.dataDir, "edgeward.db")}` });
  const { rows } = await client.execute("SELECT statement FROM fog_aggregator_batches ORDER BY id");
  client.close();
  const stored = rows.map((row) =>
    toHex(suite.sha256(new Uint8Array(row.statement as ArrayBuffer)))
  );
  assert.ok(stored.length > 0);
  assert.deepEqual(logged, stored);
}
