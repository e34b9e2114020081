/**
 * JSON-RPC 2.0 as `rpc` sessions carry it, both ways: one request or one response per frame, never a
 * batch and never a notification, because each call has exactly one answer. The reader is strict
 * (`readObject`), knows every member that may be there, and takes no method and no identifier that
 * could be mistaken for something else in a log, a topic or a pattern.
 *
 * Beyond the standard a request may bear `once`: 32 hexadecimal digits, the id of a call with an
 * effect, which runs once however often and in whatever session it is made (protocols.md §1).
 */
import { utf8 } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { type Json, type JsonObject, type Member, readObject } from "../base/json.ts";
import type { RpcHead, RpcId } from "../trust/session/call.ts";

export type { Json, JsonObject, RpcId };

export interface RpcRequest {
  readonly kind: "request";
  readonly id: RpcId;
  readonly method: string;
  readonly params?: readonly Json[] | JsonObject;
  /** 32 lower-case hexadecimal digits, drawn by the caller and kept for every attempt. */
  readonly once?: string;
}

export interface RpcResult {
  readonly kind: "result";
  readonly id: RpcId;
  readonly result: Json;
}

export interface RpcFailure {
  readonly kind: "error";
  readonly id: RpcId;
  readonly error: RpcErrorObject;
}

export interface RpcErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: Json;
}

export type RpcResponse = RpcResult | RpcFailure;
export type RpcMessage = RpcRequest | RpcResponse;

export class RpcError extends CodedError<"malformed" | "too_large"> {
  override readonly name = "RpcError";
}

/** Bytes of one message: what fits into a Noise transport message beside its tag. */
export const rpcLimit = 65_535 - 16;

/** Objects and arrays inside each other, the message itself included. */
const maxDepth = 16;
const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const methodPattern = /^[A-Za-z0-9_.-]{1,64}$/;
const oncePattern = /^[0-9a-f]{32}$/;
const refusalPattern = /^[a-z0-9_.]{1,64}$/;

/** Codes of JSON-RPC 2.0 §5.1 for what is no other than in every such protocol; -32000 for the rest. */
const numbers: Readonly<Record<string, number>> = {
  method_not_found: -32_601,
  invalid_params: -32_602,
  unavailable: -32_603,
};

/** @throws RpcError "malformed" when its parts are none, "too_large" */
export function encodeRpc(message: RpcMessage): Uint8Array {
  const { kind, ...members } = message;
  const bytes = utf8(JSON.stringify({ jsonrpc: "2.0", ...members }));
  if (decodeRpc(bytes).kind !== kind) throw malformed("its parts do not belong together");
  return bytes;
}

/** @throws RpcError "malformed", "too_large" */
export function decodeRpc(bytes: Uint8Array): RpcMessage {
  if (bytes.length > rpcLimit) {
    throw new RpcError("too_large", `Cannot take a JSON-RPC message of ${bytes.length} bytes`);
  }
  const members = new Members(membersOf(bytes));
  if (members.take("jsonrpc") !== "2.0") throw malformed("it is not of version 2.0");
  const id = idOf(members.take("id"));
  const message = members.has("method")
    ? requestOf(id, members)
    : members.has("error")
    ? { kind: "error" as const, id, error: errorOf(members.take("error")) }
    : { kind: "result" as const, id, result: members.take("result") };
  members.end();
  return message;
}

/** What sessions look at. @throws RpcError */
export function readRpc(bytes: Uint8Array): RpcHead {
  const message = decodeRpc(bytes);
  const { kind, id } = message;
  if (kind === "request") return { kind, id };
  return { kind: "response", id, refusal: kind === "error" ? refusalIn(message.error) : null };
}

/**
 * The response to a request that was refused with a code of ours: `{code, message, data: {code}}`.
 * @param message for people; nothing secret
 */
export function encodeRefusal(id: RpcId, code: string, message: string): Uint8Array {
  const whole = message.replace(/[\ud800-\udfff]/gu, "\ufffd"); // halves of characters are no JSON
  const said = Array.from(whole).slice(0, 300).join("");
  const error = { code: numbers[code] ?? -32_000, message: said, data: { code } };
  return encodeRpc({ kind: "error", id, error });
}

/** The code of ours in an error; null when it is an error of the method's own. */
export function refusalIn({ data }: RpcErrorObject): string | null {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return null;
  const { code } = data as JsonObject;
  return typeof code === "string" && refusalPattern.test(code) ? code : null;
}

function requestOf(id: RpcId, members: Members): RpcRequest {
  const method = members.take("method");
  if (typeof method !== "string" || !methodPattern.test(method)) {
    throw malformed("its method is no name");
  }
  const params = members.has("params") ? members.take("params") : undefined;
  if (params !== undefined && (typeof params !== "object" || params === null)) {
    throw malformed("its params are neither an array nor an object");
  }
  const once = members.has("once") ? members.take("once") : undefined;
  if (once !== undefined && (typeof once !== "string" || !oncePattern.test(once))) {
    throw malformed("its id of a call that runs once is none");
  }
  return {
    ...{ kind: "request", id, method },
    ...(params !== undefined && { params: params as NonNullable<RpcRequest["params"]> }),
    ...(once !== undefined && { once }),
  };
}

/** Text or a number as given: the answer must bear the same. */
function idOf(value: Json): RpcId {
  if (typeof value === "string" && idPattern.test(value)) return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw malformed("its id is none");
}

function errorOf(value: Json): RpcErrorObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const { code, message, data, ...others } = value as JsonObject;
    if (
      typeof code === "number" && Number.isSafeInteger(code) && typeof message === "string" &&
      Object.keys(others).length === 0
    ) return { code, message, ...(data !== undefined && { data }) };
  }
  throw malformed("its error is none");
}

/** Hands out each member once, and knows what nobody asked for. */
class Members {
  readonly #members: Map<string, Member>;

  constructor(members: ReadonlyMap<string, Member>) {
    this.#members = new Map(members);
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  take(name: string): Json {
    const member = this.#members.get(name);
    if (member === undefined) throw malformed(`it has no ${name}`);
    this.#members.delete(name);
    return member.value;
  }

  end(): void {
    if (this.#members.size > 0) throw malformed("it has members that do not belong there");
  }
}

function membersOf(bytes: Uint8Array): ReadonlyMap<string, Member> {
  try {
    return readObject(bytes, maxDepth);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw malformed(error.message, error);
  }
}

function malformed(why: string, cause?: unknown): RpcError {
  return new RpcError("malformed", `Cannot read the JSON-RPC message: ${why}`, { cause });
}
