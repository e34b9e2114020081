/**
 * A sensor that speaks profile v1 (protocols.md §4). A call is one message, sent again as it is until
 * its answer comes. When none comes the device connects again: its site may have lost the keys. Nobody
 * can read answers under the old keys then, so of a call with an effect nobody knows the end.
 *
 * The state of the keys is in the flash before anything that it allows is done.
 */
import { fromBase64url, toBase64url, utf8 } from "../../core/base/bytes.ts";
import { Secret } from "../../core/base/secret.ts";
import { pause } from "../../core/services/pause.ts";
import { Refusal } from "../../core/services/sessions/mod.ts";
import type { Fresh, Save } from "../../core/trust/legacy/arrival.ts";
import { pskOfCode } from "../../core/trust/legacy/connect.ts";
import { DeviceSide } from "../../core/trust/legacy/device_side.ts";
import { LegacyError } from "../../core/trust/legacy/error.ts";
import { decodeEnvelope } from "../../core/trust/legacy/message.ts";
import type { RpcResponse } from "../../core/trust/legacy/rpc.ts";
import { decodeRpc, encodeRefusal, type Json, refusalIn } from "../../core/wire/json_rpc.ts";
import { sessionTopics } from "../../core/wire/peer.ts";
import { SensorConnection } from "./sensor_connection.ts";
import {
  type LinkOptions,
  type SensorCall,
  SensorError,
  type SensorLink,
  stoppedError,
} from "./sensor_link.ts";

export const legacyTopics = {
  connect: "jrpc/connect/request",
  up: "jrpc/gateway/rx",
} as const;

/** Milliseconds before a message is repeated, doubling, and between two connects. */
const repeatAfter = { first: 2_000, longest: 8_000 };
const connectAfter = 5_000;
/** Sent so often without an answer, a call is reason to connect again. */
const enough = 4;

export class LegacyLink implements SensorLink {
  readonly #options: LinkOptions;
  readonly #side: DeviceSide;
  readonly #stop = new AbortController();
  readonly #waiting = new Map<string | number, PromiseWithResolvers<RpcResponse>>();
  /** Whoever waits for something to happen, or for the time to repeat. */
  readonly #rests = new Set<AbortController>();
  #connection: SensorConnection | null = null;
  #opening: Promise<SensorConnection> | undefined;
  #agreeing: Promise<void> | undefined;
  /** Settles with the call before. */
  #last: Promise<unknown> = Promise.resolve();
  /** An approve is taken only while it is waited for. */
  #wantsKeys = false;
  /** How often it has agreed on keys in this life. */
  #agreements = 0;
  #calls = 0;

