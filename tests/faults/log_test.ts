/**
 * A log is killed at moments drawn from a seed, again and again, while it appends and signs. Every
 * checkpoint that anybody could have seen has to be the root of the beginning of what it holds at the
 * end: then no two of them contradict each other. EDGEWARD_KILLS says how often; 20 unless said, 100 in
 * the full run. The trees are hashed here, by the two lines of RFC 6962, not by the code under test.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openDatabase } from "../../core/services/db/mod.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { logKey, SiteLog } from "../../core/services/tlog/mod.ts";
import { type Checkpoint, parseCheckpoint } from "../../core/trust/log/checkpoint.ts";
import { parseNote, verifyText } from "../../core/trust/log/note.ts";
import { decodeBundle } from "../../core/trust/log/tile.ts";
import { temporaryFolder } from "../e2e/program.ts";

const fixture = fileURLToPath(new URL("./_log_writer.ts", import.meta.url));
const kills = Number(Deno.env.get("EDGEWARD_KILLS") ?? 20);
const suite = nativeSuite();

Deno.test(`no two checkpoints of a log contradict each other after ${kills} kills`, async () => {
  await using folder = await temporaryFolder();
  const seen = new Map<string, Checkpoint>();
  let inside = 0;
  for (let seed = 1; seed <= kills; seed++) {
    const { notes, head, isSigning } = await killed(folder.path, seed);
    for (const note of [...notes, ...head]) see(note, seen, folder.path);
    if (isSigning) inside++;
  }
  assert.ok(seen.size > kills, "it signed between the kills");
  const { entries, checkpoint } = await contents(folder.path);
  see(checkpoint, seen, folder.path);
  const roots = rootsOf(entries, new Set([...seen.values()].map(({ size }) => size)));
  for (const { size, root, origin } of seen.values()) {
    assert.equal(origin, keyOf(folder.path).name, "nothing was put back");
    assert.ok(size <= entries.length, `${size} entries were signed, ${entries.length} are there`);
    assert.ok(equalBytes(roots.get(size)!, root), `the checkpoint of ${size} is of another tree`);
  }
  assert.ok(inside > kills / 4, `${inside} kills came while it signed`);
});

Deno.test("the roots that checkpoints are held against are those of RFC 6962", () => {
  const entries = ["a", "b", "c"].map((text) => new TextEncoder().encode(text));
  const roots = rootsOf(entries, new Set([2, 3]));
  // computed with another program
  assert.deepEqual([2, 3].map((size) => toHex(roots.get(size)!)), [
    "b137985ff484fb600db93107c77b0365c80d78f5b429ded0fd97361d077999eb",
    "36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1",
  ]);
});

/** Keeps a checkpoint; one of the same size that says something else is a contradiction already. */
function see(note: string, seen: Map<string, Checkpoint>, folder: string): void {
  const parsed = parseNote(note);
  verifyText(suite, parsed, keyOf(folder));
  const checkpoint = parseCheckpoint(parsed.text);
  const place = `${checkpoint.origin} ${checkpoint.size}`;
  const before = seen.get(place);
  assert.ok(before === undefined || equalBytes(before.root, checkpoint.root), place);
  seen.set(place, checkpoint);
}

function keyOf(folder: string) {
  return logKey({ suite, site: "log", identity: openIdentity(suite, folder) }, 1);
}

/** What a process had shown when it was killed, and what it left in `log.head`. */
async function killed(
  folder: string,
  seed: number,
): Promise<{ notes: string[]; head: string[]; isSigning: boolean }> {
  const random = Math.imul(seed ^ (seed >>> 7), 0x9e3779b1) >>> 0;
  const [checkpoints, microseconds] = [random % 40, (random >>> 8) % 8_000];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--frozen", "-A", fixture, folder],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "", isAlive = true;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (!isAlive || text.split('{"checkpoint"').length <= checkpoints + 1) continue;
    const moment = performance.now() + microseconds / 1_000;
    while (performance.now() < moment);
    child.kill("SIGKILL");
    isAlive = false;
  }
  assert.equal((await child.status).signal, "SIGKILL", `seed ${seed}`);
  const lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  assert.deepEqual(lines.filter(({ rollback }) => rollback), [], `seed ${seed}`);
  const notes = lines.flatMap(({ checkpoint }) => checkpoint ?? []);
  const head = await Deno.readTextFile(join(folder, "log.head")).then((note) => [note], () => []);
  return { notes, head, isSigning: lines.at(-1)?.signing === true };
}

/** Everything in the log, opened once more and signed to its end. */
async function contents(
  dataDir: string,
): Promise<{ entries: Uint8Array[]; checkpoint: string }> {
  await using db = await openDatabase({ path: join(dataDir, "edgeward.db") });
  const log = await SiteLog.open({
    ...{ suite, site: "log", identity: openIdentity(suite, dataDir), db, dataDir },
    ...{ clock: Date.now, onRollback: () => assert.fail("nothing was put back") },
  });
  while (await log.integrate());
  const entries: Uint8Array[] = [];
  for (let index = 0; entries.length < log.size; index++) {
    const width = Math.min(256, log.size - entries.length);
    entries.push(...decodeBundle((await log.tile({ level: "entries", index, width }))!));
  }
  return { entries, checkpoint: log.checkpoint! };
}

/** The roots of the first so many entries (RFC 6962 §2.1). */
function rootsOf(entries: readonly Uint8Array[], sizes: ReadonlySet<number>) {
  const roots = new Map<number, Uint8Array>([[0, sha256()]]);
  const complete: { leaves: number; hash: Uint8Array }[] = [];
  for (const [i, entry] of entries.entries()) {
    complete.push({ leaves: 1, hash: sha256(Uint8Array.of(0), entry) });
    while (complete.at(-2)?.leaves === complete.at(-1)!.leaves) {
      const right = complete.pop()!, left = complete.pop()!;
      complete.push({ leaves: 2 * left.leaves, hash: node(left.hash, right.hash) });
    }
    if (!sizes.has(i + 1)) continue;
    roots.set(i + 1, complete.map(({ hash }) => hash).reduceRight((r, l) => node(l, r)));
  }
  return roots;
}

function node(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Uint8Array.of(1), left, right);
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
