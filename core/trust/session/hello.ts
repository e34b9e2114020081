/**
 * The opening of a handshake: message 1 carries, in clear, who wants to talk to whom about what. It is
 * the Noise prologue, so whoever alters it on the way (strips a version, swaps a purpose) changes the
 * handshake hash and nothing opens (protocols.md §1).
 */
import { concat, viewOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { type Id, isId } from "../../base/id.ts";
import { decodeCbor, encodeCbor } from "../cbor.ts";

/** What a session is for; a session of one purpose is worth nothing for another. */
export const purposes = [
  "unlock",
  "rpc",
  "meter",
  "uplink",
  "keychain",
  "share",
  "witness",
] as const;
export type Purpose = typeof purposes[number];

export interface Hello {
  readonly purpose: Purpose;
  /** The site that the device believes it talks to; "" in first contact without a key. */
  readonly site: Id | "";
  readonly device: Id;
  /** Protocol versions offered. */
  readonly versions: readonly number[];
}

export class HelloError extends CodedError<"malformed"> {
  override readonly name = "HelloError";
}

/** CBOR ["edgeward", 2, purpose, site, device, [versions]]. */
export function encodePrologue(hello: Hello): Uint8Array {
  return encodeCbor(["edgeward", 2, hello.purpose, hello.site, hello.device, hello.versions]);
}

/** Body of a type 1 frame: `u16 length | prologue | Noise message`. */
export function encodeOpening(prologue: Uint8Array, noiseMessage: Uint8Array): Uint8Array {
  const length = new Uint8Array(2);
  viewOf(length).setUint16(0, prologue.length);
  return concat(length, prologue, noiseMessage);
}

export interface Opening {
  readonly hello: Hello;
  /** As received: the responder hashes these bytes, not a re-encoding. */
  readonly prologue: Uint8Array;
  readonly noiseMessage: Uint8Array;
}

/** @throws HelloError "malformed" */
export function decodeOpening(body: Uint8Array): Opening {
  if (body.length < 2) throw malformed();
  const length = viewOf(body).getUint16(0);
  if (length > 512 || body.length < 2 + length) throw malformed();
  const prologue = body.subarray(2, 2 + length);
  return { hello: decodePrologue(prologue), prologue, noiseMessage: body.subarray(2 + length) };
}

function decodePrologue(bytes: Uint8Array): Hello {
  let item: unknown;
  try {
    item = decodeCbor(bytes);
  } catch (error) {
    throw malformed(error);
  }
  if (!Array.isArray(item) || item.length !== 6) throw malformed();
  const [name, version, purpose, site, device, versions] = item as unknown[];
  if (
    name !== "edgeward" || version !== 2 || !isPurpose(purpose) ||
    !(site === "" || isId(site)) || !isId(device) || !isVersionList(versions)
  ) throw malformed();
  return { purpose, site, device, versions };
}

export function isPurpose(value: unknown): value is Purpose {
  return (purposes as readonly unknown[]).includes(value);
}

function isVersionList(value: unknown): value is number[] {
  return Array.isArray(value) && value.length >= 1 && value.length <= 8 &&
    value.every((version) => Number.isInteger(version) && version >= 0 && version <= 255);
}

function malformed(cause?: unknown): HelloError {
  return new HelloError("malformed", "Cannot read the opening of the handshake", { cause });
}
