/**
 * What a message of profile v1 leads to, at either side: nothing, a repetition of an answer, or an act
 * that must wait until the new state is stored.
 */
import type { Secret } from "../../base/secret.ts";
import type { Association, Received } from "./_association.ts";
import { LegacyError } from "./error.ts";
import type { Rpc, RpcResponse } from "./rpc.ts";

/** A state that must be durable before what comes of it is done. */
export interface Save {
  /** Holds keys: seal it, and wipe it then. States are stored in the order in which they come. */
  readonly state: Secret;
  /** Says that it is durable. Where storing failed, drop the side and restore what is stored. */
  stored(): void;
}

export type Arrival =
  | {
    readonly kind: "duplicate";
    readonly rpc: Rpc;
    readonly key: Uint8Array;
    /** The bytes of the answer, to be sent again; null when there is none, or none yet. */
    readonly answer: Uint8Array | null;
  }
  | Fresh;

/** To be acted on once, after `save`. */
export interface Fresh {
  readonly kind: "fresh";
  readonly rpc: Rpc;
  /** The public key of the sender: whoever has another one did not send this. */
  readonly key: Uint8Array;
  /** Whether it is the first under its keys: the other side has shown that it has them. */
  readonly first: boolean;
  readonly save: Save;
  /**
   * The message that answers this request, and every repetition of it.
   * @throws LegacyError "not_stored" | "not_reserved" | "malformed" | "too_large" | "no_keys" |
   * "exhausted"
   */
  answer(response: RpcResponse): Uint8Array;
}

/** @param options.seconds the time of day as messages bear it */
export function arrivalOf(
  received: Received,
  association: Association,
  options: { counter: number; first: boolean; save: Save; seconds: () => number },
): Arrival {
  const { rpc, duplicate, answer } = received;
  const key = association.peer;
  if (duplicate) return { kind: "duplicate", rpc, key, answer };
  const { counter, first, save, seconds } = options;
  let isStored = false;
  return {
    ...{ kind: "fresh", rpc, key, first },
    save: {
      state: save.state,
      stored() {
        isStored = true;
        save.stored();
      },
    },
    answer(response) {
      if (!isStored) {
        throw new LegacyError("not_stored", "Cannot answer: that the call was taken is not stored");
      }
      if (rpc.kind !== "request" || rpc.id !== response.id) {
        throw new LegacyError("malformed", "Cannot answer: the response is to another call");
      }
      const message = association.seal(response, seconds());
      association.remember(counter, message);
      return message;
    },
  };
}

/** Seconds as nonces bear them: a clock that is set before 1970 counts as unset. */
export function secondsOf(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds / 1000));
}
