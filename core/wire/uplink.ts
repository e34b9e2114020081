/**
 * What a fog and a cloud say in an `uplink` session. The fog asks for the cloud's head, which is where
 * the cloud stands in this fog's chain; then it sends statements in order and learns how far they are
 * stored. Sending one twice does no harm (protocols.md §3).
 */
import { CodedError } from "../base/errors.ts";
import { decodeCbor, encodeCbor, MapReader } from "../trust/cbor.ts";

/** The last link that the cloud holds without a gap before it; epoch 0 when it has none. */
export interface Head {
  readonly epoch: number;
  readonly seq: number;
  /** SHA-256 of that statement, 32 bytes; zeros when there is none. */
  readonly hash: Uint8Array;
}

export type UplinkCall =
  | { readonly call: "head" }
  | { readonly call: "summaries"; readonly statements: readonly Uint8Array[] };

/** Statements that the cloud refuses, by their place in the call; they will be refused again. */
export interface SummariesAnswer {
  readonly head: Head;
  readonly refused: readonly { readonly index: number; readonly reason: string }[];
}

/** Statements in one call at the most. */
export const maxStatements = 64;

export class UplinkError extends CodedError<"malformed"> {
  override readonly name = "UplinkError";
}

export function encodeUplinkCall(call: UplinkCall): Uint8Array {
  return call.call === "head"
    ? encodeCbor({ call: "head" })
    : encodeCbor({ call: "summaries", statements: call.statements });
}

/** @throws UplinkError "malformed" */
export function decodeUplinkCall(bytes: Uint8Array): UplinkCall {
  return decoded(bytes, (map) => {
    const call = map.text("call");
    if (call === "head") return { call };
    if (call !== "summaries") throw malformed();
    const statements = map.array("statements", maxStatements).map((statement) => {
      if (!(statement instanceof Uint8Array)) throw malformed();
      return statement;
    });
    return { call, statements };
  });
}

export function encodeHead({ epoch, seq, hash }: Head): Uint8Array {
  return encodeCbor({ epoch, seq, hash });
}

/** @throws UplinkError "malformed" */
export function decodeHead(bytes: Uint8Array): Head {
  return decoded(bytes, readHead);
}

export function encodeSummariesAnswer({ head, refused }: SummariesAnswer): Uint8Array {
  return encodeCbor({
    ...head,
    refused: refused.map(({ index, reason }) => [index, reason]),
  });
}

/** @throws UplinkError "malformed" */
export function decodeSummariesAnswer(bytes: Uint8Array): SummariesAnswer {
  return decoded(bytes, (map) => ({
    head: readHead(map),
    refused: map.array("refused", maxStatements).map((item) => {
      if (!Array.isArray(item) || item.length !== 2) throw malformed();
      const [index, reason] = item as [number, string];
      if (!Number.isInteger(index) || typeof reason !== "string") throw malformed();
      return { index, reason };
    }),
  }));
}

function readHead(map: MapReader): Head {
  return {
    epoch: map.integer("epoch", 0, 2 ** 31),
    seq: map.integer("seq", 0, Number.MAX_SAFE_INTEGER),
    hash: map.bytes("hash", 32),
  };
}

function decoded<T>(bytes: Uint8Array, read: (map: MapReader) => T): T {
  try {
    const map = new MapReader(decodeCbor(bytes));
    const value = read(map);
    map.end();
    return value;
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause?: unknown): UplinkError {
  return new UplinkError("malformed", "Cannot read the uplink message", { cause });
}
