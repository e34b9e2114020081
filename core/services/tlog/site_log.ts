/**
 * The site's history as a log that nobody can rewrite unnoticed (protocols.md §7). Entries are the rows
 * of `audit`, written in the transaction of what they tell. Soon after, they are hashed into the tree
 * and a checkpoint is signed: it is in the database and, as a copy, in `log.head` before anyone sees it.
 *
 * Never are two checkpoints signed that contradict each other. When the database turns out to be older
 * than what was signed, the log that was signed ends there: a new generation begins, under an origin of
 * its own, whose first entry holds the old head.
 */
import { sql } from "drizzle-orm";
import { equalBytes, toHex } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Suite } from "../../trust/crypto.ts";
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from "../../trust/log/checkpoint.ts";
import {
  consistencyNodes,
  GrowingTree,
  type Hash,
  type HashedNode,
  inclusionNodes,
  leafHash,
  nodesOf,
  rootOf,
} from "../../trust/log/merkle.ts";
import {
  formatNote,
  NoteError,
  type NoteKey,
  parseNote,
  signText,
  verifyText,
} from "../../trust/log/note.ts";
import { formatProof } from "../../trust/log/proof_file.ts";
import { encodeBundle, type Tile, tileWidth, widthOf } from "../../trust/log/tile.ts";
import { decodeLogEntry } from "../../wire/log_entry.ts";
import { auditOf } from "../audit.ts";
import type { Database, Queries } from "../db/mod.ts";
import type { Identity } from "../identity.ts";
import { nextId, readEntries } from "./_entries.ts";
import { readHeadFile, writeHeadFile } from "./_head_file.ts";
import { logKey, splitOrigin } from "./_keys.ts";
import { addToTiles, NodeHashes, readTile } from "./_tiles.ts";

export interface SiteLogOptions {
  readonly suite: Suite;
  readonly site: string;
  readonly identity: Pick<Identity, "signer" | "fingerprint">;
  readonly db: Database;
  readonly dataDir: string;
  readonly clock: Clock;
  /** Hears why a new generation has begun. */
  readonly onRollback: (detail: { origin: string; size: number; reason: string }) => void;
}

/** Entries that are hashed in one transaction at the most. */
const step = 4_096;

interface State {
  readonly generation: number;
  /** The row of `audit` that is the first entry. */
  readonly firstId: number;
  readonly size: number;
  /** The note. */
  readonly checkpoint: string;
}

/** As far as a new database knows. */
const nothingSigned: State = { generation: 1, firstId: 1, size: 0, checkpoint: "" };

export class SiteLog {
  readonly #options: SiteLogOptions;
  #state: State;
  /** Of `#state.size` leaves; null where it has to be read from the tiles first. */
  #tree: GrowingTree | null = null;
  readonly #hashes: NodeHashes;

  private constructor(options: SiteLogOptions, state: State) {
    this.#options = options;
    this.#hashes = new NodeHashes(options.suite);
    this.#state = state;
  }

  /** @throws CodedError "log_head_unreadable", "log_damaged", DatabaseError */
  static async open(options: SiteLogOptions): Promise<SiteLog> {
    const head = readHeadFile(options.dataDir);
    const stored = await options.db.read(readState);
    const log = new SiteLog(options, stored ?? nothingSigned);
    if (stored?.checkpoint === "") await log.#tellAgain();
    try {
      if (head !== null) await log.reconsider(head);
      // the tiles are what the next signature builds on
      if (log.checkpoint !== null) await log.reconsider(log.checkpoint);
    } catch (error) {
      if (!(error instanceof NoteError)) throw error;
      throw new CodedError("log_damaged", `Cannot use log.head: ${error.message}`, {
        hint: "restore data_dir/log.head, or remove it if this site begins a new history",
        cause: error,
      });
    }
    const { checkpoint } = log;
    if (checkpoint !== null && checkpoint !== head) writeHeadFile(options.dataDir, checkpoint);
    return log;
  }

