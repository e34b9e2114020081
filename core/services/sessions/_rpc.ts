/** One JSON-RPC request answered by a handler, on whichever side: an error of ours is an answer too. */
import { CodedError } from "../../base/errors.ts";
import { encodeRefusal, readRpc, RpcError, type RpcId } from "../../wire/json_rpc.ts";

/**
 * Gives the response of the handler, or one that tells the code and the sentence of a `CodedError`, and
 * of any other failure nothing.
 * @param onRefused hears the code, and the error when it was not meant to be an answer
 */
export async function answerRpc(
  id: RpcId,
  handler: () => Promise<Uint8Array>,
  onRefused: (code: string, unexpected?: unknown) => void,
): Promise<Uint8Array> {
  try {
    const response = await handler();
    requireResponse(response, id);
    return response;
  } catch (error) {
    if (error instanceof CodedError) {
      onRefused(error.code);
      return encodeRefusal(id, error.code, error.message);
    }
    onRefused("unavailable", error);
    return encodeRefusal(id, "unavailable", "Something went wrong, and its cause is in the log");
  }
}

/** Another answer would leave whoever asks waiting, and nobody would know why. */
function requireResponse(response: Uint8Array, id: RpcId): void {
  try {
    const head = readRpc(response);
    if (head.kind === "response" && head.id === id) return;
  } catch (error) {
    if (error instanceof RpcError && error.code === "too_large") throw error;
    throw new TypeError("A handler gave what is no JSON-RPC response", { cause: error });
  }
  throw new TypeError("A handler answered another request than the one that it was given");
}