  /** Begins a life. Nothing is sent before the first call. @throws LegacyError "malformed", "weak_psk" */
  constructor(options: LinkOptions) {
    this.#options = options;
    const { suite, flash: { id, noise, state: { psk, keys } } } = options;
    if (psk === null) {
      throw new SensorError("usage", `Cannot play "${id}" by profile v1: it has no psk`, {
        hint: "an admin of its site enters one: PUT /mqtt-auth-gateway/devices/ID/psk",
      });
    }
    this.#side = new DeviceSide(suite, {
      ...{ device: id, keyPair: noise, clock: Date.now },
      psk: pskOfCode(suite, fromBase64url(psk)),
      ...(keys !== null && { state: new Secret(fromBase64url(keys)) }),
    });
  }

  get connection(): SensorConnection | null {
    return this.#connection;
  }

  /** Nothing proves which site it is. */
  readonly pinned = null;

  /** One after the other: a message whose counter a later one has overtaken is refused for good. */
  call(call: SensorCall, within: number): Promise<Json> {
    const until = performance.now() + within;
    const result = this.#last.then(() => this.#call(call, until));
    this.#last = result.catch(() => {});
    return result;
  }

  async #call(call: SensorCall, until: number): Promise<Json> {
    for (;;) {
      if (!this.#side.isApproved) await this.#agree(until);
      this.#requireTime(until);
      const response = await this.#sent(call, until);
      if (response !== null) return resultOf(response);
      // another message would be another call
      if (call.once !== null) {
        throw new Refusal("outcome_unknown", "The keys were lost before the answer came");
      }
      if (this.#stop.signal.aborted) throw stoppedError(this.#options.flash.id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#agreeing?.catch(() => {});
    const connection = await this.#opening?.catch(() => null);
    await connection?.[Symbol.asyncDispose]();
    this.#side.wipe();
  }

  /** One message, until it is answered: null when the keys were replaced, or the power went, before. */
  async #sent({ method, params }: SensorCall, until: number): Promise<RpcResponse | null> {
    const side = this.#side;
    if (side.mustReserve) this.#keep(side.reserve());
    const id = `s-${++this.#calls}`;
    const message = side.request({
      ...{ kind: "request", id, method },
      ...(params !== undefined && { params }),
    });
    const answered = Promise.withResolvers<RpcResponse>();
    this.#waiting.set(id, answered);
    const agreements = this.#agreements;
    try {
      let wait = repeatAfter.first;
      for (let times = 0; agreements === this.#agreements && !this.#stop.signal.aborted;) {
        this.#requireTime(until);
        if (await this.#publish(legacyTopics.up, message)) times++;
        // what never left says nothing about the keys
        if (times >= enough) this.#agree(until).catch(() => {});
        const rest = this.#rest(Math.min(wait, until - performance.now()));
        wait = Math.min(2 * wait, repeatAfter.longest);
        const response = await Promise.race([answered.promise, rest]);
        if (response !== undefined) return response;
      }
      return null;
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Connects until the site approves, or an answer shows that the old keys will do. */
  #agree(until: number): Promise<void> {
    const agree = async () => {
      this.#wantsKeys = true;
      while (this.#wantsKeys) {
        this.#requireTime(until);
        await this.#publish(legacyTopics.connect, this.#side.connect());
        if (this.#wantsKeys) await this.#rest(connectAfter * (0.5 + Math.random() / 2));
      }
    };
    return this.#agreeing ??= agree().finally(() => {
      this.#agreeing = undefined;
      this.#wantsKeys = false;
    });
  }

  /** @throws SensorError "stopped", "no_answer" */
  #requireTime(until: number): void {
    if (this.#stop.signal.aborted) throw stoppedError(this.#options.flash.id);
    if (performance.now() < until) return;
    throw new SensorError("no_answer", "No answer from the site");
  }

  /** Waits for so many milliseconds, or until something has changed. */
  async #rest(milliseconds: number): Promise<void> {
    const ending = new AbortController();
    this.#rests.add(ending);
    if (!this.#stop.signal.aborted) await pause(Math.max(0, milliseconds), ending.signal);
    this.#rests.delete(ending);
  }

  #wake(): void {
    for (const rest of this.#rests) rest.abort();
  }

  /** Whether it has reached the broker. */
  async #publish(topic: string, payload: Uint8Array): Promise<boolean> {
    try {
      await (await this.#connected()).publish(topic, payload);
      return true;
    } catch (error) {
      this.#options.log.debug("a message was not sent: it will be repeated", { error });
      return false;
    }
  }

  #connected(): Promise<SensorConnection> {
    const open = async () => {
      const { flash: { id }, broker, log, frames, onUp } = this.#options;
      const connection = await SensorConnection.open({ id, broker, log, frames, onUp });
      try {
        await connection.subscribe(sessionTopics("rpc", id).down, ({ payload, retained }) => {
          if (!retained && !this.#stop.signal.aborted) this.#take(payload);
        });
      } catch (error) {
        await connection[Symbol.asyncDispose]();
        throw error;
      }
      return this.#connection = connection;
    };
    return this.#opening ??= open().catch((error) => {
      this.#opening = undefined; // the next message tries anew
      throw error;
    });
  }

  #take(payload: Uint8Array): void {
    const { log } = this.#options;
    try {
      if (isApprove(payload)) return this.#wantsKeys ? this.#approve(payload) : undefined;
      const arrival = this.#side.open(decodeEnvelope(payload));
      if (arrival.kind === "fresh") return this.#act(arrival);
      if (arrival.answer !== null) void this.#publish(legacyTopics.up, arrival.answer);
    } catch (error) {
      if (!(error instanceof LegacyError)) throw error;
      log.debug("a message of the site is ignored", { error });
    }
  }

  #approve(payload: Uint8Array): void {
    this.#keep(this.#side.approve(payload));
    this.#options.tally.add("sessions");
    this.#agreements++;
    this.#wantsKeys = false;
    this.#wake();
  }

  #act(arrival: Fresh): void {
    const { rpc, save } = arrival;
    if (rpc.kind === "response") {
      this.#keep(save);
      this.#wantsKeys = false;
      return this.#waiting.get(rpc.id)?.resolve(rpc);
    }
    const { id, method, params } = rpc;
    const call = { id, method, once: null, ...(params !== undefined && { params }) };
    const outcome = this.#options.methods.answer(call, { keys: stored(save) });
    save.stored();
    const response = "refused" in outcome
      ? { kind: "response", id, error: errorOf(id, outcome) } as const
      : { kind: "response", id, result: outcome.result } as const;
    void this.#publish(legacyTopics.up, arrival.answer(response));
  }

  /** What the state allows may be done when this returns. */
  #keep(save: Save): void {
    this.#options.flash.write({ keys: stored(save) });
    save.stored();
  }
}

function stored({ state }: Save): string {
  const text = toBase64url(state.reveal());
  state.wipe();
  return text;
}

function isApprove(payload: Uint8Array): boolean {
  const start = utf8('{"status"');
  return start.every((byte, i) => payload[i] === byte);
}

/** @throws Refusal */
function resultOf(response: RpcResponse): Json {
  if ("result" in response) return response.result;
  const { code, message } = response.error;
  throw new Refusal(refusalIn(response.error) ?? `error ${code}`, message);
}

function errorOf(id: string | number, { refused, why }: { refused: string; why: string }) {
  const message = decodeRpc(encodeRefusal(id, refused, why));
  if (message.kind !== "error") throw new TypeError("A refusal is no error");
  return message.error;
}
