/**
 * Signed notes (C2SP signed-note): a text that ends with a newline, an empty line, and a line for each
 * signature: `— NAME BASE64(key id, signature)`. A key's id is the beginning of a hash over its name,
 * kind and bytes; a verifier goes by name and id, and passes over signatures of keys that it does not
 * know.
 */
import { concat, equalBytes, fromBase64, toBase64, toHex, utf8 } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import type { Suite } from "../crypto.ts";

export type NoteErrorCode =
  | "malformed" // no signed note
  | "unsigned" // none of the known keys has signed it
  | "forged"; // a known key's signature does not verify

export class NoteError extends CodedError<NoteErrorCode> {
  override readonly name = "NoteError";
}

/** What kind of signature a key makes; the numbers are those of the standard. */
export const NoteKind = { ed25519: 0x01, cosignature: 0x04 } as const;
export type NoteKind = typeof NoteKind[keyof typeof NoteKind];

/** A key that notes are checked with, known by its name. */
export interface NoteKey {
  /** Not empty, without spaces and plus signs. */
  readonly name: string;
  readonly kind: NoteKind;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Four bytes. */
  readonly id: Uint8Array;
}

export interface NoteSignature {
  readonly name: string;
  readonly id: Uint8Array;
  /** What follows the id: 64 bytes, or with a time before them for a cosignature. */
  readonly bytes: Uint8Array;
}

export interface Note {
  /** Ends with a newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Characters of a note, and signatures on it, at the most. */
const maxLength = 1_000_000;
const maxSignatures = 100;

const dash = "\u2014 ";
const isName = (text: string) => /^[^\s+\p{Cc}]+$/u.test(text);

/** @throws NoteError "malformed" when the name or key cannot be one */
export function noteKey(
  { sha256 }: Pick<Suite, "sha256">,
  { name, kind, publicKey }: Omit<NoteKey, "id">,
): NoteKey {
  if (!isName(name) || publicKey.length !== 32) throw malformed("a key is not one");
  const id = sha256(utf8(`${name}\n`), Uint8Array.of(kind), publicKey).slice(0, 4);
  return { name, kind, publicKey, id };
}

/** `NAME+ID+BASE64(kind, key)`, as keys are handed around. */
export function formatNoteKey({ name, kind, publicKey, id }: NoteKey): string {
  return `${name}+${toHex(id)}+${toBase64(concat(Uint8Array.of(kind), publicKey))}`;
}

/** @throws NoteError "malformed" */
export function parseNoteKey(suite: Pick<Suite, "sha256">, text: string): NoteKey {
  const [, name, id, base64] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  if (name === undefined) throw malformed("a key is not NAME+ID+KEY");
  const bytes = decoded(base64!);
  const kind = Object.values(NoteKind).find((one) => one === bytes[0]);
  if (kind === undefined) throw malformed("a key is of an unknown kind");
  const key = noteKey(suite, { name, kind, publicKey: bytes.slice(1) });
  if (toHex(key.id) !== id) throw malformed("a key has another id than it says");
  return key;
}

export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(formatSignature).join("")}`;
}

/** A line with its newline. */
export function formatSignature({ name, id, bytes }: NoteSignature): string {
  return `${dash}${name} ${toBase64(concat(id, bytes))}\n`;
}

/** Reads a note and checks nothing. @throws NoteError "malformed" */
export function parseNote(note: string): Note {
  const end = note.lastIndexOf("\n\n");
  // deno-lint-ignore no-control-regex -- that there are none is the point
  if (note.length > maxLength || end === -1 || /[\0-\x09\x0b-\x1f]/.test(note)) {
    throw malformed("it is no signed note");
  }
  return { text: note.slice(0, end + 1), signatures: parseSignatures(note.slice(end + 2)) };
}

/** Lines of signatures, at least one. @throws NoteError "malformed" */
export function parseSignatures(lines: string): NoteSignature[] {
  const split = lines.split("\n");
  if (split.pop() !== "" || split.length === 0 || split.length > maxSignatures) {
    throw malformed("its signatures are not lines");
  }
  return split.map((line) => {
    const [name, base64, ...rest] = line.slice(dash.length).split(" ");
    if (!line.startsWith(dash) || rest.length > 0 || !isName(name!) || base64 === undefined) {
      throw malformed("a signature is not one line");
    }
    const bytes = decoded(base64);
    if (bytes.length < 5) throw malformed("a signature is too short");
    return { name: name!, id: bytes.slice(0, 4), bytes: bytes.slice(4) };
  });
}

/** The signature of a key on a note, or null; of several the first. */
export function signatureOf(
  { signatures }: Pick<Note, "signatures">,
  { name, id }: NoteKey,
): NoteSignature | null {
  return signatures.find((one) => one.name === name && equalBytes(one.id, id)) ?? null;
}

/** Signs a text with a key of kind `ed25519`. */
export function signText(
  text: string,
  { key, sign }: { key: NoteKey; sign: (message: Uint8Array) => Uint8Array },
): NoteSignature {
  return { name: key.name, id: key.id, bytes: sign(utf8(text)) };
}

/** Whether a key of kind `ed25519` signed the note. @throws NoteError "unsigned", "forged" */
export function verifyText(suite: Pick<Suite, "ed25519">, note: Note, key: NoteKey): void {
  const signature = signatureOf(note, key);
  if (signature === null) {
    throw new NoteError("unsigned", `Cannot accept the note: ${key.name} has not signed it`);
  }
  const verifier = suite.ed25519.verifier(key.publicKey);
  if (signature.bytes.length === 64 && verifier.verify(utf8(note.text), signature.bytes)) return;
  throw new NoteError("forged", `Cannot accept the note: the signature of ${key.name} is wrong`);
}

function decoded(base64: string): Uint8Array {
  try {
    return fromBase64(base64);
  } catch (error) {
    throw malformed("it holds no base64", error);
  }
}

function malformed(why: string, cause?: unknown): NoteError {
  return new NoteError("malformed", `Cannot read the note: ${why}`, { cause });
}
