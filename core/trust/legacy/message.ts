/**
 * One message of profile v1, in either direction (protocols.md §4):
 * `{"device_id", "nonce": u32 counter | u64 seconds, "ciphertext", "hmac"}`, bytes in lower-case
 * hexadecimal, ChaCha20-Poly1305 with the device's id as associated data.
 *
 * The cipher's tag covers everything; the HMAC adds nothing to it, but is part of the profile, so
 * both must be right.
 */
import { equalBytes, toHex, utf8, viewOf } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import type { Suite } from "../crypto.ts";
import { LegacyError } from "./error.ts";
import type { HmacKey, HmacLabel, LegacyKeys } from "./keys.ts";
import { Members } from "./_members.ts";
import { decodeStamped, encodeStamped, type Rpc } from "./rpc.ts";

/** Bytes of a message, at the most: two hexadecimal digits for each of the longest JSON-RPC. */
export const messageLimit = 65_536;

const tagLength = 16;

/** A message as anybody can read it: nothing of it is authentic yet. */
export interface Envelope {
  readonly device: Id;
  /** 12 bytes. */
  readonly nonce: Uint8Array;
  /** The two halves of the nonce. */
  readonly counter: number;
  readonly seconds: number;
  /** With the tag at its end. */
  readonly ciphertext: Uint8Array;
  readonly hmac: Uint8Array;
}

/** @throws LegacyError "malformed" */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const members = new Members(bytes, { what: "message", limit: messageLimit, depth: 1 });
  const device = members.device();
  const nonce = members.hex("nonce", 12);
  const ciphertext = members.hex("ciphertext");
  const hmac = members.hex("hmac", 32);
  members.end();
  if (ciphertext.length < tagLength) throw members.refuse("ciphertext is shorter than its tag");
  const view = viewOf(nonce);
  const seconds = view.getUint32(4) * 2 ** 32 + view.getUint32(8);
  if (!Number.isSafeInteger(seconds)) throw members.refuse("its seconds are too many");
  return { device, nonce, counter: view.getUint32(0), seconds, ciphertext, hmac };
}

/** Who sends what, under which nonce. */
export interface Draft {
  readonly device: Id;
  readonly counter: number;
  readonly seconds: number;
  readonly rpc: Rpc;
}

/** @throws LegacyError "malformed" | "too_large": nobody would take it */
export function sealMessage(
  suite: Suite,
  keys: { readonly cipher: Uint8Array; readonly hmac: HmacKey },
  { device, counter, seconds, rpc }: Draft,
): Uint8Array {
  const nonce = new Uint8Array(12);
  const view = viewOf(nonce);
  view.setUint32(0, counter);
  view.setUint32(4, Math.floor(seconds / 2 ** 32));
  view.setUint32(8, seconds >>> 0);
  const plaintext = encodeStamped(rpc, { nonce: toHex(nonce), timestamp: seconds });
  const ciphertext = suite.chacha20poly1305.seal(keys.cipher, nonce, utf8(device), plaintext);
  const signed = suite.hmacSha256(keys.hmac.key, signedText({ device, nonce, seconds }, rpc));
  const [nonceText, hmac] = [toHex(nonce), toHex(signed)];
  return utf8(
    JSON.stringify({ device_id: device, nonce: nonceText, ciphertext: toHex(ciphertext), hmac }),
  );
}

export interface OpenedMessage {
  readonly rpc: Rpc;
  /** Which of the keys the sender has used. */
  readonly label: HmacLabel;
}

/**
 * What is inside, if the tag verifies under these keys, else null.
 * @throws LegacyError "malformed" | "mismatched" | "wrong_hmac"
 */
export function openMessage(
  suite: Suite,
  keys: LegacyKeys,
  envelope: Envelope,
): OpenedMessage | null {
  const { device, nonce, seconds, ciphertext, hmac } = envelope;
  const plaintext = suite.chacha20poly1305.open(keys.cipher, nonce, utf8(device), ciphertext);
  if (plaintext === null) return null;
  const { rpc, stamp } = decodeStamped(plaintext);
  if (stamp.nonce !== toHex(nonce) || stamp.timestamp !== seconds) {
    const message = "Cannot accept the message: its nonce or timestamp is another inside";
    throw new LegacyError("mismatched", message);
  }
  const text = signedText(envelope, rpc);
  const used = keys.hmac.find(({ key }) => equalBytes(suite.hmacSha256(key, text), hmac));
  if (used === undefined) {
    throw new LegacyError("wrong_hmac", "Cannot accept the message: its HMAC is wrong");
  }
  return { rpc, label: used.label };
}

/** No part but the last can hold a line feed, so no two messages have one text. */
function signedText(
  { device, nonce, seconds }: Pick<Envelope, "device" | "nonce" | "seconds">,
  rpc: Rpc,
): Uint8Array {
  const method = rpc.kind === "request" ? rpc.method : "";
  return utf8(`${device}\n${method}\n${rpc.id}\n${toHex(nonce)}\n${seconds}`);
}
