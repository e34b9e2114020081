/**
 * Checks that one entry is in a log, from a `.tlog-proof` alone. The entry is in the proof (as its extra
 * data), or it is given beside it; a statement that is given must be the one that the entry names.
 */
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { leafHash, provesInclusion } from "../../core/trust/log/merkle.ts";
import { NoteError } from "../../core/trust/log/note.ts";
import { type LogProof, parseProof } from "../../core/trust/log/proof_file.ts";
import { decodeLogEntry, type LogEntry, LogEntryError } from "../../core/wire/log_entry.ts";
import { FindingError, type Found } from "./finding.ts";
import { entryLine, shownEntry } from "./shown.ts";
import { checkCheckpoint, openCheckpoint, type Trust } from "./signatures.ts";
import { wrong } from "./source.ts";
import { requireKey } from "./verify.ts";

export interface ProofOptions {
  readonly suite: Suite;
  /** What the file holds, and what messages call it. */
  readonly text: string;
  readonly path: string;
  /** The entry, or the statement that it names; null when the proof has the entry in it. */
  readonly given: { readonly bytes: Uint8Array; readonly path: string } | null;
  readonly trust: Trust;
  readonly found: Found;
}

/** @throws FindingError, CodedError "usage" when there is no entry */
export function verifyProof({ suite, text, path, given, trust, found }: ProofOptions): void {
  const proof = opened(text, path);
  const bytes = proof.extra ?? given?.bytes;
  if (bytes === undefined) {
    throw new CodedError("usage", `Cannot check ${path}: there is no entry in it`, {
      hint: "name a file with the entry behind it",
    });
  }
  const checkpoint = openCheckpoint(proof.checkpoint, path);
  checkCheckpoint(suite, checkpoint, { trust, path, found });
  const { index, path: hashes } = proof;
  const { size, root } = checkpoint;
  const leaf = leafHash(suite, bytes);
  if (!provesInclusion(suite, { index, size, leaf, proof: hashes, root })) {
    throw wrong(path, `it does not lead from the entry, number ${index}, to the root`);
  }
  const entry = { index, ...entryOf(bytes, path) };
  const facts = { entry: shownEntry(entry) };
  found({ part: "entry", state: "ok", what: `of ${size}: ${entryLine(entry)}`, facts });
  if (given !== null && !equalBytes(given.bytes, bytes)) {
    if (entry.statement === null || !equalBytes(suite.sha256(given.bytes), entry.statement)) {
      throw new FindingError(
        "log_wrong",
        `Cannot accept ${given.path}: it is neither the entry nor the statement that it names`,
        { where: given.path },
      );
    }
    const what = `${given.path} is what the entry names, SHA-256 ${toHex(entry.statement)}`;
    found({ part: "statement", state: "ok", what, facts: {} });
  }
  requireKey(trust);
}

function opened(text: string, path: string): LogProof {
  try {
    return parseProof(text);
  } catch (error) {
    if (error instanceof NoteError) throw wrong(path, "it is no .tlog-proof");
    throw error;
  }
}

function entryOf(bytes: Uint8Array, path: string): LogEntry {
  try {
    return decodeLogEntry(bytes);
  } catch (error) {
    if (error instanceof LogEntryError) throw wrong(path, "what was logged is no entry of a site");
    throw error;
  }
}
