/**
 * The lower half of ECDSA over P-256. With (r, s) also (r, n − s) verifies, so whoever passes a
 * statement on could give it other bytes and another hash without the key. FIPS 186-5 and RFC 9053
 * allow both; here only the smaller s counts, and every signer, a secure element's driver included,
 * writes it that way. All of this is public: no time is kept constant.
 */
import { fromHex } from "../base/bytes.ts";

/** n, the order of the curve's base point (SP 800-186 §3.2.1.3). */
const order = fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
/** (n − 1) / 2 */
const half = fromHex("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8");

/** Whether the s of a 64-byte signature r | s lies in the upper half. */
export function hasHighS(signature: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) {
    if (signature[32 + i] !== half[i]) return signature[32 + i]! > half[i]!;
  }
  return false;
}

/** The spelling of a valid signature that counts. */
export function withLowS(signature: Uint8Array): Uint8Array {
  if (!hasHighS(signature)) return signature;
  const lowered = signature.slice();
  let borrow = 0;
  for (let i = 31; i >= 0; i--) {
    const difference = order[i]! - signature[32 + i]! - borrow;
    borrow = difference < 0 ? 1 : 0;
    lowered[32 + i] = difference & 255;
  }
  return lowered;
}
