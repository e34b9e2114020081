/**
 * What a thread of `verification.ts` runs: it checks the signatures of each message and answers in the
 * order of the messages. It is sent good keys only, and keeps those that it has prepared.
 */
import { Buffer } from "node:buffer";
import { type KeyObject, verify } from "node:crypto";
import { importPublic } from "./_native_keys.ts";
import { unpackSignatures } from "./_verification_message.ts";

/** What of a thread's own scope is used here. */
interface Thread {
  onmessage: (event: MessageEvent<ArrayBuffer>) => void;
  postMessage(message: ArrayBuffer, transfer: ArrayBuffer[]): void;
}

/** More than a site has meters; a key costs about a kilobyte. */
const maxKeys = 16_384;
const keys = new Map<string, KeyObject>();

const thread = self as unknown as Thread;

thread.onmessage = ({ data }) => {
  const verdicts: number[] = [];
  for (const { publicKey, message, signature } of unpackSignatures(data)) {
    verdicts.push(verify(null, message, keyOf(publicKey), signature) ? 1 : 0);
  }
  const { buffer } = Uint8Array.from(verdicts);
  thread.postMessage(buffer, [buffer]);
};

function keyOf(publicKey: Uint8Array): KeyObject {
  const { buffer, byteOffset, length } = publicKey;
  const name = Buffer.from(buffer as ArrayBuffer, byteOffset, length).toString("latin1");
  let key = keys.get(name);
  if (key === undefined) {
    if (keys.size >= maxKeys) keys.clear();
    keys.set(name, key = importPublic("ed25519", publicKey));
  }
  return key;
}
