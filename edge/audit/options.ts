/** What the auditor knows and gives on the command line: keys, a quorum, a token, earlier checkpoints. */
import { InvalidArgumentError } from "commander";
import { CodedError } from "../../core/base/errors.ts";
import { Secret } from "../../core/base/secret.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { NoteError, type NoteKey, NoteKind, parseNoteKey } from "../../core/trust/log/note.ts";
import { readFile } from "./folder_source.ts";
import type { Trust } from "./signatures.ts";
import { textOf } from "./source.ts";

/** More than any token, proof, entry or checkpoint is long; a statement may be as large. */
const maxFile = 1024 * 1024;

/** `--key`, for commander: what a log signs with. */
export function logKeyText(suite: Suite): (text: string) => NoteKey {
  return (text) => keyText(suite, { text, kind: NoteKind.ed25519, whose: "a log" });
}

/** `--witness`, for commander: what a witness cosigns with; may be given again. */
export function witnessKeyText(
  suite: Suite,
): (text: string, known: readonly NoteKey[]) => readonly NoteKey[] {
  return (text, known) => {
    const key = keyText(suite, { text, kind: NoteKind.cosignature, whose: "a witness" });
    // the same witness twice would be half of a quorum by itself
    const isKnown = known.some(({ publicKey }) => `${publicKey}` === `${key.publicKey}`);
    if (isKnown) throw new InvalidArgumentError(`${key.name} was given already.`);
    return [...known, key];
  };
}

/** Whom the auditor trusts: all witnesses must have cosigned unless `--quorum` says how many. */
export function trustIn(
  { key, witness, quorum }: {
    readonly key?: NoteKey;
    readonly witness: readonly NoteKey[];
    readonly quorum?: number;
  },
): Trust {
  if (quorum !== undefined && quorum > witness.length) {
    throw new CodedError("usage", `Cannot reach a quorum of ${quorum}: name that many witnesses`, {
      hint: "--witness NAME+ID+KEY, once for each; `edgeward audit witness` there prints it",
    });
  }
  return { key: key ?? null, witnesses: witness, quorum: quorum ?? witness.length };
}

/** The token for entries that are not public: from a file, else from the environment. */
export function tokenIn(
  file: string | undefined,
  env: { get(name: string): string | undefined },
): Secret<string> | undefined {
  const text = file === undefined
    ? env.get("EDGEWARD_TOKEN")
    : textOf(readNamed(file), file).trim();
  if (text === undefined || text === "") return undefined;
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return new Secret(text);
  throw new CodedError("usage", "Cannot use the token: it is not one", {
    hint: "EDGEWARD_TOKEN, or the file of --token-file, holds the token and nothing else",
  });
}

/** A file that the command line names. @throws CodedError "usage" when there is none */
export function readNamed(file: string): Uint8Array {
  const bytes = readFile(file, { path: file, maxBytes: maxFile });
  if (bytes !== null) return bytes;
  throw new CodedError("usage", `Cannot read "${file}": there is no such file`, {
    hint: "name a file that exists",
  });
}

function keyText(
  suite: Suite,
  { text, kind, whose }: { text: string; kind: NoteKind; whose: string },
): NoteKey {
  let key: NoteKey;
  try {
    key = parseNoteKey(suite, text);
  } catch (error) {
    if (error instanceof NoteError) {
      throw new InvalidArgumentError("expected a key, NAME+ID+KEY as `audit witness` prints it.");
    }
    throw error;
  }
  if (key.kind === kind) return key;
  throw new InvalidArgumentError(`it is a key, but not one of ${whose}.`);
}
