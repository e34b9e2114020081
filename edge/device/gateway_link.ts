/**
 * A device's session with one gateway, and what became of it. The session is under the key of the
 * enrolment, so whoever answers is that gateway or nobody.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Id } from "../../core/base/id.ts";
import type { Log } from "../../core/services/logging.ts";
import { type Channel, ChannelError, dial, Refusal } from "../../core/services/sessions/mod.ts";
import { pause } from "../../core/services/pause.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import { decodeRosters, encodeUnlockCall } from "../../core/wire/unlock.ts";
import type { DeviceHome } from "./home.ts";

export const outcomes = [
  "good",
  "bad", // it answered, and the answer is none
  "denied",
  "unreachable",
  "late", // the volume was open before it answered
] as const;
export type Outcome = typeof outcomes[number];

/** What one gateway did, for people and programs. */
export interface GatewayOutcome {
  readonly id: Id;
  readonly outcome: Outcome;
  /** In plain words; null when there is nothing to say. */
  readonly why: string | null;
  /** Milliseconds until it was known; null when it never was. */
  readonly ms: number | null;
}

export interface LinkOptions {
  readonly suite: Suite;
  readonly log?: Log;
  /** Milliseconds that only ever rise; those of the process unless given. */
  readonly now?: Clock;
}

const closingTime = 500;

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

export class GatewayLink implements AsyncDisposable {
  readonly id: Id;
  readonly enrolment: Enrolment;
  readonly #channel: Channel;
  /** Whether it has answered at all. */
  hasAnswered = false;
  /** Why it last did not. */
  trouble: unknown;

  /** Nothing is sent before the first call. */
  constructor(
    home: DeviceHome,
    { suite, enrolment, log = silent }: LinkOptions & { readonly enrolment: Enrolment },
  ) {
    this.id = enrolment.site;
    this.enrolment = enrolment;
    this.#channel = dial(enrolment, {
      ...{ suite, device: home.id, log, purpose: "unlock" },
      ...{ staticKey: home.noise, signKey: home.signer.publicKey },
    });
  }

  /** @param within milliseconds @throws Refusal; ChannelError when no answer came */
  async call(body: Uint8Array, within: number): Promise<Uint8Array> {
    try {
      const answer = await this.#channel.call(body, { within: Math.max(1, within) });
      this.hasAnswered = true;
      return answer;
    } catch (error) {
      if (error instanceof Refusal) this.hasAnswered = true;
      this.trouble = error;
      throw error;
    }
  }

  /** Signed rosters with epochs above this one, oldest first. @throws UnlockError, and as `call` */
  async rosters({ after, within }: { after: number; within: number }): Promise<Uint8Array[]> {
    const call = encodeUnlockCall({ call: "rosters", after });
    return decodeRosters(await this.call(call, within));
  }

  /** Waits only for a gateway that has answered: what a connection to another one does takes long. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.resolve(this.#channel[Symbol.asyncDispose]()).catch(() => {});
    if (!this.hasAnswered) return;
    const isClosed = new AbortController();
    void closed.then(() => isClosed.abort());
    await pause(closingTime, isClosed.signal);
  }
}

/** What a call that failed says about the gateway. */
export function outcomeOf(error: unknown): { outcome: Outcome; why: string } {
  if (error instanceof Refusal) return { outcome: "denied", why: `it refuses: ${error.code}` };
  if (error instanceof ChannelError) {
    if (error.code === "refused") {
      return { outcome: "denied", why: "it refuses this device: revoked, or not enrolled there" };
    }
    if (error.code === "pending") {
      return { outcome: "denied", why: "it has not let this device in" };
    }
    if (error.code === "no_answer") return { outcome: "unreachable", why: "it did not answer" };
    return { outcome: "unreachable", why: "it cannot be reached" };
  }
  return { outcome: "bad", why: "its answer cannot be read" };
}
