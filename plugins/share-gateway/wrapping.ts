/**
 * A second lock on shares and pieces, under a key that is in a file of the operator's, perhaps on a
 * token that is plugged in: a copy of the whole data directory opens nothing without that file.
 * `0 | bytes` where there is no such key, else `1 | nonce(12) | ciphertext | tag(16)`, AES-256-GCM under
 * a key derived from the file's bytes, with the value's place as associated data. It is wrapped before
 * the site seals it, so what is called "0" was called so by the site itself.
 */
import { readFileSync } from "node:fs";
import { concat, utf8 } from "../../core/base/bytes.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { Secret } from "../../core/base/secret.ts";
import { Unavailable } from "../../core/host/plugin.ts";
import { isEnvironmentReference, readSecret } from "../../core/services/secret_reference.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { hkdf } from "../../core/trust/hkdf.ts";

export interface Wrapper {
  /** @param place names the value, as it is named where it is kept: nothing opens in another place */
  wrap(place: string, bytes: Uint8Array): Uint8Array;
  /**
   * What was kept before there was a key is given as it is.
   * @throws WrappingError
   */
  unwrap(place: string, bytes: Uint8Array): Uint8Array;
  /** Whether it is kept as it would be now: false for what was kept before there was a key. */
  isCurrent(bytes: Uint8Array): boolean;
}

export class WrappingError extends CodedError<"seal_key_missing" | "seal_key_wrong"> {
  override readonly name = "WrappingError";
}

const plain = 0;
const wrapped = 1;

/** Fewer bytes in a key file are no key, and more are something else. */
const keyBytes = { min: 16, max: 65_536 };

/** @param key of any length; it is read at once, and may be wiped then */
export function wrapper(suite: Suite, key: Secret<Uint8Array> | null): Wrapper {
  const derived = key === null ? null : new Secret(
    hkdf(suite, { ikm: key.reveal(), salt: "edgeward/share/wrap/1", info: "aes-256-gcm" }),
  );

  return {
    wrap(place, bytes) {
      if (derived === null) return concat(Uint8Array.of(plain), bytes);
      const nonce = suite.randomBytes(12);
      const sealed = suite.aes256gcm.seal(derived.reveal(), nonce, utf8(place), bytes);
      return concat(Uint8Array.of(wrapped), nonce, sealed);
    },
    unwrap(place, bytes) {
      if (bytes[0] === plain) return bytes.slice(1);
      if (derived === null) {
        throw new WrappingError("seal_key_missing", "Cannot open a share: it needs seal_key_file", {
          hint: "set seal_key_file to the file that was in use when the share was kept",
        });
      }
      const opened = bytes[0] !== wrapped || bytes.length < 29 ? null : suite.aes256gcm.open(
        derived.reveal(),
        bytes.subarray(1, 13),
        utf8(place),
        bytes.subarray(13),
      );
      if (opened !== null) return opened;
      throw new WrappingError("seal_key_wrong", "Cannot open a share: seal_key_file is another", {
        hint: "the file must be the one that was in use when the share was kept, byte for byte",
      });
    },
    isCurrent: (bytes) => bytes[0] === (derived === null ? plain : wrapped),
  };
}

/**
 * The bytes of `seal_key_file`; null when there is none.
 * @throws Unavailable when it cannot be read: it may be on a token that is not plugged in
 */
export function readSealKey(reference: string | undefined): Secret<Uint8Array> | null {
  if (reference === undefined) return null;
  const hint = "plug the token in, or name the file that holds the key; it is tried again";
  let bytes: Uint8Array;
  try {
    bytes = isEnvironmentReference(reference)
      ? utf8(readSecret(reference).reveal())
      : new Uint8Array(readFileSync(reference));
  } catch (error) {
    throw new Unavailable(`Cannot read seal_key_file: ${messageOf(error)}`, { hint });
  }
  if (bytes.length >= keyBytes.min && bytes.length <= keyBytes.max) return new Secret(bytes);
  const message = `Cannot use seal_key_file: it has ${bytes.length} bytes, a key ${keyBytes.min} ` +
    `to ${keyBytes.max}`;
  bytes.fill(0);
  throw new Unavailable(message, { hint: "make one: `head -c 32 /dev/urandom > FILE`" });
}
