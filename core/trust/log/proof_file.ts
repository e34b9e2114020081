/**
 * A proof that travels with what it proves (C2SP tlog-proof, `.tlog-proof`): where an entry is, the
 * hashes from its leaf to the root, and the checkpoint with its signatures. With the keys of the log
 * and its witnesses it is checked anywhere, without asking anyone.
 */
import { fromBase64, toBase64 } from "../../base/bytes.ts";
import type { Suite } from "../crypto.ts";
import { type Checkpoint, hashOf, parseCheckpoint } from "./checkpoint.ts";
import { type Hash, leafHash, provesInclusion } from "./merkle.ts";
import { type Note, NoteError, parseNote } from "./note.ts";

export interface LogProof {
  readonly index: number;
  /** From the leaf to the root. */
  readonly path: readonly Hash[];
  /** The checkpoint as it was signed. */
  readonly checkpoint: string;
  /** Whatever else the application gives along. */
  readonly extra?: Uint8Array;
}

const firstLine = "c2sp.org/tlog-proof@v1";
/** A tree of 2^53 leaves has no longer path. */
const maxPath = 53;

export function formatProof({ index, path, checkpoint, extra }: LogProof): string {
  const lines = [
    firstLine,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...path.map(toBase64),
  ];
  return `${lines.join("\n")}\n\n${checkpoint}`;
}

/** Reads a proof and checks nothing. @throws NoteError "malformed" */
export function parseProof(text: string): LogProof {
  const end = text.indexOf("\n\n");
  const [first, ...lines] = text.slice(0, Math.max(end, 0)).split("\n");
  if (end === -1 || first !== firstLine) throw malformed();
  const extra = lines[0]?.startsWith("extra ") ? lines.shift()!.slice(6) : undefined;
  const [, index] = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? "") ?? [];
  if (index === undefined || lines.length > maxPath) throw malformed();
  return {
    index: Number(index),
    path: lines.map(hashOf),
    checkpoint: text.slice(end + 2),
    ...(extra !== undefined && { extra: extraOf(extra) }),
  };
}

/**
 * Checks that an entry is where the proof says, under the checkpoint in it. Whose signatures the
 * checkpoint has, its reader checks.
 * @throws NoteError "malformed", "forged"
 */
export function checkProof(
  suite: Pick<Suite, "sha256">,
  { index, path, checkpoint }: LogProof,
  entry: Uint8Array,
): { note: Note; checkpoint: Checkpoint } {
  const note = parseNote(checkpoint);
  const { origin, size, root } = parseCheckpoint(note.text);
  const leaf = leafHash(suite, entry);
  if (!provesInclusion(suite, { index, size, leaf, proof: path, root })) {
    throw new NoteError("forged", "Cannot accept the proof: the entry is not in the log there");
  }
  return { note, checkpoint: { origin, size, root } };
}

function extraOf(base64: string): Uint8Array {
  try {
    return fromBase64(base64);
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause?: unknown): NoteError {
  return new NoteError("malformed", "Cannot read the proof: not a .tlog-proof", { cause });
}
