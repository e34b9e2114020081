/**
 * The calls that a site makes of devices in their open sessions. What is repeated when, and which
 * answer belongs to which call, is the `Requests`'; here its clock is turned and its outcomes are
 * awaited.
 */
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { RpcHead } from "../../trust/session/call.ts";
import type { Live } from "../../trust/session/live_sessions.ts";
import { type RequestFailure, Requests } from "../../trust/session/requests.ts";
import { readRpc } from "../../wire/json_rpc.ts";
import type { Peer } from "../peers/mod.ts";
import { asChannelError, ChannelError, closedError, longestTimer, refusal } from "./_channel.ts";

type Session = Live<Peer, unknown>;
type Waiting = PromiseWithResolvers<Uint8Array> & { readonly device: Id };

export class Asking {
  readonly #clock: Clock;
  readonly #send: (device: Id, frame: Uint8Array) => void;
  readonly #requests: Requests<Peer, unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: { clock: Clock; send: (device: Id, frame: Uint8Array) => void }) {
    this.#clock = options.clock;
    this.#send = options.send;
    this.#requests = new Requests({ clock: options.clock, readRpc });
  }

  /** Asks, and resolves with the response. @throws Refusal, ChannelError, RpcError */
  async call(live: Session, body: Uint8Array, within: number): Promise<Uint8Array> {
    if (this.#isClosed) throw closedError();
    const { device } = live;
    const waiting = { device, ...Promise.withResolvers<Uint8Array>() };
    try {
      this.#waiting.set(this.#requests.ask(live, body, this.#clock() + within), waiting);
    } catch (error) {
      throw asChannelError(error);
    }
    this.#advance();
    return await waiting.promise;
  }

  /** Hears a response that a device has sent in its session. */
  responded(live: Session, head: RpcHead & { kind: "response" }, body: Uint8Array): void {
    const { id, refusal } = head;
    const response = refusal === null ? { answer: body } : { refusal };
    if (this.#requests.responded(live, id, response)) this.#advance();
  }

  /** Hears that a session has ended. */
  end(live: Session): void {
    if (live.asked === null) return;
    this.#requests.end(live);
    this.#advance();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { reject } of this.#waiting.values()) reject(closedError());
    this.#waiting.clear();
  }

  #advance(): void {
    if (this.#isClosed) return;
    const { send, outcomes, due } = this.#requests.advance();
    for (const { live, frame } of send) this.#send(live.device, frame);
    for (const outcome of outcomes) {
      const { device, resolve, reject } = this.#waiting.get(outcome.call)!;
      this.#waiting.delete(outcome.call);
      if ("answer" in outcome) resolve(outcome.answer);
      else if ("refusal" in outcome) reject(refusal(outcome.refusal));
      else reject(failed(outcome.failure, device));
    }
    clearTimeout(this.#timer);
    if (due === Infinity) return;
    const wait = Math.min(Math.max(0, due - this.#clock()), longestTimer);
    this.#timer = setTimeout(() => this.#advance(), wait);
  }
}

export function notConnected(device: Id): ChannelError {
  return new ChannelError(
    "not_connected",
    `Cannot call the device "${device}": it has no session`,
    {
      hint: "a device opens its session itself: is it running, and does it reach the broker?",
    },
  );
}

function failed(failure: RequestFailure, device: Id): ChannelError {
  if (failure === "not_connected") return notConnected(device);
  if (failure === "no_answer") {
    return new ChannelError("no_answer", `No answer from the device "${device}"`, {
      hint: "it may have acted all the same: give a call with an effect an id of its own",
    });
  }
  return new ChannelError(
    "outcome_unknown",
    `The session of the device "${device}" ended before its answer came: it may have acted or not`,
    { hint: "a call with an id of its own can be made again, and has its effect once" },
  );
}
