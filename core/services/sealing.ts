/**
 * Sealing of secret fields in the database: AES-256-GCM under a key derived from a version of the
 * site's master key, with table, column, row and key version as associated data, so that a sealed
 * value is worth nothing in another place. `version(1) | nonce(12) | ciphertext | tag(16)`.
 */
import { concat, utf8 } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";
import type { Suite } from "../trust/crypto.ts";
import { hkdf } from "../trust/hkdf.ts";
import { type KeyVersion, SealingKey } from "./sealing_key.ts";

/** Where a sealed value lives. */
export interface Place {
  readonly table: string;
  readonly column: string;
  readonly row: string;
}

/** A column of sealed values, declared by whoever stores them, so that a rotation reaches them. */
export interface SealedColumn {
  readonly table: string;
  readonly column: string;
  /** SQL that makes of a row the text that is its `Place.row`, and no other row's. */
  readonly row: string;
}

export interface Sealer {
  /**
   * Seals with the newest version. A value for the database is sealed inside the `write` that stores
   * it: sealed before that, it may come too late for a rotation.
   */
  seal(place: Place, plaintext: Uint8Array): Uint8Array;
  /** @throws SealingError "unsealable" when it was altered, moved, or sealed by another site */
  open(place: Place, sealed: Uint8Array): Uint8Array;
  /** What was declared; null when nothing was, and then every place will do. */
  readonly columns: readonly SealedColumn[] | null;
}

export class SealingError extends CodedError<"unsealable" | "rotation_incomplete"> {
  override readonly name = "SealingError";
}

/**
 * @param masterKey a secret alone is a version 1 that is never rotated
 * @param columns every column that will be sealed; without them there is no rotation
 */
export function sealerOf(
  suite: Suite,
  masterKey: SealingKey | Secret<Uint8Array>,
  columns: readonly SealedColumn[] | null = null,
): Sealer {
  const key = masterKey instanceof Secret
    ? new SealingKey([{ version: 1, key: masterKey }], () => {})
    : masterKey;
  /** Derived keys; they go with their versions. */
  const derived = new WeakMap<KeyVersion, Uint8Array>();

  function keyOf(version: KeyVersion): Uint8Array {
    const known = derived.get(version);
    if (known !== undefined) return known;
    const made = hkdf(suite, {
      ikm: version.key.reveal(),
      salt: "edgeward/seal",
      info: `v${version.version}`,
    });
    derived.set(version, made);
    return made;
  }

  return {
    columns,
    seal(place, plaintext) {
      const { table, column } = place;
      if (columns?.some((one) => one.table === table && one.column === column) === false) {
        throw new Error(`Cannot seal ${table}.${column}: the column is not declared`);
      }
      const { newest } = key;
      const nonce = suite.randomBytes(12);
      const data = associatedData(place, newest.version);
      const sealed = suite.aes256gcm.seal(keyOf(newest), nonce, data, plaintext);
      return concat(Uint8Array.of(newest.version), nonce, sealed);
    },
    open(place, sealed) {
      const version = sealed.length >= 29 ? key.find(sealed[0]!) : undefined;
      const plaintext = version === undefined ? null : suite.aes256gcm.open(
        keyOf(version),
        sealed.subarray(1, 13),
        associatedData(place, version.version),
        sealed.subarray(13),
      );
      if (plaintext === null) {
        throw new SealingError("unsealable", `Cannot open a sealed value of ${place.table}`, {
          hint: "the database belongs to another identity.key, or was altered",
        });
      }
      return plaintext;
    },
  };
}

function associatedData({ table, column, row }: Place, version: number): Uint8Array {
  return utf8(JSON.stringify([table, column, row, version]));
}
