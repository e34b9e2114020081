/**
 * An entry of a site's log as it is hashed and served (protocols.md §7): deterministic CBOR `{t, role,
 * type, actor, subject, detail, statement}`, at most 8 KiB. Statements are in the log by their hash.
 */
import { concat, utf8 } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { decodeCbor, encodeCbor, MapReader } from "../trust/cbor.ts";

export interface LogEntry {
  /** Unix milliseconds. */
  readonly t: number;
  readonly role: string;
  /** What happened: "peer.enrolled". */
  readonly type: string;
  /** Who did it: a peer, a person, or "site". */
  readonly actor: string;
  /** Whom or what it concerns. */
  readonly subject: string;
  /** Plain data without secrets, as JSON text. */
  readonly detail: string;
  /** SHA-256 of the statement that proves it, 32 bytes, where there is one. */
  readonly statement: Uint8Array | null;
}

/** Bytes of an encoded entry at the most. */
export const maxEntry = 8 * 1024;

export class LogEntryError extends CodedError<"malformed"> {
  override readonly name = "LogEntryError";
}

/**
 * The bytes that are hashed. A log encodes very many, mostly one long text: the map is put together by
 * hand, its keys in their order, and only small items are left to the encoder.
 */
export function encodeLogEntry(entry: LogEntry): Uint8Array {
  const detail = utf8(entry.detail);
  return concat(
    mapOfSeven,
    ...[keys.t, encodeCbor(entry.t), keys.role, encodeCbor(entry.role)],
    ...[keys.type, encodeCbor(entry.type), keys.actor, encodeCbor(entry.actor)],
    ...[keys.detail, textHead(detail.length), detail],
    ...[keys.subject, encodeCbor(entry.subject)],
    ...[keys.statement, encodeCbor(entry.statement)],
  );
}

const mapOfSeven = Uint8Array.of(0xa7);
const keys = {
  t: encodeCbor("t"),
  role: encodeCbor("role"),
  type: encodeCbor("type"),
  actor: encodeCbor("actor"),
  detail: encodeCbor("detail"),
  subject: encodeCbor("subject"),
  statement: encodeCbor("statement"),
};

/** RFC 8949 §3: major type 3 and the length in its shortest form. */
function textHead(length: number): Uint8Array {
  if (length < 24) return Uint8Array.of(0x60 + length);
  if (length < 0x100) return Uint8Array.of(0x78, length);
  if (length < 0x1_0000) return Uint8Array.of(0x79, length >> 8, length & 255);
  const bytes = [24, 16, 8, 0].map((shift) => length / 2 ** shift & 255);
  return Uint8Array.of(0x7a, ...bytes);
}

/** @throws LogEntryError "malformed" */
export function decodeLogEntry(bytes: Uint8Array): LogEntry {
  try {
    const map = new MapReader(decodeCbor(bytes));
    const statement = map.value("statement");
    const entry: LogEntry = {
      t: map.integer("t", 0, Number.MAX_SAFE_INTEGER),
      role: map.text("role"),
      type: map.text("type"),
      actor: map.text("actor"),
      subject: map.text("subject"),
      detail: map.text("detail"),
      statement: statement instanceof Uint8Array ? statement : null,
    };
    map.end();
    const isHash = statement === null || entry.statement?.length === 32;
    if (bytes.length <= maxEntry && isHash) return entry;
  } catch (error) {
    throw malformed(error);
  }
  throw malformed();
}

function malformed(cause?: unknown): LogEntryError {
  return new LogEntryError("malformed", "Cannot read the entry of the log", { cause });
}
