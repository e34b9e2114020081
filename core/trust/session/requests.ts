/**
 * What the answering side asks of devices in their open sessions: each request is sealed once, repeated
 * byte for byte until it is answered or its time is over, and answered only in the session in which it
 * was made. When that session ends first, nobody knows whether the device has acted: the request fails
 * with "outcome_unknown", and is not made again in the next session, because that is for whoever asked
 * to decide (an effect that must not happen twice bears an id of its own, `run_once.ts`).
 */
import type { Clock } from "../../base/clock.ts";
import { CallError, type ReadRpc, type RpcId } from "./call.ts";
import { type CallOutcome, Calls } from "./calls.ts";
import type { Live } from "./live_sessions.ts";

export type RequestFailure =
  | "no_answer"
  | "outcome_unknown" // its session has ended, and the device may have heard it or not
  | "not_connected"; // its session has ended, and the request had not been sent

/** Under way at once: to one device, and in all. */
const deviceLimit = 16;
const totalLimit = 1_024;

export class Requests<P, A> {
  readonly #clock: Clock;
  readonly #readRpc: ReadRpc;
  /** Sessions in which a request is under way. */
  readonly #busy = new Set<Live<P, A>>();
  readonly #outcomes: CallOutcome<RequestFailure>[] = [];
  #last = 0;

  constructor({ clock, readRpc }: { clock: Clock; readRpc: ReadRpc }) {
    this.#clock = clock;
    this.#readRpc = readRpc;
  }

  /** How many are under way. */
  get size(): number {
    let size = 0;
    for (const { asked } of this.#busy) size += asked!.size;
    return size;
  }

  /**
   * Asks a device in its session; the outcome bears the number returned.
   * @throws CallError "too_many_calls", "id_in_use"; CodedError of `readRpc`
   */
  ask(live: Live<P, A>, body: Uint8Array, deadline: number): number {
    const calls = live.asked ??= new Calls(this.#readRpc, () => ++this.#last);
    if (calls.size >= deviceLimit || this.size >= totalLimit) {
      throw new CallError("too_many_calls", "Cannot call: too many calls are under way");
    }
    const number = calls.call(body, deadline);
    this.#busy.add(live);
    return number;
  }

  /** Hears a response. Returns whether it was waited for, in this session. */
  responded(
    { asked }: Live<P, A>,
    id: RpcId,
    response: { answer: Uint8Array } | { refusal: string },
  ): boolean {
    return asked?.responded(id, response) ?? false;
  }

  /** The session has ended. */
  end(live: Live<P, A>): void {
    if (!this.#busy.delete(live)) return;
    const calls = live.asked!;
    calls.abandon({ sent: "outcome_unknown", unsent: "not_connected" });
    this.#outcomes.push(...calls.takeOutcomes());
  }

  /** Does what is due. Call it after everything else, and when the time has come. */
  advance(): {
    readonly send: readonly { readonly live: Live<P, A>; readonly frame: Uint8Array }[];
    readonly outcomes: readonly CallOutcome<RequestFailure>[];
    /** Infinity when nothing is under way. */
    readonly due: number;
  } {
    const now = this.#clock();
    const send: { live: Live<P, A>; frame: Uint8Array }[] = [];
    let due = Infinity;
    for (const live of this.#busy) {
      const calls = live.asked!;
      calls.expire(now, "no_answer");
      calls.seal(live.session, now);
      due = Math.min(due, calls.deadline);
      for (const attempt of calls.attempts()) {
        if (attempt.due <= now) {
          for (const frame of attempt.frames) send.push({ live, frame });
          attempt.sent(now);
        }
        due = Math.min(due, attempt.due);
      }
      this.#outcomes.push(...calls.takeOutcomes());
      if (calls.size === 0) this.#busy.delete(live);
    }
    return { send, outcomes: this.#outcomes.splice(0), due };
  }
}
