/**
 * JSON-RPC 2.0 as profile v1 carries it (protocols.md §4): a request or a response, one at a time. Its
 * text also bears the nonce and the second of the message around it; those belong to `message.ts`.
 */
import { utf8 } from "../../base/bytes.ts";
import type { Json, JsonObject } from "../../base/json.ts";
import { LegacyError } from "./error.ts";
import { Members } from "./_members.ts";

/** A name of `[A-Za-z0-9_-]{1,64}`, or a whole number from 0 to 2^53 − 1. */
export type RpcId = string | number;

export type Rpc = RpcRequest | RpcResponse;

export interface RpcRequest {
  readonly kind: "request";
  /** 1 to 64 of `[A-Za-z0-9_.-]`. */
  readonly method: string;
  readonly id: RpcId;
  readonly params?: JsonObject | readonly Json[];
}

export type RpcResponse =
  | { readonly kind: "response"; readonly id: RpcId; readonly result: Json }
  | { readonly kind: "response"; readonly id: RpcId; readonly error: RpcError };

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: Json;
}

/** The nonce and the second of the message around it, repeated inside. */
export interface Stamp {
  readonly nonce: string;
  readonly timestamp: number;
}

/** Bytes of JSON-RPC, at the most: what fits into a message, twice, as hexadecimal digits. */
export const rpcLimit = 32_000;
/** Objects and arrays inside each other, the outermost included. */
const depth = 16;

/** Plain JSON-RPC, as a handler takes and gives it. */
export function encodeRpc(rpc: Rpc): Uint8Array {
  return encode(rpc, {});
}

/** @throws LegacyError "malformed" */
export function decodeRpc(bytes: Uint8Array): Rpc {
  const members = membersOf(bytes);
  const rpc = readRpc(members);
  members.end();
  return rpc;
}

/** What is inside a message. @throws LegacyError "malformed" | "too_large" */
export function encodeStamped(rpc: Rpc, stamp: Stamp): Uint8Array {
  const bytes = encode(rpc, stamp);
  if (bytes.length > rpcLimit) {
    throw new LegacyError("too_large", "Cannot send the message: its JSON-RPC is too long");
  }
  decodeStamped(bytes); // what the other side would refuse must not cost a counter
  return bytes;
}

/** @throws LegacyError "malformed" */
export function decodeStamped(bytes: Uint8Array): { readonly rpc: Rpc; readonly stamp: Stamp } {
  const members = membersOf(bytes);
  const rpc = readRpc(members);
  const stamp = { nonce: members.string("nonce"), timestamp: members.natural("timestamp") };
  members.end();
  return { rpc, stamp };
}

function encode(rpc: Rpc, stamp: Partial<Stamp>): Uint8Array {
  const { kind: _, ...members } = rpc;
  // in the order in which protocols.md names them
  const { method, id, params } = { method: undefined, params: undefined, ...members };
  const outcome = "result" in members
    ? { result: members.result }
    : { error: "error" in members ? members.error : undefined };
  return utf8(JSON.stringify({ jsonrpc: "2.0", method, id, params, ...outcome, ...stamp }));
}

function membersOf(bytes: Uint8Array): Members {
  return new Members(bytes, { what: "JSON-RPC", limit: rpcLimit, depth });
}

function readRpc(members: Members): Rpc {
  if (members.string("jsonrpc") !== "2.0") throw members.refuse("it is not of version 2.0");
  const id = members.callId("id");
  if (members.has("method")) return readRequest(members, id);
  if (!members.has("error")) return { kind: "response", id, result: members.value("result") };
  const error = members.value("error");
  if (!isError(error)) throw members.refuse("error is not what it must be");
  return { kind: "response", id, error };
}

function readRequest(members: Members, id: RpcId): RpcRequest {
  const method = members.string("method");
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(method)) {
    throw members.refuse("method is not what it must be");
  }
  if (!members.has("params")) return { kind: "request", method, id };
  const params = members.value("params");
  if (typeof params !== "object" || params === null) {
    throw members.refuse("params is neither object nor array");
  }
  return { kind: "request", method, id, params: params as JsonObject | readonly Json[] };
}

function isError(value: Json): value is Json & RpcError {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { code, message, data: _, ...rest } = value as JsonObject;
  return Number.isSafeInteger(code) && typeof message === "string" &&
    Object.keys(rest).length === 0;
}
