/**
 * What is inside a data frame: `kind(1) | …`. A call and its answer, or a refusal with a code; the
 * answer names the call by its sequence number. `rpc` sessions carry JSON-RPC instead, whose first
 * byte is `{`.
 */
import { concat, utf8, viewOf } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";

/** Kinds: 1 call, 2 answer, 3 refusal, 4 enrolment (a call to the session layer itself). */
export type Message =
  | { readonly kind: "call"; readonly body: Uint8Array }
  | { readonly kind: "enrol"; readonly body: Uint8Array }
  | { readonly kind: "answer"; readonly to: number; readonly body: Uint8Array }
  | { readonly kind: "refusal"; readonly to: number; readonly code: string };

export class CallError extends CodedError<"malformed"> {
  override readonly name = "CallError";
}

export function encodeMessage(message: Message): Uint8Array {
  if (message.kind === "call") return concat(Uint8Array.of(1), message.body);
  if (message.kind === "enrol") return concat(Uint8Array.of(4), message.body);
  const head = new Uint8Array(9);
  head[0] = message.kind === "answer" ? 2 : 3;
  const view = viewOf(head);
  view.setUint32(1, Math.floor(message.to / 2 ** 32));
  view.setUint32(5, message.to >>> 0);
  return concat(head, message.kind === "answer" ? message.body : utf8(message.code));
}

/** @throws CallError "malformed" */
export function decodeMessage(bytes: Uint8Array): Message {
  const kind = bytes[0];
  if (kind === 1) return { kind: "call", body: bytes.subarray(1) };
  if (kind === 4) return { kind: "enrol", body: bytes.subarray(1) };
  if ((kind !== 2 && kind !== 3) || bytes.length < 9) throw malformed();
  const view = viewOf(bytes);
  const to = view.getUint32(1) * 2 ** 32 + view.getUint32(5);
  const body = bytes.subarray(9);
  if (kind === 2) return { kind: "answer", to, body };
  const code = String.fromCharCode(...body.subarray(0, 65));
  if (!/^[a-z0-9_.]{1,64}$/.test(code)) throw malformed();
  return { kind: "refusal", to, code };
}

function malformed(): CallError {
  return new CallError("malformed", "Cannot read the message inside the frame");
}
