/**
 * The keys of profile v1: two HMACs over one X25519 secret (protocols.md §4). There is no salt, no
 * transcript and one cipher key for both directions; that the halves of the counters keep apart.
 */
import { utf8 } from "../../base/bytes.ts";
import { CryptoError, type KeyPair, type Suite } from "../crypto.ts";
import { LegacyError } from "./error.ts";

/** The prototype spells the label of the first key in two ways; a device uses one of them. */
export const hmacLabels = ["esp32-dashboard-hmac-key", "esp32-dashboard-hmac-key-v1"] as const;
export type HmacLabel = typeof hmacLabels[number];

const cipherLabel = "esp32-dashboard-enc-key";

export interface HmacKey {
  readonly label: HmacLabel;
  readonly key: Uint8Array;
}

export interface LegacyKeys {
  /** Of ChaCha20-Poly1305, in both directions. */
  readonly cipher: Uint8Array;
  /** Both, until the device's first message has shown which one it uses. */
  readonly hmac: readonly HmacKey[];
}

/**
 * @param options.labels the one that is used, where that is known
 * @throws LegacyError "low_order"
 */
export function agree(
  suite: Suite,
  own: KeyPair,
  peer: Uint8Array,
  { labels = hmacLabels }: { labels?: readonly HmacLabel[] } = {},
): LegacyKeys {
  const shared = sharedSecret(own, peer);
  const derive = (label: string) => suite.hmacSha256(utf8(label), shared);
  const keys = {
    cipher: derive(cipherLabel),
    hmac: labels.map((label) => ({ label, key: derive(label) })),
  };
  shared.fill(0);
  return keys;
}

/** Overwrites the keys. */
export function wipeKeys({ cipher, hmac }: LegacyKeys): void {
  cipher.fill(0);
  for (const { key } of hmac) key.fill(0);
}

function sharedSecret(own: KeyPair, peer: Uint8Array): Uint8Array {
  try {
    return own.sharedSecret(peer);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    const message = "Cannot agree on keys: the other side's public key has low order";
    throw new LegacyError("low_order", message, { cause });
  }
}
