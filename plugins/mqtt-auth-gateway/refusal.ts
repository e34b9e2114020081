/** Why a device's call, or a call to it, comes to nothing: the code and the sentence that the caller gets. */
import { CodedError } from "../../core/base/errors.ts";

export type RefusalCode =
  | "method_not_found" // nobody here answers it
  | "not_allowed" // not for this device
  | "invalid_params"
  | "rate_limited"
  | "once_required" // it has an effect outside, and no id that makes it happen once
  | "too_many_names" // values of more names than are kept of one device
  | "hook_busy"
  | "hook_down" // it failed lately: it is left in peace for a while
  | "hook_unreachable" // the call was not sent
  | "hook_refused"
  | "hook_failed"
  | "hook_answer" // it was done, and what came back is no result
  | "outcome_unknown" // the call was sent, and nobody knows what became of it
  | "not_connected"
  | "no_answer"
  | "device_unknown"
  | "bad_request"
  | "bad_query"
  | "device_pinned" // it has spoken v2
  | "weak_psk"
  | "v1_off"
  | "too_many_psks"
  | "once_unsupported"; // profile v1 has no place for it

export class RpcRefusal extends CodedError<RefusalCode> {
  override readonly name = "RpcRefusal";
}
