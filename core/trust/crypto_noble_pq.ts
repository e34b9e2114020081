/**
 * ML-DSA-65 and ML-KEM-768 in plain JavaScript, for `crypto_noble.ts` and for runtimes without a
 * native one. Noble would draw randomness by itself where none is given: here it always is.
 */
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import type { KeyEncapsulation, Signatures, Suite } from "./crypto.ts";
import { badKey, requireCiphertext, requireEncapsulationKey, requireLength } from "./key_rules.ts";

export function noblePostQuantum(
  randomBytes: (length: number) => Uint8Array,
): Pick<Suite, "mldsa65" | "mlkem768"> {
  return { mldsa65: signatures(randomBytes), mlkem768: encapsulation(randomBytes) };
}

function signatures(randomBytes: (length: number) => Uint8Array): Signatures<"ML-DSA-65"> {
  return {
    signer(seed = randomBytes(32)) {
      requireLength("ML-DSA-65", seed, 32);
      const { publicKey, secretKey } = ml_dsa65.keygen(seed);
      return {
        algorithm: "ML-DSA-65",
        seed,
        publicKey,
        sign: (message) => ml_dsa65.sign(message, secretKey, { extraEntropy: randomBytes(32) }),
      };
    },
    verifier(publicKey) {
      requireLength("ML-DSA-65", publicKey, 1952);
      return {
        algorithm: "ML-DSA-65",
        publicKey,
        verify: (message, signature) =>
          signature.length === 3309 && ml_dsa65.verify(signature, message, publicKey),
      };
    },
  };
}

function encapsulation(randomBytes: (length: number) => Uint8Array): KeyEncapsulation {
  return {
    keyPair(given) {
      const seed = given ?? randomBytes(64);
      requireLength("ML-KEM-768", seed, 64);
      const { publicKey, secretKey } = ml_kem768.keygen(seed);
      if (given === undefined) seed.fill(0);
      let wiped = false;
      return {
        publicKey,
        decapsulate(ciphertext) {
          if (wiped) throw badKey("ML-KEM-768", "it has been wiped");
          requireCiphertext(ciphertext);
          return ml_kem768.decapsulate(ciphertext, secretKey);
        },
        wipe() {
          wiped = true;
          secretKey.fill(0);
        },
      };
    },
    encapsulate(publicKey) {
      requireEncapsulationKey(publicKey);
      const message = randomBytes(32);
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, message);
      message.fill(0); // the shared secret follows from it
      return { ciphertext: cipherText, sharedSecret };
    },
  };
}
