/**
 * What a device and a gateway say in an `unlock` session (protocols.md §5). The device asks for its
 * answer for one volume and says which boot asks; to seal with pieces it deposits one at every gateway;
 * it asks for the signed rosters that follow the one that it holds, and reports what became of its boot.
 * Who the device is, the session says: no call names it.
 *
 * Both sides are strict: one encoding of a message, no unknown members, and whatever an outsider sends
 * is bounded. An answer fits into one frame, so a long chain of rosters comes in parts.
 */
import { utf8 } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { Id } from "../base/id.ts";
import { type Cbor, decodeCbor, encodeCbor, type MapReader, readMap } from "../trust/cbor.ts";
import type { Suite } from "../trust/crypto.ts";
import { isScheme, maxMembers, type Scheme } from "../trust/share/scheme.ts";

/** Which start of the device asks: the counter rises by one at every start and is never reused. */
export interface Boot {
  /** From 1. */
  readonly counter: number;
  /** 16 random bytes, drawn at this start. */
  readonly id: Uint8Array;
}

/** How the secrets of a volume are spread. */
export type PieceScheme = Exclude<Scheme, "voprf">;

export interface UnlockRequest {
  readonly scheme: Scheme;
  /** 16 bytes. */
  readonly volume: Uint8Array;
  /** The group's key C0, 32 bytes: of `voprf` only. */
  readonly group: Uint8Array | null;
  /** Of the roster that the device holds, from 1; 0 for pieces. */
  readonly epoch: number;
  /** Whether the answer has to come with a proof: of `voprf` only. */
  readonly proof: boolean;
  readonly boot: Boot;
  /** The volume is being made: a gateway that knows it already says `volume_known`. */
  readonly seal: boolean;
}

export interface Deposit {
  readonly scheme: PieceScheme;
  readonly volume: Uint8Array;
  readonly k: number;
  readonly n: number;
  /** Which piece this is, from 1 to n. */
  readonly index: number;
  /** 1 to 64 bytes. */
  readonly piece: Uint8Array;
  readonly boot: Boot;
}

export type UnlockCall =
  | ({ readonly call: "unlock" } & UnlockRequest)
  /** Answered with nothing once the piece is on the gateway's disk, or with a denial. */
  | ({ readonly call: "deposit" } & Deposit)
  /** Answered with the rosters of higher epochs, oldest first, as many as fit; none: there are no more. */
  | { readonly call: "rosters"; readonly after: number }
  /** A boot event (boot_event.ts), signed. Answered with nothing. */
  | { readonly call: "report"; readonly statement: Uint8Array };

export const deniedReasons = [
  "pending", // a person has to decide: the same request again, later
  "refused",
  "epoch", // the device's roster is not the gateway's: the rosters since then come along
  "group",
  "no_share",
  "volume_unknown",
  "volume_known",
  "clone", // this start's counter has been seen with another id, or a higher one
  "hours",
  "rate",
  "quota",
  "unlogged", // the gateway cannot write its log, so it decides nothing
] as const;
export type DeniedReason = typeof deniedReasons[number];

export interface Denial {
  readonly denied: DeniedReason;
  /** When asking again makes sense, in milliseconds. */
  readonly retry_ms?: number;
  /** By which name people know the request: `requestName`. */
  readonly request?: string;
  /** Signed rosters, oldest first. */
  readonly rosters?: readonly Uint8Array[];
}

export type UnlockReply =
  /** The point or the piece, and its proof if one was asked for. */
  | { readonly epoch: number; readonly answer: Uint8Array; readonly proof: Uint8Array | null }
  | Denial;

export class UnlockError extends CodedError<"malformed"> {
  override readonly name = "UnlockError";
}

const maxEpoch = 2 ** 31;
/** Rosters in one answer at the most, and their bytes: an answer is one frame. */
const maxRosters = 64;
const maxRostersBytes = 60_000;
const maxPiece = 64;
const maxStatement = 2_048;
const maxRetry = 3_600_000;

/** By which name people know a request: every gateway shows the same one, 8 characters. */
export function requestName(
  suite: Suite,
  { device, volume, boot }: { device: Id; volume: Uint8Array; boot: Boot },
): string {
  const digits = "abcdefghijklmnopqrstuvwxyz234567";
  const hash = suite.sha256(utf8(device), volume, boot.id);
  let name = "", bits = 0, buffer = 0;
  for (const byte of hash.subarray(0, 5)) {
    buffer = (buffer << 8 | byte) & 0xffff;
    for (bits += 8; bits >= 5; bits -= 5) name += digits[buffer >> (bits - 5) & 31];
  }
  return name;
}

/** The first of them that one answer can carry. */
export function fittingRosters(rosters: readonly Uint8Array[]): readonly Uint8Array[] {
  let bytes = 0;
  const tooMany = rosters.findIndex((one, i) =>
    i >= maxRosters || (bytes += one.length) > maxRostersBytes
  );
  return tooMany < 0 ? rosters : rosters.slice(0, tooMany);
}

export function encodeUnlockCall(call: UnlockCall): Uint8Array {
  switch (call.call) {
    case "unlock": {
      const { scheme, volume, group, epoch, proof, boot, seal } = call;
      return encodeCbor({ scheme, volume, group, epoch, proof, boot: bootItem(boot), seal });
    }
    case "deposit": {
      const { scheme, volume, k, n, index, piece, boot } = call;
      const deposit = { scheme, volume, k, n, index, piece, boot: bootItem(boot) };
      return encodeCbor({ call: "deposit", ...deposit });
    }
    case "rosters":
      return encodeCbor({ call: "rosters", after: call.after });
    case "report":
      return encodeCbor({ call: "report", statement: call.statement });
  }
}

