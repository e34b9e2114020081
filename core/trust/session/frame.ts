/**
 * The frame that every session message travels in, over MQTT and HTTP alike (protocols.md §1):
 * `version(1) = 2 | type(1) | session(8) | seq(8) | body`. The 18-byte header is the associated data
 * of a data frame.
 */
import { concat } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";

export const frameVersion = 2;
export const headerLength = 18;

/** Types 1 to 3 carry Noise messages, 4 data; 5 says that the receiver knows no such session. */
export const FrameType = { message1: 1, message2: 2, message3: 3, data: 4, unknown: 5 } as const;
export type FrameType = typeof FrameType[keyof typeof FrameType];

export interface Frame {
  readonly type: FrameType;
  /** 8 bytes: chosen by the initiator until the handshake ends, derived from its hash after. */
  readonly session: Uint8Array;
  /** Counts from 0 per direction. Values above 2^53 − 1 are refused. */
  readonly seq: number;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

export class FrameError extends CodedError<"malformed" | "wrong_version"> {
  override readonly name = "FrameError";
}

/** The 18 bytes before the body. */
export function encodeHeader(type: FrameType, session: Uint8Array, seq: number): Uint8Array {
  const header = new Uint8Array(headerLength);
  header[0] = frameVersion;
  header[1] = type;
  header.set(session, 2);
  writeSeq(header, seq);
  return header;
}

/** Gives a header another sequence number. */
export function writeSeq(header: Uint8Array, seq: number): void {
  // byte by byte: a DataView would make the engine move these 18 bytes off its heap
  for (let at = 17; at >= 10; at--, seq = Math.floor(seq / 256)) header[at] = seq;
}

export function encodeFrame(
  type: FrameType,
  session: Uint8Array,
  seq: number,
  body: Uint8Array,
): Uint8Array {
  return concat(encodeHeader(type, session, seq), body);
}

/** Views into the bytes, nothing copied. @throws FrameError */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > 0 && bytes[0] !== frameVersion) {
    throw new FrameError("wrong_version", "Cannot read the frame: it is not of version 2");
  }
  const type = bytes[1];
  if (bytes.length < headerLength || type === undefined || type < 1 || type > 5) {
    throw new FrameError("malformed", "Cannot read the frame: no valid header");
  }
  let seq = 0;
  for (let at = 10; at < headerLength; at++) seq = seq * 256 + bytes[at]!;
  if (!Number.isSafeInteger(seq) || (type !== FrameType.data && seq !== 0)) {
    throw new FrameError("malformed", "Cannot read the frame: its sequence number is impossible");
  }
  return {
    type: type as FrameType,
    session: bytes.subarray(2, 10),
    seq,
    header: bytes.subarray(0, headerLength),
    body: bytes.subarray(headerLength),
  };
}