  /** Under this name and key the log signs. */
  get key(): NoteKey {
    return this.keyOf(this.#state.generation);
  }

  /** The key of another generation. */
  keyOf(generation: number): NoteKey {
    return logKey(this.#options, generation);
  }

  get generation(): number {
    return this.#state.generation;
  }

  get size(): number {
    return this.#state.size;
  }

  /** The row of `audit` that is the first entry; those before belong to what ended. */
  get firstId(): number {
    return this.#state.firstId;
  }

  /** The latest checkpoint, a note signed by the log; null before the first. */
  get checkpoint(): string | null {
    return this.#state.checkpoint === "" ? null : this.#state.checkpoint;
  }

  /** Hashes new entries and signs a checkpoint. Returns whether there were any. */
  async integrate(): Promise<boolean> {
    const { db, suite, dataDir } = this.#options;
    const { firstId, size } = this.#state;
    const entries = await db.read((q) => readEntries(q, { firstId, from: size, count: step }));
    if (entries.length === 0) return false;
    if (this.#tree === null) this.#hashes.forget();
    const tree = this.#tree ?? await db.read((q) => treeOf(this.#options, q, this.#state));
    // it is ahead of the state until all is on disk; where that fails it is of no more use
    this.#tree = null;
    const nodes: HashedNode[] = [];
    for (const entry of entries) nodes.push(...tree.append(leafHash(suite, entry)));
    const state = { ...this.#state, size: tree.size, checkpoint: this.#sign(tree) };
    await db.write(async (tx) => {
      await addToTiles(tx, nodes);
      await writeState(tx, state);
    });
    writeHeadFile(dataDir, state.checkpoint);
    this.#state = state;
    this.#tree = tree;
    return true;
  }

  /** What a path below `/log/` names, in the size that it has now; null when there is no such thing. */
  async tile({ level, index, width }: Tile): Promise<Uint8Array | null> {
    const { db } = this.#options;
    const { firstId, size } = this.#state;
    if (width > widthOf({ level, index }, size)) return null;
    if (level !== "entries") {
      const bytes = await db.read((q) => readTile(q, { level, index }));
      return bytes === null ? null : bytes.slice(0, 32 * width);
    }
    const from = index * tileWidth;
    return encodeBundle(await db.read((q) => readEntries(q, { firstId, from, count: width })));
  }

  /** The hashes that prove that today's tree grew out of its first `old` entries. */
  async consistency(old: number, size = this.#state.size): Promise<Hash[]> {
    const { db } = this.#options;
    return await db.read((q) => this.#hashes.ofSpans(q, consistencyNodes(old, size)));
  }

  /**
   * Proves the entry that a row of `audit` is, as a `.tlog-proof` under a checkpoint of this log; the
   * entry goes along as its extra data. Null while the checkpoint does not have it.
   */
  async prove(id: number, checkpoint = this.checkpoint): Promise<string | null> {
    const { db } = this.#options;
    const { firstId } = this.#state;
    const index = id - firstId;
    if (checkpoint === null || index < 0) return null;
    const { origin, size } = parseCheckpoint(parseNote(checkpoint).text);
    if (index >= size || origin !== this.key.name) return null;
    return await db.read(async (q) => {
      const [extra] = await readEntries(q, { firstId, from: index, count: 1 });
      if (extra === undefined) return null;
      const path = await this.#hashes.ofSpans(q, inclusionNodes(index, size));
      return formatProof({ index, path, checkpoint, extra });
    });
  }

  /**
   * Holds a checkpoint that this site has signed, wherever it was kept, against the database. Begins a
   * new generation when they contradict each other, and returns whether they did.
   * @throws NoteError when it is none of this site's
   */
  async reconsider(note: string): Promise<boolean> {
    const reason = await this.#contradiction(note);
    if (reason !== null) await this.begin(note, reason);
    return reason !== null;
  }

  /** Ends the log that was signed, because this database is not what it says, and begins another. */
  async begin(head: string, reason: string): Promise<void> {
    const { db, clock, onRollback, dataDir } = this.#options;
    const old = parseCheckpoint(parseNote(head).text);
    const generation = Math.max(this.#state.generation, splitOrigin(old.origin).generation) + 1;
    const state = await db.write(async (tx) => {
      const firstId = await nextId(tx);
      await auditOf("core", clock).append(tx, {
        type: "log.inconsistent",
        actor: "site",
        subject: old.origin,
        detail: { reason, size: old.size, root: toHex(old.root) },
      });
      await tx.run(sql`DELETE FROM log_tiles`);
      const state: State = { generation, firstId, size: 0, checkpoint: "" };
      await writeState(tx, state);
      return state;
    });
    this.#state = state;
    this.#tree = null;
    onRollback({ origin: old.origin, size: old.size, reason });
    await this.integrate();
    // entries may have followed the first, but it is signed by now, and so is the file
    if (this.checkpoint !== null) writeHeadFile(dataDir, this.checkpoint);
  }

  #sign(tree: GrowingTree): string {
    const key = this.key;
    const checkpoint: Checkpoint = { origin: key.name, size: tree.size, root: tree.root };
    const text = formatCheckpoint(checkpoint);
    const { sign } = this.#options.identity.signer;
    return formatNote({ text, signatures: [signText(text, { key, sign })] });
  }

  /** Why a checkpoint that this site signed does not go with its database; null when it does. */
  async #contradiction(note: string): Promise<string | null> {
    const { suite, db } = this.#options;
    const parsed = parseNote(note);
    const signed = parseCheckpoint(parsed.text);
    const { generation } = splitOrigin(signed.origin);
    const key = this.keyOf(generation);
    if (signed.origin !== key.name) {
      throw new NoteError("unsigned", "Cannot accept the note: it is of another log");
    }
    verifyText(suite, parsed, key);
    if (generation !== this.#state.generation) {
      const isOlder = generation < this.#state.generation;
      return isOlder ? null : "the database is of an earlier generation";
    }
    const { firstId, size } = this.#state;
    if (signed.size > size || await db.read(nextId) < firstId + size) {
      return "the database is shorter than what was signed";
    }
    const hashes = await db.read((q) =>
      this.#hashes.ofSpans(q, nodesOf(signed.size).map((node) => [node]))
    );
    return equalBytes(rootOf(suite, hashes), signed.root)
      ? null
      : "the database has other entries than what was signed";
  }

  /** A generation began and nothing of it was signed: whether anybody heard of it is not known. */
  async #tellAgain(): Promise<void> {
    const { db, onRollback } = this.#options;
    const { firstId } = this.#state;
    const [entry] = await db.read((q) => readEntries(q, { firstId, from: 0, count: 1 }));
    if (entry === undefined) return;
    const { subject, detail } = decodeLogEntry(entry);
    const { size, reason } = JSON.parse(detail);
    onRollback({ origin: subject, size, reason });
  }
}

async function readState(q: Queries): Promise<State | null> {
  const [row] = await q.all<State>(
    sql`SELECT generation, first_id AS firstId, size, checkpoint FROM log_state`,
  );
  return row ?? null;
}

async function writeState(tx: Queries, state: State): Promise<void> {
  const { generation, firstId, size, checkpoint } = state;
  await tx.run(sql`INSERT OR REPLACE INTO log_state
    VALUES (1, ${generation}, ${firstId}, ${size}, ${checkpoint})`);
}

async function treeOf(
  { suite }: SiteLogOptions,
  q: Queries,
  { size }: State,
): Promise<GrowingTree> {
  const nodes = nodesOf(size).map((node) => [node]);
  const hashes = await new NodeHashes(suite).ofSpans(q, nodes);
  return new GrowingTree(suite, size, hashes);
}
