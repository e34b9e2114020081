/** Keys of logs and witnesses as they are handed around: NAME+ID+KEY (C2SP signed-note). */
import { z } from "zod";
import { nativeSuite } from "../../services/crypto_native.ts";
import { type NoteKind, parseNoteKey } from "../../trust/log/note.ts";

const suite = nativeSuite();

/** Text of a key of this kind, checked and left as it is. */
export function noteKeyText(kind: NoteKind) {
  return z.string().refine(
    (text) => isKey(text, kind),
    "expected NAME+ID+KEY as `edgeward audit witness` prints it",
  );
}

function isKey(text: string, kind: NoteKind): boolean {
  try {
    return parseNoteKey(suite, text).kind === kind;
  } catch {
    return false;
  }
}
