/**
 * A volume file (protocols.md §5):
 * `"edgeward/volume/1\n" | u32 length | header CBOR | HMAC-SHA256 | chunks of 64 KiB`. Here is what comes
 * before the chunks, its head, and the keys; the chunks are in volume_chunks.ts.
 *
 * The header says who must answer, and wraps the file key under a key that takes their answers and the
 * device's secret. It is untrusted until its MAC verifies, which takes the file key: until then it only
 * tells whom to ask. Truncation, reordering, appending and swapped parts are detected. That a whole file
 * is an older one, put back, is not.
 */
import { concat, equalBytes, utf8, viewOf } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { type Id, isId } from "../base/id.ts";
import { type Cbor, decodeCbor, encodeCbor, MapReader } from "../trust/cbor.ts";
import type { Suite } from "../trust/crypto.ts";
import { hkdf } from "../trust/hkdf.ts";
import { decodeRoster, encodeRoster, type Roster } from "../trust/share/roster.ts";
import { isScheme, maxMembers, requireThreshold } from "../trust/share/scheme.ts";
import type { PieceScheme } from "./unlock.ts";

interface Common {
  /** The volume's name, 16 random bytes. */
  readonly volume: Uint8Array;
  /** 32 bytes, new at every sealing. */
  readonly salt: Uint8Array;
  /** The file key under the key encryption key: nonce (12), ciphertext (32), tag (16). */
  readonly wrapped: Uint8Array;
}

/** The group's key C0, k and n are the roster's; it is the one that the volume was sealed with. */
export interface VoprfHeader extends Common {
  readonly scheme: "voprf";
  readonly roster: Roster;
}

export interface PieceHeader extends Common {
  readonly scheme: PieceScheme;
  readonly k: number;
  /** By index, from 1: who keeps which piece, and its SHA-256. */
  readonly pieces: readonly { readonly gateway: Id; readonly commitment: Uint8Array }[];
}

export type VolumeHeader = VoprfHeader | PieceHeader;

/** What stands before the chunks, read and not yet believed. */
export interface VolumeHead {
  readonly header: VolumeHeader;
  /** All of it, the MAC at the end. */
  readonly bytes: Uint8Array;
}

export type VolumeErrorCode =
  | "not_a_volume"
  | "header_malformed"
  | "header_forged" // its MAC does not verify under the file key
  | "chunk_damaged" // altered, missing, moved or added
  | "chunk_misplaced"; // given out of turn, or of a length that no chunk has there

export class VolumeError extends CodedError<VolumeErrorCode> {
  override readonly name = "VolumeError";
}

const magic = utf8("edgeward/volume/1\n");
/** Bytes that tell how long the head is. */
export const prefixLength = magic.length + 4;
const macLength = 32;
const maxHeader = 64 * 1024;

/** The head of a new volume. @throws VolumeError "header_malformed" when nobody would read it */
export function encodeVolumeHead(
  suite: Suite,
  { header, fileKey }: { header: VolumeHeader; fileKey: Uint8Array },
): Uint8Array {
  const encoded = encodeHeader(header);
  if (encoded.length > maxHeader) throw malformed("it is too long");
  const prefix = concat(magic, new Uint8Array(4));
  viewOf(prefix).setUint32(magic.length, encoded.length);
  const body = concat(prefix, encoded);
  const bytes = concat(body, macOf(suite, { body, salt: header.salt, fileKey }));
  decodeVolumeHead(bytes);
  return bytes;
}

/** How long the head of a file is that begins so. @throws VolumeError */
export function volumeHeadLength(prefix: Uint8Array): number {
  const isOurs = prefix.length >= prefixLength &&
    equalBytes(prefix.subarray(0, magic.length), magic);
  if (!isOurs) throw new VolumeError("not_a_volume", "Cannot read the file: it is no volume");
  const length = viewOf(prefix).getUint32(magic.length);
  if (length > maxHeader) throw malformed("it is too long");
  return prefixLength + length + macLength;
}

/** Reads a head of just these bytes and checks no MAC. @throws VolumeError */
export function decodeVolumeHead(bytes: Uint8Array): VolumeHead {
  if (volumeHeadLength(bytes) !== bytes.length) throw malformed("it ends too early");
  return { header: decodeHeader(bytes.subarray(prefixLength, -macLength)), bytes };
}

