/**
 * What the log of a site costs. `log.append`: entries recorded durably, in groups as a busy role makes
 * them, hashed and signed; the floor inserts the same rows in the same groups and does no more.
 * `log.prove_ms`: one proof of inclusion in a log of a million entries; the floor reads the tiles that
 * it is made of.
 */
import { sql } from "drizzle-orm";
import { join } from "node:path";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../../core/services/db/mod.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { SiteLog, tlogMigrations } from "../../core/services/tlog/mod.ts";
import { parseCheckpoint } from "../../core/trust/log/checkpoint.ts";
import { inclusionNodes } from "../../core/trust/log/merkle.ts";
import { parseNote } from "../../core/trust/log/note.ts";
import { checkProof, parseProof } from "../../core/trust/log/proof_file.ts";
import { decodeBundle, placeOf, tileWidth, widthOf } from "../../core/trust/log/tile.ts";
import { type Bench, type Figure, mediansOf, rateOf } from "./figure.ts";

export const logBenches: Readonly<Record<string, Bench>> = {
  "log.append": append,
  "log.prove_ms": prove,
};

const group = 1_000;
const suite = nativeSuite();

async function append({ quick, note }: Parameters<Bench>[0]): Promise<Figure> {
  await using site = await openLogSite();
  const { db, log } = site;
  await db.write((tx) =>
    tx.run(sql`CREATE TABLE plain (id INTEGER PRIMARY KEY, t, role, type, actor, subject, detail,
      statement)`)
  );
  const audit = auditOf("bench", Date.now);
  const count = group * (quick ? 4 : 20);
  const medians = await mediansOf(quick ? 2 : 9, async () => {
    const entries = Array.from({ length: count }, (_, i) => entryOf(log.size + i));
    const groups = Array.from({ length: count / group }, (_, i) => {
      return entries.slice(i * group, (i + 1) * group);
    });
    const rows = groups.map((entries) => JSON.stringify(entries.map(plainRow)));
    const floor = await rateOf(count, async () => {
      for (const json of rows) await db.write((tx) => insertPlain(tx, json));
    });
    const value = await rateOf(count, async () => {
      for (const entries of groups) await db.write((tx) => audit.appendAll(tx, entries));
      while (await log.integrate());
    });
    note(`${Math.round(value)} entries/s, floor ${Math.round(floor)}`);
    return { floor, value };
  });
  await expectSigned(site, (quick ? 3 : 10) * count);
  return { name: "log.append", unit: "entries/s", ...medians };
}

async function prove({ quick, note }: Parameters<Bench>[0]): Promise<Figure> {
  await using site = await openLogSite();
  const { db, log } = site;
  const size = quick ? 50_000 : 1_000_000;
  note(`a log of ${size} entries is made first`);
  await db.write((tx) =>
    tx.run(sql`INSERT INTO audit (t, role, type, actor, subject, detail)
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${size})
      SELECT 1800000000000 + n, 'bench', 'bench.done', 'site', 's-' || n, '{}' FROM numbers`)
  );
  while (await log.integrate());
  const proofs = quick ? 50 : 500;
  let checked = 0;
  const medians = await mediansOf(quick ? 2 : 9, async () => {
    // all over the log: each proof has tiles of its own
    const indexes = Array.from({ length: proofs }, (_, i) => (i * 7_919_111 + 13) % size);
    const floor = await rateOf(proofs, async () => {
      for (const index of indexes) await readTiles(db, { index, size });
    });
    const made: string[] = [];
    const value = await rateOf(proofs, async () => {
      for (const index of indexes) made.push((await log.prove(log.firstId + index))!);
    });
    checked += await check(site, { index: indexes[0]!, proof: made[0]! });
    note(`${(1_000 / value).toFixed(3)} ms, floor ${(1_000 / floor).toFixed(3)} ms`);
    return { floor: 1_000 / floor, value: 1_000 / value };
  });
  if (checked === 0) throw new Error("No proof was checked");
  return { name: "log.prove_ms", unit: "ms", ...medians };
}

interface LogSite extends AsyncDisposable {
  readonly db: OpenDatabase;
  readonly log: SiteLog;
}

async function openLogSite(): Promise<LogSite> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "edgeward-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const db = stack.use(await openDatabase({ path: join(folder, "edgeward.db") }));
  await db.migrate("core", [...auditMigrations, ...tlogMigrations]);
  const log = await SiteLog.open({
    ...{ suite, site: "bench", identity: openIdentity(suite, folder), db, dataDir: folder },
    clock: Date.now,
    onRollback: ({ reason }) => {
      throw new Error(reason);
    },
  });
  const opened = stack.move();
  return { db, log, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** What a cloud records of a summary. */
function entryOf(index: number) {
  return {
    type: "summary.stored",
    actor: `fog-${index % 10}`,
    subject: `fog-${index % 10}/${index}`,
    detail: { epoch: 1, seq: index },
    statement: suite.sha256(Uint8Array.of(index & 255, index >> 8, index >> 16)),
  };
}

function plainRow({ type, actor, subject, detail, statement }: ReturnType<typeof entryOf>) {
  const hash = statement.reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), "");
  return [1_800_000_000_000, type, actor, subject, JSON.stringify(detail), hash];
}

async function insertPlain(
  tx: Parameters<Parameters<OpenDatabase["write"]>[0]>[0],
  json: string,
): Promise<void> {
  await tx.run(sql`INSERT INTO plain (t, role, type, actor, subject, detail, statement)
    SELECT value ->> 0, 'bench', value ->> 1, value ->> 2, value ->> 3, value ->> 4,
      unhex(value ->> 5) FROM json_each(${json})`);
}

/** Each tile that the proof has a hash from, once. */
async function readTiles(
  db: OpenDatabase,
  { index, size }: { index: number; size: number },
): Promise<void> {
  const tiles = new Map(
    inclusionNodes(index, size).flat().map((node) => placeOf(node).tile)
      .map(({ level, index }) => [`${level}/${index}`, { level, index }]),
  );
  await db.read(async (q) => {
    for (const { level, index } of tiles.values()) {
      await q.all(sql`SELECT hashes FROM log_tiles WHERE level = ${level} AND tile = ${index}`);
    }
  });
}

async function expectSigned({ log }: LogSite, size: number): Promise<void> {
  const signed = parseCheckpoint(parseNote(log.checkpoint!).text);
  if (signed.size !== size) throw new Error(`Signed are ${signed.size} entries of ${size}`);
  const proof = (await log.prove(log.firstId + 1))!;
  await check({ log }, { index: 1, proof });
}

/** Checks a proof against the entry that the log serves. @throws NoteError */
async function check(
  { log }: Pick<LogSite, "log">,
  { index, proof }: { index: number; proof: string },
): Promise<number> {
  const tile = { level: "entries", index: Math.floor(index / tileWidth) } as const;
  const bundle = await log.tile({ ...tile, width: widthOf(tile, log.size) });
  checkProof(suite, parseProof(proof), decodeBundle(bundle!)[index % tileWidth]!);
  return 1;
}
