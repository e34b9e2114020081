/**
 * Checkpoints (C2SP tlog-checkpoint): what a log says of itself in a signed note, three lines: its
 * origin, how many entries it has, the root of its tree. A log never signs two that contradict.
 */
import { fromBase64, toBase64 } from "../../base/bytes.ts";
import type { Hash } from "./merkle.ts";
import { NoteError } from "./note.ts";

export interface Checkpoint {
  /** Names the log: no spaces, no plus sign. */
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
}

export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Reads the text of a note; lines behind the third are passed over. @throws NoteError "malformed" */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin, size, root] = text.split("\n");
  if (origin === undefined || origin === "" || !/^(0|[1-9]\d{0,15})$/.test(size ?? "")) {
    throw malformed();
  }
  const checkpoint = { origin, size: Number(size), root: hashOf(root ?? "") };
  if (!Number.isSafeInteger(checkpoint.size)) throw malformed();
  return checkpoint;
}

/** The hash on a line. @throws NoteError "malformed" */
export function hashOf(line: string): Hash {
  try {
    const hash = fromBase64(line);
    if (hash.length === 32) return hash;
  } catch (error) {
    throw malformed(error);
  }
  throw malformed();
}

function malformed(cause?: unknown): NoteError {
  return new NoteError("malformed", "Cannot read the checkpoint: not origin, size and root", {
    cause,
  });
}
