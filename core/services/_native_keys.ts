/**
 * Raw keys in and out of `node:crypto`, which reads and writes them only inside DER: the wrapping is
 * the same bytes for every key of a curve (RFC 8410 §4, §7; RFC 5480 §2; RFC 5915 §3).
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { fromHex } from "../base/bytes.ts";

const wrappings = {
  x25519: {
    spki: fromHex("302a300506032b656e032100"),
    pkcs8: fromHex("302e020100300506032b656e04220420"),
    publicLength: 32,
  },
  ed25519: {
    spki: fromHex("302a300506032b6570032100"),
    pkcs8: fromHex("302e020100300506032b657004220420"),
    publicLength: 32,
  },
  p256: {
    spki: fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    pkcs8: fromHex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420"),
    publicLength: 65,
  },
};

type Curve = keyof typeof wrappings;

/** Room for a wrapped public key; nothing secret is ever in it. */
const envelopes = {
  x25519: envelopeOf(wrappings.x25519),
  ed25519: envelopeOf(wrappings.ed25519),
  p256: envelopeOf(wrappings.p256),
};

function envelopeOf({ spki, publicLength }: { spki: Uint8Array; publicLength: number }): Buffer {
  return Buffer.concat([spki, new Uint8Array(publicLength)]);
}

/** @throws Error when the runtime notices that it is no key of the curve */
export function importPublic(curve: Curve, publicKey: Uint8Array): KeyObject {
  const { spki, publicLength } = wrappings[curve];
  if (publicKey.length !== publicLength) throw new Error("Cannot import the key: wrong length");
  // read before the call returns, so one buffer serves them all: handshakes import many
  const key = envelopes[curve];
  key.set(publicKey, spki.length);
  return createPublicKey({ key, format: "der", type: "spki" });
}

/** Both halves of a pair from its 32 secret bytes. @throws Error as above */
export function importPair(curve: Curve, secret: Uint8Array) {
  const key = Buffer.concat([wrappings[curve].pkcs8, secret]);
  const privateKey = createPrivateKey({ key, format: "der", type: "pkcs8" });
  key.fill(0);
  // the types want a string or DER, the function takes the key as it is
  return { privateKey, publicKey: createPublicKey(privateKey as unknown as string) };
}

export function rawPublic(curve: Curve, key: KeyObject): Uint8Array {
  const der = key.export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(-wrappings[curve].publicLength));
}

/** The secret half of an X25519 pair that the runtime drew. */
export function rawSecret(key: KeyObject): Uint8Array {
  const der = key.export({ format: "der", type: "pkcs8" });
  const secret = new Uint8Array(der.subarray(-32));
  der.fill(0);
  return secret;
}