/** @throws UnlockError "malformed" */
export function decodeUnlockCall(bytes: Uint8Array): UnlockCall {
  return decoded(bytes, (map) => {
    const call = map.optional("call");
    switch (call) {
      case undefined:
        return { call: "unlock", ...readRequest(map) };
      case "deposit":
        return { call, ...readDeposit(map) };
      case "rosters":
        return { call, after: map.integer("after", 0, maxEpoch) };
      case "report":
        return { call, statement: bounded(map.bytes("statement"), maxStatement) };
      default:
        throw malformed();
    }
  });
}

export function encodeUnlockReply(reply: UnlockReply): Uint8Array {
  if (!("denied" in reply)) {
    const { epoch, answer, proof } = reply;
    return encodeCbor({ epoch, answer, proof });
  }
  const { denied, retry_ms, request, rosters } = reply;
  return encodeCbor({
    denied,
    ...(retry_ms !== undefined && { retry_ms }),
    ...(request !== undefined && { request }),
    ...(rosters !== undefined && { rosters }),
  });
}

/** @throws UnlockError "malformed" */
export function decodeUnlockReply(bytes: Uint8Array): UnlockReply {
  return decoded(bytes, (map) => {
    const denied = map.optional("denied");
    if (denied !== undefined) return readDenial(map, denied);
    const proof = map.value("proof");
    if (proof !== null && !isBytes(proof, 64)) throw malformed();
    const answer = bounded(map.bytes("answer"), maxPiece);
    return { epoch: map.integer("epoch", 0, maxEpoch), answer, proof };
  });
}

export function encodeRosters(rosters: readonly Uint8Array[]): Uint8Array {
  return encodeCbor(rosters);
}

/** @throws UnlockError "malformed" */
export function decodeRosters(bytes: Uint8Array): Uint8Array[] {
  try {
    return rostersOf(decodeCbor(bytes));
  } catch (error) {
    throw malformed(error);
  }
}

/** As it stands in calls and statements: `[counter, id]`. */
export function bootItem({ counter, id }: Boot): readonly [number, Uint8Array] {
  return [counter, id];
}

/** @throws CodedError "malformed" */
export function bootOf(item: Cbor): Boot {
  if (!Array.isArray(item) || item.length !== 2) throw malformed();
  const [counter, id] = item as readonly Cbor[];
  if (!Number.isSafeInteger(counter) || counter as number < 1 || !isBytes(id, 16)) {
    throw malformed();
  }
  return { counter: counter as number, id };
}

function readRequest(map: MapReader): UnlockRequest {
  const scheme = readScheme(map);
  const isShared = scheme === "voprf";
  const group = map.value("group");
  if (isShared ? !isBytes(group, 32) : group !== null) throw malformed();
  const proof = flag(map, "proof");
  if (proof && !isShared) throw malformed();
  return {
    scheme,
    volume: map.bytes("volume", 16),
    group: group as Uint8Array | null,
    epoch: isShared ? map.integer("epoch", 1, maxEpoch) : map.integer("epoch", 0, 0),
    proof,
    boot: bootOf(map.value("boot")),
    seal: flag(map, "seal"),
  };
}

function readDeposit(map: MapReader): Deposit {
  const scheme = readScheme(map);
  if (scheme === "voprf") throw malformed();
  const n = map.integer("n", 2, maxMembers);
  return {
    scheme,
    n,
    k: map.integer("k", scheme === "xor" ? n : 2, n),
    index: map.integer("index", 1, n),
    volume: map.bytes("volume", 16),
    piece: bounded(map.bytes("piece"), maxPiece),
    boot: bootOf(map.value("boot")),
  };
}

function readDenial(map: MapReader, denied: Cbor): Denial {
  if (!(deniedReasons as readonly Cbor[]).includes(denied)) throw malformed();
  const retry = map.optional("retry_ms");
  const request = map.optional("request");
  const rosters = map.optional("rosters");
  if (retry !== undefined && !isWithin(retry, maxRetry)) throw malformed();
  if (request !== undefined && !isRequestName(request)) throw malformed();
  return {
    denied: denied as DeniedReason,
    ...(retry !== undefined && { retry_ms: retry }),
    ...(request !== undefined && { request }),
    ...(rosters !== undefined && { rosters: rostersOf(rosters) }),
  };
}

function rostersOf(item: Cbor): Uint8Array[] {
  if (!Array.isArray(item) || item.length > maxRosters) throw malformed();
  let bytes = 0;
  for (const roster of item) {
    if (!(roster instanceof Uint8Array)) throw malformed();
    bytes += roster.length;
  }
  if (bytes > maxRostersBytes) throw malformed();
  return item;
}

function readScheme(map: MapReader): Scheme {
  const scheme = map.value("scheme");
  if (!isScheme(scheme)) throw malformed();
  return scheme;
}

function flag(map: MapReader, key: string): boolean {
  const value = map.value(key);
  if (typeof value !== "boolean") throw malformed();
  return value;
}

/** At least one byte. */
function bounded(bytes: Uint8Array, most: number): Uint8Array {
  if (bytes.length === 0 || bytes.length > most) throw malformed();
  return bytes;
}

function isBytes(item: Cbor | undefined, length: number): item is Uint8Array {
  return item instanceof Uint8Array && item.length === length;
}

function isWithin(item: Cbor, most: number): item is number {
  return Number.isInteger(item) && item as number >= 0 && item as number <= most;
}

function isRequestName(item: Cbor): item is string {
  return typeof item === "string" && /^[a-z2-7]{8}$/.test(item);
}

function decoded<T>(bytes: Uint8Array, read: (map: MapReader) => T): T {
  return readMap(bytes, read, malformed);
}

function malformed(cause?: unknown): UnlockError {
  return new UnlockError("malformed", "Cannot read the unlock message", { cause });
}
