/**
 * What a fog and a cloud say in an `uplink` session (protocols.md §3). The fog asks for the cloud's
 * head, which is where the cloud stands in this fog's chain; then it sends statements and learns how
 * far the cloud holds the chain without a gap. Sending one twice does no harm, nor does sending new
 * ones before old ones. What the fog no longer has it says, and the cloud writes down the hole.
 */
import { CodedError } from "../base/errors.ts";
import { type Id, isId } from "../base/id.ts";
import { type Cbor, decodeCbor, encodeCbor, type MapReader, readMap } from "../trust/cbor.ts";

/** A place in a fog's chain; epoch 0 is before its beginning. */
export interface Link {
  readonly epoch: number;
  readonly seq: number;
  /** SHA-256 of that statement, 32 bytes; zeros before the beginning. */
  readonly hash: Uint8Array;
}

/** The last link that the cloud holds with nothing open before it, and the cloud's clock. */
export interface Head extends Link {
  /** Unix milliseconds at the cloud. */
  readonly t: number;
}

export type UplinkCall =
  /** Answered with the head or, with `upto`, with the highest link there is at or before it. */
  | { readonly call: "head"; readonly upto?: { readonly epoch: number; readonly seq: number } }
  | { readonly call: "summaries"; readonly statements: readonly Uint8Array[] }
  /**
   * The fog has nothing of what lies between the head, which it takes to be at `after`, and `upto`, nor
   * that link itself. Answered with the head, unmoved when it was elsewhere.
   */
  | {
    readonly call: "lost";
    readonly after: Link;
    readonly upto: Link;
    readonly reason: string;
  }
  /** What the cloud knows of registers, in pages by meter and register. */
  | { readonly call: "registers"; readonly after?: readonly [meter: Id, register: Id] };

/** Statements that the cloud refuses, by their place in the call; they will be refused again. */
export interface SummariesAnswer {
  readonly head: Head;
  readonly refused: readonly { readonly index: number; readonly reason: string }[];
}

/** The reading with the highest number that any summary of this fog holds, and the register there. */
export interface KnownRegister {
  readonly meter: Id;
  readonly register: Id;
  readonly seq: number;
  readonly energy_Wh: number;
}

/** Statements in one call at the most. */
export const maxStatements = 64;
/** Registers in one answer at the most; fewer are the last. */
export const maxRegisters = 1_000;
/** Characters of a reason at the most. */
const maxReason = 64;

export class UplinkError extends CodedError<"malformed"> {
  override readonly name = "UplinkError";
}

export function encodeUplinkCall(call: UplinkCall): Uint8Array {
  switch (call.call) {
    case "head": {
      const { upto } = call;
      return encodeCbor({ call: "head", ...(upto && { upto: [upto.epoch, upto.seq] }) });
    }
    case "summaries":
      return encodeCbor({ call: "summaries", statements: call.statements });
    case "lost": {
      const { after, upto: { epoch, seq, hash }, reason } = call;
      const place = [after.epoch, after.seq, after.hash];
      return encodeCbor({ call: "lost", after: place, epoch, seq, hash, reason });
    }
    case "registers":
      return encodeCbor({ call: "registers", ...(call.after && { after: call.after }) });
  }
}

/** @throws UplinkError "malformed" */
export function decodeUplinkCall(bytes: Uint8Array): UplinkCall {
  return decoded(bytes, (map) => {
    const call = map.text("call");
    switch (call) {
      case "head": {
        const item = map.optional("upto");
        if (item === undefined) return { call };
        const [epoch, seq] = pair(item);
        if (!isEpoch(epoch) || !isSeq(seq)) throw malformed();
        return { call, upto: { epoch, seq } };
      }
      case "summaries":
        return {
          call,
          statements: map.array("statements", maxStatements).map((statement) => {
            if (!(statement instanceof Uint8Array)) throw malformed();
            return statement;
          }),
        };
      case "lost": {
        const after = linkOf(map.array("after", 3));
        const upto = readLink(map);
        const reason = map.text("reason");
        if (upto.epoch === 0 || upto.seq === 0 || reason.length > maxReason) throw malformed();
        return { call, after, upto, reason };
      }
      case "registers": {
        const item = map.optional("after");
        if (item === undefined) return { call };
        const [meter, register] = pair(item);
        if (!isId(meter) || !isId(register)) throw malformed();
        return { call, after: [meter, register] };
      }
      default:
        throw malformed();
    }
  });
}

export function encodeHead({ epoch, seq, hash, t }: Head): Uint8Array {
  return encodeCbor({ epoch, seq, hash, t });
}

/** @throws UplinkError "malformed" */
export function decodeHead(bytes: Uint8Array): Head {
  return decoded(bytes, readHead);
}

export function encodeSummariesAnswer({ head, refused }: SummariesAnswer): Uint8Array {
  const { epoch, seq, hash, t } = head;
  return encodeCbor({
    ...{ epoch, seq, hash, t },
    refused: refused.map(({ index, reason }) => [index, reason]),
  });
}

/** @throws UplinkError "malformed" */
export function decodeSummariesAnswer(bytes: Uint8Array): SummariesAnswer {
  return decoded(bytes, (map) => ({
    head: readHead(map),
    refused: map.array("refused", maxStatements).map((item) => {
      const [index, reason] = pair(item);
      if (!Number.isInteger(index) || typeof reason !== "string") throw malformed();
      return { index: index as number, reason };
    }),
  }));
}

export function encodeKnownRegisters(registers: readonly KnownRegister[]): Uint8Array {
  return encodeCbor(registers.map((r) => [r.meter, r.register, r.seq, r.energy_Wh]));
}

/** @throws UplinkError "malformed" */
export function decodeKnownRegisters(bytes: Uint8Array): KnownRegister[] {
  try {
    const items = decodeCbor(bytes);
    if (!Array.isArray(items) || items.length > maxRegisters) throw malformed();
    return items.map((item) => {
      if (!Array.isArray(item) || item.length !== 4) throw malformed();
      const [meter, register, seq, energy_Wh] = item;
      if (!isId(meter) || !isId(register) || !isSeq(seq) || !isSeq(energy_Wh)) throw malformed();
      return { meter, register, seq, energy_Wh };
    });
  } catch (error) {
    throw malformed(error);
  }
}

function readHead(map: MapReader): Head {
  return { ...readLink(map), t: map.integer("t", 0, 2 ** 48) };
}

function readLink(map: MapReader): Link {
  return {
    epoch: map.integer("epoch", 0, maxEpoch),
    seq: map.integer("seq", 0, Number.MAX_SAFE_INTEGER),
    hash: map.bytes("hash", 32),
  };
}

function linkOf([epoch, seq, hash]: readonly Cbor[]): Link {
  if (!isEpoch(epoch) || !isSeq(seq) || !(hash instanceof Uint8Array) || hash.length !== 32) {
    throw malformed();
  }
  return { epoch, seq, hash };
}

const maxEpoch = 2 ** 31;

function isEpoch(value: unknown): value is number {
  return isSeq(value) && value <= maxEpoch;
}

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function pair(item: Cbor): readonly [Cbor, Cbor] {
  if (!Array.isArray(item) || item.length !== 2) throw malformed();
  return item as unknown as readonly [Cbor, Cbor];
}

function decoded<T>(bytes: Uint8Array, read: (map: MapReader) => T): T {
  return readMap(bytes, read, malformed);
}

function malformed(cause?: unknown): UplinkError {
  return new UplinkError("malformed", "Cannot read the uplink message", { cause });
}
