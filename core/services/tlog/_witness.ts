/**
 * This site as a witness of other logs (C2SP tlog-witness): it cosigns a checkpoint of a log that it
 * knows when that grew out of the one that it cosigned last. Looking at the last one and writing the
 * new one down are one transaction, and the cosignature leaves after that is on disk.
 *
 * A log is known by its key; the generations of an Edgeward log are one log, of which only the newest
 * is alive. That a log went back to its beginning is what a witness is there to tell.
 */
import { sql } from "drizzle-orm";
import { equalBytes, toHex, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { type Checkpoint, hashOf, parseCheckpoint } from "../../trust/log/checkpoint.ts";
import { cosign } from "../../trust/log/cosignature.ts";
import { emptyRoot, type Hash, provesConsistency } from "../../trust/log/merkle.ts";
import {
  formatNote,
  formatSignature,
  type Note,
  NoteError,
  type NoteKey,
  noteKey,
  parseNote,
  parseNoteKey,
  signatureOf,
  verifyText,
} from "../../trust/log/note.ts";
import type { Suite } from "../../trust/crypto.ts";
import type { Audit } from "../audit.ts";
import type { Database, Queries } from "../db/mod.ts";
import { splitOrigin, type WitnessKey } from "./_keys.ts";

export interface WitnessOptions {
  readonly suite: Suite;
  readonly db: Database;
  readonly clock: Clock;
  readonly own: WitnessKey;
  /** NAME+ID+KEY of every log that is cosigned; of an Edgeward log, any generation's. */
  readonly logs: readonly string[];
  readonly audit: Audit;
  /**
   * Hears of a log that contradicts what it said before, after that was recorded, and as often as does
   * no harm: a proof that does not hold is the log's fault or that of whoever sent it.
   */
  readonly onContradiction: (what: Contradiction) => void;
}

/** A type and not an interface, because it is the detail of an entry. */
export type Contradiction = {
  readonly origin: string;
  /** What the log says now. */
  readonly size: number;
  readonly root: string;
  readonly reason: string;
  /** What was cosigned before, where that is of the same origin. */
  readonly cosigned?: { readonly size: number; readonly root: string };
};

/** What a log hands in: the checkpoint, and how it grew out of the one before. */
export interface Submission {
  readonly old: number;
  readonly proof: readonly Hash[];
  readonly note: Note;
}

export type Verdict =
  | { readonly status: 200; readonly signature: string }
  | { readonly status: 409; readonly size: number }
  | { readonly status: 400 | 403 | 404 | 422; readonly reason: string };

export interface Witness {
  /** Names of the logs that it cosigns. */
  readonly logs: readonly string[];
  add(submission: Submission): Promise<Verdict>;
  /** The checkpoint that was cosigned last for the origin with this SHA-256; null when there is none. */
  cosigned(originHash: string): Promise<string | null>;
}

/** What was cosigned last of an origin. */
interface Known {
  readonly size: number;
  readonly root: Uint8Array;
}

/** Generations of a log that are remembered; all but the newest have ended. */
const remembered = 32;
/** Contradictions of one log that are recorded in an hour. */
const recorded = { limit: 10, within: 3_600_000 };

export function openWitness(options: WitnessOptions): Witness {
  const { suite, db, clock, own, audit, onContradiction } = options;
  const recent = new Map<string, { t: number; what: string }[]>();
  const known = new Map(options.logs.map((text) => {
    const key = parseNoteKey(suite, text);
    return [splitOrigin(key.name).log, key];
  }));

  /** The key that the log of an origin signs with, if it is known. */
  function keyFor(origin: string): NoteKey | null {
    const { log, generation } = splitOrigin(origin);
    const key = known.get(log);
    return key === undefined ? null : generation === 0 ? key : noteKey(suite, {
      ...key,
      name: origin,
    });
  }

  async function judge(
    tx: Queries,
    { old, proof, note }: Submission,
    checkpoint: Checkpoint,
  ): Promise<{ verdict: Verdict; alarm?: Pick<Contradiction, "reason" | "cosigned"> }> {
    const { origin, size, root } = checkpoint;
    const { log, generation } = splitOrigin(origin);
    const newest = await newestOf(tx, log);
    const last = await lastOf(tx, origin);
    if (newest !== null && newest.generation > generation) {
      const reason = "a generation that had ended goes on";
      const verdict: Verdict = { status: 404, reason };
      // anybody may hand in again what it once said
      return size > (last?.size ?? 0) ? { verdict, alarm: { reason } } : { verdict };
    }
    const cosigned = last === null ? null : { size: last.size, root: toHex(last.root) };
    if (last?.size === size && !equalBytes(last.root, root)) {
      const reason = "two checkpoints of the same size have different roots";
      const verdict: Verdict = old === size ? { status: 422, reason } : { status: 409, size };
      return { verdict, alarm: { reason, cosigned: cosigned! } };
    }
    if (old !== (last?.size ?? 0)) return { verdict: { status: 409, size: last?.size ?? 0 } };
    const reason = flawOf(suite, { old, oldRoot: last?.root ?? null, size, root, proof });
    if (reason !== null) {
      const verdict: Verdict = { status: 422, reason };
      return cosigned === null ? { verdict } : { verdict, alarm: { reason, cosigned } };
    }
    const time = Math.floor(clock() / 1_000);
    const sign = (message: Uint8Array) => own.signer.sign(message);
    const cosignature = cosign(note.text, { key: own.key, time, sign });
    const ofLog = signatureOf(note, keyFor(origin)!)!;
    const kept = formatNote({ text: note.text, signatures: [ofLog, cosignature] });
    await tx.run(sql`INSERT OR REPLACE INTO log_witnessed
      (origin, hash, log, generation, size, root, note, cosigned_at)
      VALUES (${origin}, ${toHex(suite.sha256(utf8(origin)))}, ${log}, ${generation}, ${size},
        ${root}, ${kept}, ${time})`);
    await tx.run(sql`DELETE FROM log_witnessed
      WHERE log = ${log} AND generation <= ${generation - remembered}`);
    const verdict: Verdict = { status: 200, signature: formatSignature(cosignature) };
    return last === null && newest !== null
      ? { verdict, alarm: { reason: `a new generation began after ${newest.generation}` } }
      : { verdict };
  }

  /** Whether it is something new, and not one of very many. */
  function isWorthRecording(contradiction: Contradiction): boolean {
    const { log } = splitOrigin(contradiction.origin);
    const [t, what] = [clock(), JSON.stringify(contradiction)];
    const before = (recent.get(log) ?? []).filter((one) => t - one.t < recorded.within);
    const isNew = before.length < recorded.limit && !before.some((one) => one.what === what);
    recent.set(log, isNew ? [...before, { t, what }] : before);
    return isNew;
  }

  return {
    logs: [...known.keys()],
    async add(submission) {
      const checkpoint = parseCheckpoint(submission.note.text);
      const { origin, size, root } = checkpoint;
      const key = keyFor(origin);
      if (key === null) return { status: 404, reason: "the log is not known here" };
      try {
        verifyText(suite, submission.note, key);
      } catch (error) {
        if (!(error instanceof NoteError)) throw error;
        return { status: 403, reason: error.message };
      }
      if (submission.old > size) {
        return { status: 400, reason: "the old size is larger than the checkpoint's" };
      }
      const { verdict, told } = await db.write(async (tx) => {
        const { verdict, alarm } = await judge(tx, submission, checkpoint);
        const told = alarm && { origin, size, root: toHex(root), ...alarm };
        if (told === undefined || !isWorthRecording(told)) return { verdict };
        const subject = origin;
        await audit.append(tx, { type: "log.inconsistent", actor: "site", subject, detail: told });
        return { verdict, told };
      });
      if (told !== undefined) onContradiction(told);
      return verdict;
    },
    async cosigned(originHash) {
      const [row] = await db.read((q) =>
        q.all<{ note: string }>(sql`SELECT note FROM log_witnessed WHERE hash = ${originHash}`)
      );
      return row?.note ?? null;
    },
  };
}

/** @throws NoteError "malformed" */
export function parseSubmission(text: string): Submission {
  const end = text.indexOf("\n\n");
  const [first, ...lines] = text.slice(0, Math.max(end, 0)).split("\n");
  const [, old] = /^old (0|[1-9]\d{0,15})$/.exec(first ?? "") ?? [];
  if (old === undefined || !Number.isSafeInteger(Number(old)) || lines.length > maxProof) {
    throw new NoteError("malformed", "Cannot read the submission: no old size, or a long proof");
  }
  const note = parseNote(text.slice(end + 2));
  parseCheckpoint(note.text);
  return { old: Number(old), proof: lines.map(hashOf), note };
}

/** Lines of a proof at the most, as the standard has it. */
const maxProof = 63;

/** What is wrong with a proof; null when the tree grew out of the old one. */
function flawOf(
  suite: Pick<Suite, "sha256">,
  { old, oldRoot, size, root, proof }: {
    readonly old: number;
    readonly oldRoot: Hash | null;
    readonly size: number;
    readonly root: Hash;
    readonly proof: readonly Hash[];
  },
): string | null {
  if (size === 0 && !equalBytes(root, emptyRoot(suite))) return "the root of no entries is another";
  if (old === 0) return proof.length === 0 ? null : "from no entries there is nothing to prove";
  const grew = { old, size, oldRoot: oldRoot!, root, proof };
  return provesConsistency(suite, grew) ? null : "the proof that the log only grew does not hold";
}

async function lastOf(q: Queries, origin: string): Promise<Known | null> {
  const [row] = await q.all<{ size: number; root: ArrayBuffer }>(
    sql`SELECT size, root FROM log_witnessed WHERE origin = ${origin}`,
  );
  return row === undefined ? null : { size: row.size, root: new Uint8Array(row.root) };
}

async function newestOf(q: Queries, log: string): Promise<{ generation: number } | null> {
  const [row] = await q.all<{ generation: number }>(sql`SELECT generation FROM log_witnessed
    WHERE log = ${log} ORDER BY generation DESC LIMIT 1`);
  return row ?? null;
}
