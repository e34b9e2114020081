/**
 * One life of a sensor, from power to no power, as the rest of it sees that: calls go out, and come to
 * one of these ends. Profile v2 is in `sensor_session.ts`, v1 in `sensor_legacy.ts`.
 */
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Log } from "../../core/services/logging.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import type { Json, RpcRequest } from "../../core/wire/json_rpc.ts";
import type { BrokerAccess, SensorConnection } from "./sensor_connection.ts";
import type { Tally } from "./sensor_counts.ts";
import type { Flash } from "./sensor_flash.ts";
import type { Frames } from "./sensor_frames.ts";
import type { SensorMethods } from "./sensor_methods.ts";

export interface SensorCall {
  readonly method: string;
  readonly params?: RpcRequest["params"];
  /** 32 hexadecimal digits of a call that has an effect; null when it may happen again. */
  readonly once: string | null;
}

export interface SensorLink extends AsyncDisposable {
  /**
   * Calls, and gives the result.
   * @param within milliseconds
   * @throws Refusal with the site's code, or "outcome_unknown"; whatever else is thrown is no answer
   */
  call(call: SensorCall, within: number): Promise<Json>;
  /** The connection to the broker, once there has been reason to connect. */
  readonly connection: SensorConnection | null;
  /** The site that has let it in, where that shows. */
  readonly pinned: { readonly site: string; readonly remoteStatic: Uint8Array } | null;
}

export interface LinkOptions {
  readonly suite: Suite;
  readonly flash: Flash;
  readonly broker: BrokerAccess;
  readonly log: Log;
  readonly frames: Frames;
  readonly tally: Tally;
  readonly methods: SensorMethods;
  /** Hears what the device shows while it waits for approval. */
  readonly onWords: (words: string | null) => void;
  /** Hears each time that the broker is there. */
  readonly onUp: () => void;
}

export class SensorError extends CodedError<"no_answer" | "stopped" | "too_many_calls" | "usage"> {
  override readonly name = "SensorError";
}

export function stoppedError(id: Id): SensorError {
  return new SensorError("stopped", `Cannot call: the device "${id}" has been switched off`);
}