/** Throws unless the head is as it was sealed. @throws VolumeError "header_forged" */
export function verifyVolumeHead(
  suite: Suite,
  { head, fileKey }: { head: VolumeHead; fileKey: Uint8Array },
): void {
  const { header: { salt }, bytes } = head;
  const mac = macOf(suite, { body: bytes.subarray(0, -macLength), salt, fileKey });
  const isGenuine = equalBytes(mac, bytes.subarray(-macLength));
  mac.fill(0);
  if (isGenuine) return;
  throw new VolumeError("header_forged", "Cannot open the volume: its header was altered");
}

/** Wraps a file key under a key that is used for this volume alone. */
export function wrapFileKey(
  suite: Suite,
  { kek, volume, fileKey }: { kek: Uint8Array; volume: Uint8Array; fileKey: Uint8Array },
): Uint8Array {
  const nonce = suite.randomBytes(12);
  return concat(nonce, suite.aes256gcm.seal(kek, nonce, volume, fileKey));
}

/** The file key, or null when it was wrapped under another key or for another volume. */
export function unwrapFileKey(
  suite: Suite,
  { kek, header }: { kek: Uint8Array; header: VolumeHeader },
): Uint8Array | null {
  const { wrapped, volume } = header;
  return suite.aes256gcm.open(kek, wrapped.subarray(0, 12), volume, wrapped.subarray(12));
}

/** The key of the chunks: another one at every sealing. */
export function payloadKey(
  suite: Suite,
  { fileKey, salt }: { fileKey: Uint8Array; salt: Uint8Array },
): Uint8Array {
  return hkdf(suite, { ikm: fileKey, salt, info: "edgeward/payload/1" });
}

/** The key for whatever else the volume guards: it depends on the file key and the volume's name only. */
export function mountKey(
  suite: Suite,
  { fileKey, volume }: { fileKey: Uint8Array; volume: Uint8Array },
): Uint8Array {
  return hkdf(suite, { ikm: fileKey, salt: volume, info: "edgeward/mount/1" });
}

function macOf(
  suite: Suite,
  { body, salt, fileKey }: { body: Uint8Array; salt: Uint8Array; fileKey: Uint8Array },
): Uint8Array {
  const key = hkdf(suite, { ikm: fileKey, salt, info: "edgeward/header/1" });
  const mac = suite.hmacSha256(key, body);
  key.fill(0);
  return mac;
}

function encodeHeader(header: VolumeHeader): Uint8Array {
  const { scheme, volume, salt, wrapped } = header;
  const common = { scheme, volume, salt, wrapped };
  if (header.scheme === "voprf") {
    const { k, n, commitments: [group] } = header.roster;
    return encodeCbor({ ...common, k, n, group: group!, roster: encodeRoster(header.roster) });
  }
  const pieces = header.pieces.map(({ gateway, commitment }) => [gateway, commitment]);
  return encodeCbor({ ...common, k: header.k, n: pieces.length, pieces });
}

function decodeHeader(bytes: Uint8Array): VolumeHeader {
  try {
    const map = new MapReader(decodeCbor(bytes));
    const header = readHeader(map);
    map.end();
    return header;
  } catch (error) {
    throw error instanceof VolumeError ? error : malformed("it is none", error);
  }
}

function readHeader(map: MapReader): VolumeHeader {
  const scheme = map.value("scheme");
  if (!isScheme(scheme)) throw malformed("its scheme is unknown");
  const common = {
    volume: map.bytes("volume", 16),
    salt: map.bytes("salt", 32),
    wrapped: map.bytes("wrapped", 12 + 32 + 16),
  };
  const k = map.integer("k", 1, maxMembers);
  const n = map.integer("n", 1, maxMembers);
  requireThreshold(scheme, { k, n });
  if (scheme === "voprf") {
    const roster = decodeRoster(map.bytes("roster"));
    const group = map.bytes("group", 32);
    if (roster.k !== k || roster.n !== n || !equalBytes(roster.commitments[0]!, group)) {
      throw malformed("it is not of its roster's group");
    }
    return { ...common, scheme, roster };
  }
  const pieces = map.array("pieces", maxMembers).map(readPiece);
  const gateways = new Set(pieces.map(({ gateway }) => gateway));
  if (pieces.length !== n || gateways.size !== n) throw malformed("its pieces are not n gateways'");
  return { ...common, scheme, k, pieces };
}

function readPiece(item: Cbor): PieceHeader["pieces"][number] {
  const [gateway, commitment, more] = Array.isArray(item) ? item : [];
  const isCommitment = commitment instanceof Uint8Array && commitment.length === 32;
  if (!isId(gateway) || !isCommitment || more !== undefined) throw malformed("a piece is none");
  return { gateway, commitment };
}

function malformed(why: string, cause?: unknown): VolumeError {
  return new VolumeError("header_malformed", `Cannot read the volume's header: ${why}`, { cause });
}
