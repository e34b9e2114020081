/**
 * ML-DSA-65 and ML-KEM-768 of WebCrypto (Web Cryptography: Modern Algorithms), where the runtime has
 * them. Secrets that it holds are out of JavaScript's reach: wiping one means to let go of it.
 */
import type { KemKeyPair, KeyEncapsulation, Signatures, Suite } from "../trust/crypto.ts";
import {
  badKey,
  requireCiphertext,
  requireEncapsulationKey,
  requireLength,
} from "../trust/key_rules.ts";

/** What of the two this runtime has, by asking it for each. */
export function nativePostQuantum(
  randomBytes: (length: number) => Uint8Array,
): Partial<Pick<Suite, "mldsa65" | "mlkem768">> {
  return {
    ...(supports("sign", "ML-DSA-65") && { mldsa65: signatures(randomBytes) }),
    ...(supports("decapsulateBits", "ML-KEM-768") && { mlkem768: encapsulation(randomBytes) }),
  };
}

function signatures(randomBytes: (length: number) => Uint8Array): Signatures<"ML-DSA-65"> {
  const algorithm = "ML-DSA-65";
  return {
    async signer(seed = randomBytes(32)) {
      requireLength(algorithm, seed, 32);
      const key = await subtle.importKey("raw-seed", seed, algorithm, false, ["sign"]);
      return {
        algorithm,
        seed,
        publicKey: await publicHalf(key, "verify"),
        sign: async (message) => new Uint8Array(await subtle.sign(algorithm, key, message)),
      };
    },
    verifier(publicKey) {
      requireLength(algorithm, publicKey, 1952);
      let key: Promise<CryptoKey> | undefined;
      return {
        algorithm,
        publicKey,
        async verify(message, signature) {
          if (signature.length !== 3309) return false;
          key ??= subtle.importKey("raw-public", publicKey, algorithm, false, ["verify"]);
          return await subtle.verify(algorithm, await key, signature, message);
        },
      };
    },
  };
}

function encapsulation(randomBytes: (length: number) => Uint8Array): KeyEncapsulation {
  const algorithm = "ML-KEM-768";
  return {
    async keyPair(given): Promise<KemKeyPair> {
      const seed = given ?? randomBytes(64);
      requireLength(algorithm, seed, 64);
      const imported = await subtle.importKey("raw-seed", seed, algorithm, false, [
        "decapsulateBits",
      ]);
      if (given === undefined) seed.fill(0);
      let key: CryptoKey | undefined = imported;
      return {
        publicKey: await publicHalf(imported, "encapsulateBits"),
        async decapsulate(ciphertext) {
          if (key === undefined) throw badKey(algorithm, "it has been wiped");
          requireCiphertext(ciphertext);
          return new Uint8Array(await subtle.decapsulateBits(algorithm, key, ciphertext));
        },
        wipe() {
          key = undefined;
        },
      };
    },
    async encapsulate(publicKey) {
      requireEncapsulationKey(publicKey);
      const key = await subtle.importKey("raw-public", publicKey, algorithm, false, [
        "encapsulateBits",
      ]);
      const { ciphertext, sharedKey } = await subtle.encapsulateBits(algorithm, key);
      return { ciphertext: new Uint8Array(ciphertext), sharedSecret: new Uint8Array(sharedKey) };
    },
  };
}

async function publicHalf(key: CryptoKey, usage: Usage): Promise<Uint8Array> {
  return new Uint8Array(
    await subtle.exportKey("raw-public", await subtle.getPublicKey(key, [usage])),
  );
}

/** The part of the standard that the types do not know yet. */
type Usage = "sign" | "verify" | "encapsulateBits" | "decapsulateBits";
interface ModernSubtle {
  importKey(
    format: "raw-seed" | "raw-public",
    data: Uint8Array,
    algorithm: string,
    extractable: boolean,
    usages: Usage[],
  ): Promise<CryptoKey>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  getPublicKey(key: CryptoKey, usages: Usage[]): Promise<CryptoKey>;
  sign(algorithm: string, key: CryptoKey, data: Uint8Array): Promise<ArrayBuffer>;
  verify(
    algorithm: string,
    key: CryptoKey,
    signature: Uint8Array,
    data: Uint8Array,
  ): Promise<boolean>;
  encapsulateBits(
    algorithm: string,
    key: CryptoKey,
  ): Promise<{ ciphertext: ArrayBuffer; sharedKey: ArrayBuffer }>;
  decapsulateBits(algorithm: string, key: CryptoKey, ciphertext: Uint8Array): Promise<ArrayBuffer>;
}
const subtle = crypto.subtle as unknown as ModernSubtle;

function supports(operation: Usage, algorithm: string): boolean {
  const { supports } = SubtleCrypto as { supports?: (operation: Usage, name: string) => boolean };
  return supports?.(operation, algorithm) ?? false;
}
