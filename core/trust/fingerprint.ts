/**
 * Names of keys: SHA-256 of the RFC 7638 thumbprint input of the public key, 32 bytes. In text it is
 * base64url.
 */
import { toBase64url, utf8 } from "../base/bytes.ts";
import type { Algorithm, Suite } from "./crypto.ts";

/** The fingerprint of a public key in the form that the Suite gives it. */
export function fingerprint(
  suite: Suite,
  algorithm: Algorithm | "X25519",
  publicKey: Uint8Array,
): Uint8Array {
  return suite.sha256(utf8(thumbprintInput(algorithm, publicKey)));
}

/** The required members in the order of their names (RFC 7638 §3.2, RFC 8037 §2, RFC 9964). */
function thumbprintInput(algorithm: Algorithm | "X25519", publicKey: Uint8Array): string {
  const text = (from = 0, to?: number) => toBase64url(publicKey.subarray(from, to));
  switch (algorithm) {
    case "Ed25519":
    case "X25519":
      return `{"crv":"${algorithm}","kty":"OKP","x":"${text()}"}`;
    case "ESP256": // the first byte only says that the point is uncompressed
      return `{"crv":"P-256","kty":"EC","x":"${text(1, 33)}","y":"${text(33)}"}`;
    case "ML-DSA-65":
      return `{"alg":"ML-DSA-65","kty":"AKP","pub":"${text()}"}`;
  }
}
