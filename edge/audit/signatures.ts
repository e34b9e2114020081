/**
 * Who stands behind a checkpoint: the log, whose key the auditor has from somewhere else, and witnesses
 * that have seen nothing that contradicts it. A wrong signature of a key that was named is an error,
 * however many others there are; signatures of other keys say nothing (C2SP signed-note).
 */
import type { Suite } from "../../core/trust/crypto.ts";
import { type Checkpoint, parseCheckpoint } from "../../core/trust/log/checkpoint.ts";
import { verifyCosignature } from "../../core/trust/log/cosignature.ts";
import {
  type Note,
  NoteError,
  type NoteKey,
  parseNote,
  signatureOf,
  verifyText,
} from "../../core/trust/log/note.ts";
import { toBase64 } from "../../core/base/bytes.ts";
import { FindingError, type Found } from "./finding.ts";
import { instantOf } from "./shown.ts";
import { wrong } from "./source.ts";

/** Whose word is taken. */
export interface Trust {
  /** The key of the log; null when the auditor has none. */
  readonly key: NoteKey | null;
  readonly witnesses: readonly NoteKey[];
  /** How many of them must have cosigned. */
  readonly quorum: number;
}

export interface SignedCheckpoint extends Checkpoint {
  readonly note: Note;
}

/** Reads a note and the checkpoint in it. @throws FindingError "log_wrong" */
export function openCheckpoint(text: string, path: string): SignedCheckpoint {
  try {
    const note = parseNote(text);
    return { ...parseCheckpoint(note.text), note };
  } catch (error) {
    throw asAuditError(error, path);
  }
}

/** Tells of the checkpoint and checks every signature. @throws FindingError */
export function checkCheckpoint(
  suite: Suite,
  checkpoint: SignedCheckpoint,
  { trust, path, found }: { trust: Trust; path: string; found: Found },
): void {
  const { origin, size } = checkpoint;
  const root = toBase64(checkpoint.root);
  found({
    part: "checkpoint",
    state: "ok",
    what: `${origin}, ${size} entries, root ${root}`,
    facts: { origin, size, root },
  });
  checkSignature(suite, checkpoint, { trust, path });
  const key = trust.key?.name ?? null;
  found({
    part: "signature",
    ...(key !== null
      ? { state: "ok", what: `by the log's key, ${key}` }
      : { state: "degraded", what: "NOT CHECKED, for want of --key: anybody may have made this" }),
    facts: { key },
  });
  checkWitnesses(suite, checkpoint, { trust, path, found });
}

/** Whether the log signed it; without a key that is not asked. @throws FindingError */
export function checkSignature(
  suite: Suite,
  { origin, note }: SignedCheckpoint,
  { trust: { key }, path }: { trust: Pick<Trust, "key">; path: string },
): void {
  if (key === null) return;
  if (key.name !== origin) {
    throw new FindingError(
      "log_other",
      `Cannot accept ${path}: the log is ${origin}, and the key is that of ${key.name}`,
      {
        where: path,
        hint: "where only the last number differs, the site has begun another log: ask it why",
      },
    );
  }
  try {
    verifyText(suite, note, key);
  } catch (error) {
    throw asAuditError(error, path);
  }
}

/**
 * Each witness, and when it cosigned: an instant, or null where it did not.
 * @throws FindingError "log_wrong" when one of them signed something else
 */
export function cosignaturesOn(
  suite: Suite,
  { note }: SignedCheckpoint,
  { trust: { witnesses }, path }: { trust: Pick<Trust, "witnesses">; path: string },
): { name: string; time: string | null }[] {
  return witnesses.map((witness) => {
    const { name } = witness;
    if (signatureOf(note, witness) === null) return { name, time: null };
    try {
      return { name, time: instantOf(verifyCosignature(suite, note, witness) * 1_000) };
    } catch (error) {
      throw asAuditError(error, path);
    }
  });
}

function checkWitnesses(
  suite: Suite,
  checkpoint: SignedCheckpoint,
  { trust, path, found }: { trust: Trust; path: string; found: Found },
): void {
  const witnesses = cosignaturesOn(suite, checkpoint, { trust, path });
  for (const { name, time } of witnesses) {
    const state = time === null ? "degraded" : "ok";
    const what = time === null ? `${name} has not cosigned` : `${name} cosigned at ${time}`;
    found({ part: "witness", state, what, facts: { witnesses } });
  }
  const { quorum } = trust;
  const missing = witnesses.filter(({ time }) => time === null).map(({ name }) => name);
  const cosigned = `${witnesses.length - missing.length} of ${witnesses.length} witnesses`;
  if (witnesses.length - missing.length < quorum) {
    const why = `${cosigned} have cosigned it, ${quorum} must have; missing: ${missing.join(", ")}`;
    throw new FindingError("quorum_missing", `Cannot accept ${path}: ${why}`, {
      where: path,
      hint: "a checkpoint of this second may wait for its witnesses: ask again",
    });
  }
  const facts = { witnesses, quorum };
  if (witnesses.length > 0) {
    return found({ part: "quorum", state: "ok", what: `${cosigned}, ${quorum} are enough`, facts });
  }
  const what = "none was named: the log may show others another history";
  found({ part: "witness", state: "degraded", what, facts });
}

function asAuditError(error: unknown, path: string): unknown {
  if (!(error instanceof NoteError)) return error;
  return wrong(path, error.message.replace(/^Cannot [^:]*: /, ""));
}
