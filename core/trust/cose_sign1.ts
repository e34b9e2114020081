/**
 * The envelope of a statement: COSE_Sign1 with tag 18 (RFC 9052 §4.2) in deterministic CBOR, the
 * unprotected header and the external AAD empty. Its only form is these bytes in this order, so it is
 * put together and taken apart by hand.
 */
import { concat, utf8 } from "../base/bytes.ts";

export interface Sign1 {
  /** The protected header as it stands: one CBOR map, not looked into here. */
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

const tagAndArray = Uint8Array.of(0xd2, 0x84); // tag 18, array of four
const emptyMap = 0xa0;

export function encodeSign1({ header, payload, signature }: Sign1): Uint8Array {
  return concat(
    tagAndArray,
    byteString(header),
    Uint8Array.of(emptyMap),
    byteString(payload),
    byteString(signature),
  );
}

/** Views into the bytes, nothing copied; null when they are not an envelope in its one form. */
export function splitSign1(bytes: Uint8Array): Sign1 | null {
  if (bytes[0] !== tagAndArray[0] || bytes[1] !== tagAndArray[1]) return null;
  let at = 2;
  const header = takeByteString();
  if (header === null || bytes[at++] !== emptyMap) return null;
  const payload = takeByteString();
  const signature = takeByteString();
  if (payload === null || signature === null || at !== bytes.length) return null;
  return { header, payload, signature };

  function takeByteString(): Uint8Array | null {
    const lead = bytes[at++];
    let length: number, shortest: number;
    if (lead !== undefined && lead >= 0x40 && lead < 0x58) [length, shortest] = [lead - 0x40, 0];
    else if (lead === 0x58) [length, shortest] = [takeInteger(1), 24];
    else if (lead === 0x59) [length, shortest] = [takeInteger(2), 0x100];
    else if (lead === 0x5a) [length, shortest] = [takeInteger(4), 0x1_0000];
    else return null;
    if (length < shortest || at + length > bytes.length) return null;
    return bytes.subarray(at, at += length);
  }

  function takeInteger(size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (bytes[at++] ?? 0);
    return value;
  }
}

/**
 * What is signed under a header (Sig_structure, RFC 9052 §4.4): ["Signature1", header, external AAD,
 * payload], of which all but the payload is put together once.
 */
export function signedBytes(header: Uint8Array): (payload: Uint8Array) => Uint8Array {
  const name = concat(Uint8Array.of(0x84, 0x6a), utf8("Signature1"));
  const start = concat(name, byteString(header), Uint8Array.of(0x40));
  return (payload) => concat(start, byteStringHead(payload.length), payload);
}

function byteString(bytes: Uint8Array): Uint8Array {
  return concat(byteStringHead(bytes.length), bytes);
}

/** What stands before the bytes of a CBOR byte string (RFC 8949 §3.1). */
function byteStringHead(n: number): Uint8Array {
  if (n < 24) return Uint8Array.of(0x40 + n);
  if (n < 0x100) return Uint8Array.of(0x58, n);
  if (n < 0x1_0000) return Uint8Array.of(0x59, n >> 8, n & 255);
  return Uint8Array.of(0x5a, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255);
}
