/**
 * Signatures on their way to another thread: one buffer for many, which changes hands without a copy.
 * Each is `length(4) key(32) signature(64) message`; the answer is a byte each, 1 where it verifies.
 */

export interface SignatureToCheck {
  /** Ed25519, 32 bytes, known to be a good key. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

const fixed = 4 + 32 + 64;

export function packSignatures(signatures: readonly SignatureToCheck[]): ArrayBuffer {
  let size = 0;
  for (const { message } of signatures) size += fixed + message.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { publicKey, message, signature } of signatures) {
    view.setUint32(at, message.length);
    bytes.set(publicKey, at + 4);
    bytes.set(signature, at + 36);
    bytes.set(message, at + fixed);
    at += fixed + message.length;
  }
  return bytes.buffer;
}

/** Views into the buffer. */
export function* unpackSignatures(buffer: ArrayBuffer): Generator<SignatureToCheck> {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  for (let at = 0; at < bytes.length;) {
    const end = at + fixed + view.getUint32(at);
    yield {
      publicKey: bytes.subarray(at + 4, at + 36),
      signature: bytes.subarray(at + 36, at + fixed),
      message: bytes.subarray(at + fixed, end),
    };
    at = end;
  }
}
