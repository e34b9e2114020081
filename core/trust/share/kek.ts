/**
 * The key that a volume's file key is wrapped under. It takes what the gateways' answers combine to
 * *and* the device's own secret: neither is worth anything alone (protocols.md §5).
 */
import { concat, utf8 } from "../../base/bytes.ts";
import type { Suite } from "../crypto.ts";
import { hkdf } from "../hkdf.ts";
import { ShareError } from "./scheme.ts";

/**
 * HKDF(result, device secret, "edgeward/kek/1" | volume), 32 bytes, whatever the scheme.
 * @param options.result of the combiner: 64 bytes of `voprf`, else 32
 * @param options.deviceSecret 32 bytes that never leave the device
 * @param options.volume the volume's id, 16 bytes
 * @throws ShareError "malformed" on other lengths
 */
export function keyEncryptionKey(
  suite: Suite,
  { result, deviceSecret, volume }: {
    result: Uint8Array;
    deviceSecret: Uint8Array;
    volume: Uint8Array;
  },
): Uint8Array {
  if (
    (result.length !== 32 && result.length !== 64) || deviceSecret.length !== 32 ||
    volume.length !== 16
  ) {
    throw new ShareError(
      "malformed",
      "Cannot derive the volume's key: a part is of another length",
    );
  }
  const info = concat(utf8("edgeward/kek/1"), volume);
  return hkdf(suite, { ikm: result, salt: deviceSecret, info });
}
