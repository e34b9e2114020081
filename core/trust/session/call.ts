/**
 * What is inside a data frame: `kind(1) | …`. A call and its answer, or a refusal with a code; the
 * answer names the call by its sequence number. In `rpc` sessions calls and their answers are JSON-RPC
 * instead, either way, whose first byte is `{`; only the enrolment is as everywhere.
 */
import { concat, utf8, viewOf } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import type { Session } from "./session.ts";
import { decodeCbor, encodeCbor, MapReader } from "../cbor.ts";

/** Kinds: 1 call, 2 answer, 3 refusal, 4 enrolment (a call to the session layer itself). */
export type Message =
  | { readonly kind: "call"; readonly body: Uint8Array }
  | { readonly kind: "enrol"; readonly body: Uint8Array }
  | { readonly kind: "answer"; readonly to: number; readonly body: Uint8Array }
  | { readonly kind: "refusal"; readonly to: number; readonly code: string }
  /** A JSON-RPC request or response; the body is all of it. */
  | { readonly kind: "rpc"; readonly body: Uint8Array };

/** As the one who asks has written it: "7" is not 7. */
export type RpcId = string | number;

/** What a session has to know of a JSON-RPC message; who reads it is `core/wire/json_rpc.ts`. */
export type RpcHead =
  | { readonly kind: "request"; readonly id: RpcId }
  /** `refusal` is a code of ours, null for a result and for an error of the method's own. */
  | { readonly kind: "response"; readonly id: RpcId; readonly refusal: string | null };

/** @throws CodedError when it is neither a request nor a response */
export type ReadRpc = (body: Uint8Array) => RpcHead;

export type CallErrorCode =
  | "malformed"
  | "too_many_calls" // more under way than anybody needs
  | "id_in_use"; // the answer to another call with this id may still come

export class CallError extends CodedError<CallErrorCode> {
  override readonly name = "CallError";
}

/** `{`: no kind will ever have this number. */
const brace = 0x7b;

/** @throws CallError "malformed" when a JSON-RPC message does not begin with `{` */
export function encodeMessage(message: Message): Uint8Array {
  if (message.kind === "rpc") {
    if (message.body[0] !== brace) throw malformed();
    return message.body;
  }
  if (message.kind === "call") return concat(Uint8Array.of(1), message.body);
  if (message.kind === "enrol") return concat(Uint8Array.of(4), message.body);
  const isAnswer = message.kind === "answer";
  const body = isAnswer ? message.body : utf8(message.code);
  const bytes = new Uint8Array(9 + body.length);
  bytes[0] = isAnswer ? 2 : 3;
  // byte by byte, as in a frame's header
  for (let at = 8, to = message.to; at > 0; at--, to = Math.floor(to / 256)) bytes[at] = to;
  bytes.set(body, 9);
  return bytes;
}

/** Seals a message; its answer will name the number. */
export function sealMessage(
  session: Session,
  message: Message,
): { readonly seq: number; readonly frame: Uint8Array } {
  const frame = session.seal(encodeMessage(message));
  return { seq: session.nextSeq - 1, frame }; // not known before: renewing keys skips numbers
}

/** @throws CallError "malformed" */
export function decodeMessage(bytes: Uint8Array): Message {
  const kind = bytes[0];
  if (kind === 1) return { kind: "call", body: bytes.subarray(1) };
  if (kind === 4) return { kind: "enrol", body: bytes.subarray(1) };
  if (kind === brace) return { kind: "rpc", body: bytes };
  if ((kind !== 2 && kind !== 3) || bytes.length < 9) throw malformed();
  const view = viewOf(bytes);
  const to = view.getUint32(1) * 2 ** 32 + view.getUint32(5);
  if (!Number.isSafeInteger(to)) throw malformed();
  const body = bytes.subarray(9);
  if (kind === 2) return { kind: "answer", to, body };
  const code = String.fromCharCode(...body.subarray(0, 65));
  if (!/^[a-z0-9_.]{1,64}$/.test(code)) throw malformed();
  return { kind: "refusal", to, code };
}

/** The body of an enrolment: the peer's statement key, which the site binds to it. */
export function encodeEnrolRequest(signKey: Uint8Array): Uint8Array {
  return encodeCbor({ sign_key: signKey });
}

/** The peer's statement key. @throws CborError */
export function decodeEnrolRequest(body: Uint8Array): Uint8Array {
  const reader = new MapReader(decodeCbor(body));
  const signKey = reader.bytes("sign_key", 32);
  reader.end();
  return signKey;
}

/** What a peer hears when it has been bound: which site it has joined, as it may not have known. */
export function encodeEnrolAnswer(site: string): Uint8Array {
  return encodeCbor({ site });
}

/** @throws CborError */
export function decodeEnrolAnswer(body: Uint8Array): { readonly site: string } {
  const reader = new MapReader(decodeCbor(body));
  const site = reader.text("site");
  reader.end();
  return { site };
}

function malformed(): CallError {
  return new CallError("malformed", "Cannot read the message inside the frame");
}
