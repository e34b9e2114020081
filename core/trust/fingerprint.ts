/**
 * Names of keys: SHA-256 of the RFC 7638 thumbprint input of the public key, 32 bytes. In text it is
 * base64url.
 */
import { toBase64url, utf8 } from "../base/bytes.ts";
import type { Suite } from "./crypto.ts";

/** The fingerprint of a raw 32-byte public key (RFC 7638 §3, RFC 8037 §2). */
export function fingerprint(
  suite: Suite,
  curve: "Ed25519" | "X25519",
  publicKey: Uint8Array,
): Uint8Array {
  return suite.sha256(utf8(`{"crv":"${curve}","kty":"OKP","x":"${toBase64url(publicKey)}"}`));
}
