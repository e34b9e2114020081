/** What a device of profile v1 is answered: results as they are, and refusals as v2 has them. */
import { CodedError } from "../../core/base/errors.ts";
import type { Fresh } from "../../core/trust/legacy/arrival.ts";
import { LegacyError } from "../../core/trust/legacy/error.ts";
import type { RpcResponse } from "../../core/trust/legacy/rpc.ts";
import { decodeRpc, encodeRefusal } from "../../core/wire/json_rpc.ts";

/** An error as v2 has it, with a code of ours in its data. */
export function failureOf(id: string | number, error: unknown): RpcResponse {
  const isCoded = error instanceof CodedError;
  const code = isCoded ? error.code : "unavailable";
  const refused = decodeRpc(encodeRefusal(id, code, isCoded ? error.message : "It has failed"));
  if (refused.kind !== "error") throw new Error("Cannot make an error of a refusal");
  return { kind: "response", id, error: refused.error };
}

/** The message with the response; one that no receiver of v1 would take says so instead. */
export function answerOf(arrival: Fresh, response: RpcResponse): Uint8Array {
  try {
    return arrival.answer(response);
  } catch (error) {
    const isOurs = error instanceof LegacyError;
    if (!isOurs || error.code !== "too_large" && error.code !== "malformed") throw error;
    return arrival.answer(failureOf(response.id, error));
  }
}
