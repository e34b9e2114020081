/**
 * A site's log in the eyes of another implementation: its checkpoints are notes to Go's `sumdb/note`, its
 * proofs of inclusion and consistency are proofs to Go's `sumdb/tlog` (`log_checker.go`). It needs
 * Debian's golang-1.19-go and golang-golang-x-mod-dev; where they are missing, the tests are skipped by
 * name, but in CI they fail.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { toBase64 } from "../../core/base/bytes.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openDatabase } from "../../core/services/db/mod.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { SiteLog, tlogMigrations, witnessKey } from "../../core/services/tlog/mod.ts";
import { parseCheckpoint } from "../../core/trust/log/checkpoint.ts";
import { cosign } from "../../core/trust/log/cosignature.ts";
import { formatNote, formatNoteKey, parseNote } from "../../core/trust/log/note.ts";
import { parseProof } from "../../core/trust/log/proof_file.ts";
import { decodeBundle, tileWidth, widthOf } from "../../core/trust/log/tile.ts";
import { exists, isCi, temporaryFolder } from "../e2e/program.ts";

const go = "/usr/lib/go-1.19/bin/go";
const goPath = "/usr/share/gocode";
const missing = [go, `${goPath}/src/golang.org/x/mod/sumdb/tlog`].find((path) => !exists(path));
const checker = fileURLToPath(new URL("log_checker.go", import.meta.url));
const suite = nativeSuite();
const size = 1_000;

interface Checked {
  key: string;
  checkpoints: string[];
  records: { index: number; entry: string; proof: string[] }[];
  trees: { old: number; new: number; proof: string[] }[];
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
}

const ignore = missing !== undefined && !isCi;
const name =
  "Go opens the checkpoints of a site's log, and finds its proofs right and others wrong";

Deno.test({
  name: ignore ? `${name} (skipped: no ${missing})` : name,
  ignore,
  async fn() {
    assert.equal(missing, undefined);
    await using folder = await temporaryFolder();
    const check = await compiled(folder.path);
    const log = await checkedLog(folder.path);
    assert.deepEqual([log.records.length, log.trees.length > 200], [size, true]);
    const { code, stdout } = await check(log);
    assert.equal(code, 0, stdout);
    assert.deepEqual(JSON.parse(stdout), {
      checkpoints: log.checkpoints.length,
      strangers: 1,
      records: size,
      trees: log.trees.length,
    });

    const changes: [RegExp, (log: Checked) => void][] = [
      [/^record 500: /, ({ records }) => records[500]!.proof[3] = toBase64(new Uint8Array(32))],
      [/^record 7: /, ({ records }) => records[7]!.entry = records[8]!.entry],
      [/^record 999: /, ({ records }) => records[999]!.proof.pop()],
      [/^tree /, ({ trees }) => trees.find(({ proof }) => proof.length > 2)!.proof.reverse()],
      [
        /^checkpoint 0: /,
        (log) => log.checkpoints[0] = log.checkpoints[0]!.replace("\n1\n", "\n2\n"),
      ],
      [/^key: /, (log) => log.key = log.key.replace("edgeward", "Edgeward")],
    ];
    for (const [complaint, change] of changes) {
      const changed = structuredClone(log);
      change(changed);
      const { code, stdout } = await check(changed);
      assert.equal(code, 1);
      assert.match(stdout, complaint);
    }
  },
});

/** Builds the program, and gives what runs it. */
async function compiled(folder: string): Promise<(log: Checked) => Promise<Outcome>> {
  const program = join(folder, "checker");
  const env = { GO111MODULE: "off", GOPATH: goPath, GOCACHE: join(folder, "cache"), GOFLAGS: "" };
  const { success, stderr } = await new Deno.Command(go, {
    args: ["build", "-o", program, checker],
    env,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return async (log) => {
    const child = new Deno.Command(program, { stdin: "piped", stdout: "piped" }).spawn();
    const input = new Response(JSON.stringify(log)).body!.pipeTo(child.stdin);
    const [{ code, stdout }] = await Promise.all([child.output(), input]);
    return { code, stdout: new TextDecoder().decode(stdout) };
  };
}

/** A log that has grown to its size in many steps, a checkpoint after each, with all its proofs. */
async function checkedLog(folder: string): Promise<Checked> {
  const clock = Date.now;
  await using db = await openDatabase({ path: join(folder, "edgeward.db") });
  await db.migrate("core", [...auditMigrations, ...tlogMigrations]);
  const holder = { suite, site: "fog-1", identity: openIdentity(suite, folder) };
  const options = { ...holder, db, dataDir: folder, clock, onRollback: () => assert.fail() };
  const log = await SiteLog.open(options);
  const audit = auditOf("core", clock);
  const checkpoints: string[] = [];
  for (let step = 1; log.size < size; step += 2) {
    await db.write(async (tx) => {
      for (let i = 0; i < Math.min(step, size - log.size); i++) {
        const subject = `s-${log.size + i}`;
        await audit.append(tx, { type: "test.done", actor: "site", subject, detail: { step } });
      }
    });
    await log.integrate();
    checkpoints.push(log.checkpoint!);
  }
  const sizes = checkpoints.map((note) => parseCheckpoint(parseNote(note).text).size);
  const trees: Checked["trees"] = [];
  for (const [old, from] of sizes.entries()) {
    for (let later = old; later < sizes.length; later++) {
      const proof = await log.consistency(from, sizes[later]!);
      trees.push({ old, new: later, proof: proof.map(toBase64) });
    }
  }
  const records: Checked["records"] = [];
  for (let index = 0; index * tileWidth < size; index++) {
    const width = widthOf({ level: "entries", index }, size);
    const bundle = decodeBundle((await log.tile({ level: "entries", index, width }))!);
    for (const entry of bundle) {
      const { index, path } = parseProof((await log.prove(log.firstId + records.length))!);
      records.push({ index, entry: toBase64(entry), proof: path.map(toBase64) });
    }
  }
  return { key: formatNoteKey(log.key), checkpoints: cosigned(checkpoints), records, trees };

  /** A cosignature on the last one: to whoever does not know the witness, it says nothing. */
  function cosigned(notes: readonly string[]): string[] {
    const { key, signer } = witnessKey(holder);
    const { text, signatures } = parseNote(notes.at(-1)!);
    const cosignature = cosign(text, { key, time: 1_800_000_000, sign: signer.sign });
    return notes.with(-1, formatNote({ text, signatures: [...signatures, cosignature] }));
  }
}
