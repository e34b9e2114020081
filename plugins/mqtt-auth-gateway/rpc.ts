/** Calls by profile v2: what a session has authenticated goes to the dispatcher, and its result back. */
import type { Handler } from "../../core/services/sessions/mod.ts";
import { decodeRpc, encodeRpc } from "../../core/wire/json_rpc.ts";
import type { Dispatch } from "./dispatch.ts";
import { RpcRefusal } from "./refusal.ts";

/** Answers JSON-RPC requests; what is thrown becomes an error with its code. */
export function rpcHandler(dispatch: Dispatch): Handler {
  return async (bytes, peer) => {
    const request = decodeRpc(bytes);
    if (request.kind !== "request") {
      throw new RpcRefusal("bad_request", "Cannot answer: the message is a response");
    }
    const { id, method, params, once = null } = request;
    const result = await dispatch({ peer, profile: "v2", method, params, once });
    return encodeRpc({ kind: "result", id, result });
  };
}
