/**
 * How profile v1 meets: the device publishes its public key, and when it is approved the gateway
 * answers with a fresh one of its own. Nothing proves the gateway's key, and the proof of the psk is
 * the same for one key each time: whoever has heard a connect can repeat it, and gains nothing.
 */
import { equalBytes, toBase64url, toHex, utf8 } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import { Secret } from "../../base/secret.ts";
import type { Suite } from "../crypto.ts";
import { LegacyError } from "./error.ts";
import { Members } from "./_members.ts";

/** Bytes of a connect or an approve, at the most. */
export const connectLimit = 1024;

export interface Connect {
  readonly device: Id;
  readonly publicKey: Uint8Array;
  /** Null when the device has no psk. */
  readonly proof: Uint8Array | null;
}

declare const generated: unique symbol;
/** The key of proofs, SHA-256 of a generated psk. */
export type LegacyPsk = Secret & { readonly [generated]: "LegacyPsk" };

/**
 * The psk that a device of profile v1 is given: the 22 characters of a 16-byte install code in
 * base64url. There is no other: one connect would be enough to try a chosen word offline.
 * @throws LegacyError "weak_psk"
 */
export function pskOfCode(suite: Suite, code: Uint8Array): LegacyPsk {
  if (code.length !== 16) {
    throw new LegacyError("weak_psk", "Cannot use the psk: it is not a generated one", {
      hint: "take the code that `edgeward admin enrol device ID` prints",
    });
  }
  return new Secret(suite.sha256(utf8(toBase64url(code)))) as LegacyPsk;
}

/** HMAC-SHA256 over the id and the key in hexadecimal; as that has 64 digits, no two pairs are alike. */
export function proofOf(
  suite: Suite,
  psk: LegacyPsk,
  connect: Pick<Connect, "device" | "publicKey">,
): Uint8Array {
  return suite.hmacSha256(psk.reveal(), utf8(connect.device + toHex(connect.publicKey)));
}

/** Whether the sender's key belongs to somebody who has had the psk. */
export function isProven(suite: Suite, psk: LegacyPsk, connect: Connect): boolean {
  const expected = proofOf(suite, psk, connect);
  return connect.proof !== null && equalBytes(expected, connect.proof);
}

export function encodeConnect({ device, publicKey, proof }: Connect): Uint8Array {
  const psk_proof = proof === null ? undefined : toHex(proof);
  return utf8(JSON.stringify({ device_id: device, pubkey: toHex(publicKey), psk_proof }));
}

/** @throws LegacyError "malformed" */
export function decodeConnect(bytes: Uint8Array): Connect {
  const members = new Members(bytes, { what: "connect", limit: connectLimit, depth: 1 });
  const connect = {
    device: members.device(),
    publicKey: members.hex("pubkey", 32),
    proof: members.has("psk_proof") ? members.hex("psk_proof", 32) : null,
  };
  members.end();
  return connect;
}

/** @param publicKey the gateway's, for this device and this time only */
export function encodeApprove(publicKey: Uint8Array): Uint8Array {
  return utf8(JSON.stringify({ status: "approved", pubkey: toHex(publicKey) }));
}

/** The gateway's public key. @throws LegacyError "malformed" */
export function decodeApprove(bytes: Uint8Array): Uint8Array {
  const members = new Members(bytes, { what: "approve", limit: connectLimit, depth: 1 });
  if (members.string("status") !== "approved") throw members.refuse("its status is another");
  const publicKey = members.hex("pubkey", 32);
  members.end();
  return publicKey;
}
