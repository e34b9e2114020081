/**
 * What a sensor does when its site calls it. `relay.set` has an effect, and that happens once for each
 * call: the effect, the call's id and its result reach the flash in one write, before the answer leaves.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Json } from "../../core/wire/json_rpc.ts";
import type { Tally } from "./sensor_counts.ts";
import { answersKept, type Flash, journalLength, type SensorState } from "./sensor_flash.ts";

/** A call that has come for the first time in its session. */
export interface SiteCall {
  readonly id: string | number;
  readonly method: string;
  readonly params?: Json;
  /** Null where the call has no id of its own: then it comes once by the nature of its frames. */
  readonly once: string | null;
}

export type Outcome =
  | { readonly result: Json }
  | { readonly refused: "method_not_found" | "invalid_params"; readonly why: string };

export interface SensorMethodsOptions {
  readonly flash: Flash;
  readonly tally: Tally;
  /** Milliseconds since whenever, never backwards. */
  readonly monotonic: Clock;
}

export class SensorMethods {
  readonly #options: SensorMethodsOptions;
  readonly #since: number;

  constructor(options: SensorMethodsOptions) {
    this.#options = options;
    this.#since = options.monotonic();
  }

  /** Answers. @param also what must be in the flash with whatever happens, before the answer leaves */
  answer(call: SiteCall, also: Partial<SensorState> = {}): Outcome {
    const { flash, tally } = this.#options;
    tally.add("calls_from_site");
    const { outcome, change } = this.#run(call);
    const written = { ...also, ...change };
    if (Object.keys(written).length > 0) flash.write(written);
    return outcome;
  }

  #run(call: SiteCall): { outcome: Outcome; change?: Partial<SensorState> } {
    const { flash: { state }, monotonic } = this.#options;
    switch (call.method) {
      case "echo":
        return { outcome: { result: call.params ?? null } };
      case "state.get": {
        const { relay, switched, acts } = state;
        const uptime_ms = Math.round(monotonic() - this.#since);
        return { outcome: { result: { relay, switched, acts, uptime_ms } } };
      }
      case "relay.set":
        return this.#setRelay(call);
      default: {
        const why = "Cannot answer: no method has this name";
        return { outcome: { refused: "method_not_found", why } };
      }
    }
  }

  #setRelay({ id, params, once }: SiteCall): { outcome: Outcome; change?: Partial<SensorState> } {
    const { flash: { state }, tally } = this.#options;
    const known = state.answered.find((one) => one.once === once);
    if (known !== undefined) return { outcome: { result: known.result } };
    const on = isObject(params) ? params["on"] : undefined;
    if (typeof on !== "boolean") {
      return {
        outcome: { refused: "invalid_params", why: "Cannot set the relay: on is no boolean" },
      };
    }
    const name = once ?? `id ${id}`;
    if (state.journal.includes(name)) tally.add("duplicates_run");
    tally.add("effects");
    const switched = state.switched + 1;
    const result = { relay: on, switched };
    const answered = once === null
      ? state.answered
      : [...state.answered, { once, result }].slice(-answersKept);
    const journal = [...state.journal, name].slice(-journalLength);
    return { outcome: { result }, change: { relay: on, switched, answered, journal } };
  }
}

function isObject(value: Json | undefined): value is Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
