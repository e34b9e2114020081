/**
 * Sealing of secret fields in the database: AES-256-GCM under a key derived from the site's master
 * key, with table, column, row and key version as associated data, so that a sealed value is worth
 * nothing in another place. `version(1) | nonce(12) | ciphertext | tag(16)`.
 */
import { concat, utf8 } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { Secret } from "../base/secret.ts";
import type { Suite } from "../trust/crypto.ts";
import { hkdf } from "../trust/hkdf.ts";

/** Where a sealed value lives. */
export interface Place {
  readonly table: string;
  readonly column: string;
  readonly row: string;
}

export interface Sealer {
  seal(place: Place, plaintext: Uint8Array): Uint8Array;
  /** @throws SealingError "unsealable" when it was altered, moved, or sealed by another site */
  open(place: Place, sealed: Uint8Array): Uint8Array;
}

export class SealingError extends CodedError<"unsealable"> {
  override readonly name = "SealingError";
}

const keyVersion = 1;

export function sealerOf(suite: Suite, masterKey: Secret<Uint8Array>): Sealer {
  const key = hkdf(suite, {
    ikm: masterKey.reveal(),
    salt: "edgeward/seal",
    info: `v${keyVersion}`,
  });
  return {
    seal(place, plaintext) {
      const nonce = suite.randomBytes(12);
      const sealed = suite.aes256gcm.seal(key, nonce, associatedData(place), plaintext);
      return concat(Uint8Array.of(keyVersion), nonce, sealed);
    },
    open(place, sealed) {
      const plaintext = sealed[0] === keyVersion && sealed.length >= 29
        ? suite.aes256gcm.open(
          key,
          sealed.subarray(1, 13),
          associatedData(place),
          sealed.subarray(13),
        )
        : null;
      if (plaintext === null) {
        throw new SealingError("unsealable", `Cannot open a sealed value of ${place.table}`, {
          hint: "the database belongs to another identity.key, or was altered",
        });
      }
      return plaintext;
    },
  };
}

function associatedData({ table, column, row }: Place): Uint8Array {
  return utf8(JSON.stringify([table, column, row, keyVersion]));
}
