/**
 * Cosignatures (C2SP tlog-cosignature, Ed25519): a witness says that at this time the log's checkpoint
 * was the largest that it has seen, and grew out of all those before.
 */
import { concat, utf8, viewOf } from "../../base/bytes.ts";
import type { Suite } from "../crypto.ts";
import { type Note, NoteError, type NoteKey, type NoteSignature, signatureOf } from "./note.ts";

/** Signs the text of a checkpoint. @param options.time Unix seconds */
export function cosign(
  text: string,
  { key, time, sign }: {
    key: NoteKey;
    time: number;
    sign: (message: Uint8Array) => Uint8Array;
  },
): NoteSignature {
  const stamp = new Uint8Array(8);
  viewOf(stamp).setBigUint64(0, BigInt(time));
  return { name: key.name, id: key.id, bytes: concat(stamp, sign(cosignedBytes(text, time))) };
}

/** When a witness cosigned the note, Unix seconds. @throws NoteError "unsigned", "forged" */
export function verifyCosignature(
  suite: Pick<Suite, "ed25519">,
  note: Note,
  key: NoteKey,
): number {
  const signature = signatureOf(note, key);
  if (signature === null) {
    throw new NoteError(
      "unsigned",
      `Cannot accept the checkpoint: ${key.name} has not cosigned it`,
    );
  }
  const { bytes } = signature;
  if (bytes.length === 72) {
    const time = Number(viewOf(bytes).getBigUint64(0));
    const message = cosignedBytes(note.text, time);
    const isSafe = Number.isSafeInteger(time);
    if (isSafe && suite.ed25519.verifier(key.publicKey).verify(message, bytes.slice(8))) {
      return time;
    }
  }
  throw new NoteError(
    "forged",
    `Cannot accept the checkpoint: the cosignature of ${key.name} is wrong`,
  );
}

function cosignedBytes(text: string, time: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${time}\n${text}`);
}
