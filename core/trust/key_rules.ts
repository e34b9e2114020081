/**
 * What bytes from outside must be before a filling of `Suite` touches them, so that every filling
 * refuses the same keys with the same error. Runtimes check at different times and throw errors of
 * their own.
 */
import { CryptoError } from "./crypto.ts";

/** @throws CryptoError "bad_key" on any other length */
export function requireLength(name: string, key: Uint8Array, length: number): void {
  if (key.length !== length) throw badKey(name, `it is not ${length} bytes`);
}

/**
 * The check of FIPS 203 §7.2: 1184 bytes, of which all but the last 32 are coefficients of 12 bits
 * below q = 3329.
 * @throws CryptoError "bad_key"
 */
export function requireEncapsulationKey(key: Uint8Array): void {
  requireLength("ML-KEM-768", key, 1184);
  for (let i = 0; i < 1152; i += 3) {
    const [low, middle, high] = [key[i]!, key[i + 1]!, key[i + 2]!];
    if ((low | (middle & 15) << 8) >= 3329 || (middle >> 4 | high << 4) >= 3329) {
      throw badKey("ML-KEM-768", "a coefficient is too large");
    }
  }
}

/** Of an ML-KEM-768 ciphertext only the length can be wrong. @throws CryptoError */
export function requireCiphertext(ciphertext: Uint8Array): void {
  if (ciphertext.length === 1088) return;
  throw new CryptoError("bad_ciphertext", "Cannot decapsulate: the ciphertext is not 1088 bytes");
}

export function badKey(name: string, why: string): CryptoError {
  return new CryptoError("bad_key", `Cannot use the ${name} key: ${why}`);
}
