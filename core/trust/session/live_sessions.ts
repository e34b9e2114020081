/**
 * The sessions that an answering side holds: found by their identifier, counted by device. A new one
 * replaces its predecessor only when its first frame has opened; until then it is one of few, and
 * short-lived. Strangers, who still wait for approval, never take the place of anybody admitted.
 */
import { equalBytes, toHex } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { Credential } from "./answering.ts";
import type { Calls } from "./calls.ts";
import type { RequestFailure } from "./requests.ts";
import { type Session, windowSize } from "./session.ts";

/** @template P what the site knows of a device. @template A an answer, as its keeper has it */
export interface Live<P, A> {
  readonly device: Id;
  readonly session: Session;
  /** The device's static key. */
  readonly key: Uint8Array;
  /** Null for a stranger: it gets no answer but "pending". */
  peer: P | null;
  /** Of message 1: the same message 1 gets the same message 2. */
  readonly digest: string;
  /** Null when message 3 has ended the handshake. */
  readonly message2: Uint8Array | null;
  readonly began: number;
  confirmed: boolean;
  /** Answers by the sequence number of their messages, the last 64. */
  readonly answers: Map<number, A>;
  /** What the device is asked; null as long as it is asked nothing. */
  asked: Calls<RequestFailure> | null;
}

/** Unconfirmed handshakes that a device may have open, and for how long. */
export const unconfirmedLimit = 4;
export const unconfirmedAge = 30_000;
/** Strangers' sessions, in all and of one name, and for how long: then they begin anew. */
const strangerLimit = 256;
const strangerAge = 10 * 60_000;

export class LiveSessions<P extends Credential, A> {
  readonly #clock: Clock;
  readonly #sessions = new Map<string, Live<P, A>>();
  /** Oldest first. */
  readonly #devices = new Map<Id, readonly Live<P, A>[]>();
  /** Oldest first. */
  readonly #strangers = new Set<Live<P, A>>();
  readonly #onEnd: ((live: Live<P, A>) => void) | undefined;

  /** @param onEnd hears of each session that ends before `close`, when it is forgotten already */
  constructor(clock: Clock, onEnd?: (live: Live<P, A>) => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** The session, unless its time is over. */
  find(id: Uint8Array): Live<P, A> | undefined {
    const live = this.#sessions.get(toHex(id));
    if (live === undefined || !this.#isOver(live)) return live;
    this.end(live);
    return undefined;
  }

  of(device: Id): readonly Live<P, A>[] {
    return this.#devices.get(device) ?? [];
  }

  /** The session in which an approved device has sent something. */
  confirmed(device: Id): Live<P, A> | undefined {
    for (const live of this.of(device)) {
      if (!live.confirmed || live.peer?.state !== "approved") continue;
      if (!this.#isOver(live)) return live;
      this.end(live);
    }
    return undefined;
  }

  unconfirmed(device: Id): Live<P, A>[] {
    for (const live of this.of(device)) if (this.#isOver(live)) this.end(live);
    return this.of(device).filter(({ confirmed }) => !confirmed);
  }

  /** Adds a session that is worth nothing until `confirm`. The oldest of its like gives way. */
  add(fresh: Omit<Live<P, A>, "began" | "confirmed" | "answers" | "asked">): void {
    const unused = { confirmed: false, answers: new Map(), asked: null };
    const live = { ...fresh, began: this.#clock(), ...unused };
    const isStranger = live.peer === null;
    // refusing the newcomer instead would let a few recorded messages 1 keep the real device out
    const rivals = isStranger
      ? this.of(live.device).filter(({ peer }) => peer === null)
      : this.unconfirmed(live.device).filter(({ peer }) => peer !== null);
    if (rivals.length >= unconfirmedLimit) this.end(rivals[0]!);
    if (isStranger) {
      for (const oldest of this.#strangers) {
        if (this.#strangers.size < strangerLimit) break;
        this.end(oldest);
      }
      this.#strangers.add(live);
    }
    this.#sessions.set(toHex(live.session.id), live);
    this.#devices.set(live.device, [...this.of(live.device), live]);
  }

  /** Its first frame has opened: the session of the same key before it ends. */
  confirm(live: Live<P, A>): void {
    if (live.confirmed) return;
    live.confirmed = true;
    for (const other of this.of(live.device)) {
      if (other !== live && other.confirmed && equalBytes(other.key, live.key)) this.end(other);
    }
  }

  /** The stranger is admitted. */
  admit(live: Live<P, A>, peer: P): void {
    live.peer = peer;
    this.#strangers.delete(live);
  }

  /** Erases its keys and forgets it. */
  end(live: Live<P, A>): void {
    live.session.wipe();
    this.#strangers.delete(live);
    this.#sessions.delete(toHex(live.session.id));
    const rest = this.of(live.device).filter((other) => other !== live);
    if (rest.length === 0) this.#devices.delete(live.device);
    else this.#devices.set(live.device, rest);
    this.#onEnd?.(live);
  }

  /** Keeps the answer to a message for its repetitions. */
  remember({ answers }: Live<P, A>, seq: number, answer: A): void {
    answers.set(seq, answer);
    for (const old of answers.keys()) {
      if (old > seq - windowSize) break;
      answers.delete(old);
    }
  }

  close(): void {
    for (const live of this.#sessions.values()) live.session.wipe();
    for (const kept of [this.#sessions, this.#devices, this.#strangers]) kept.clear();
  }

  #isOver({ session, began, confirmed, peer }: Live<P, A>): boolean {
    const age = this.#clock() - began;
    return session.expired || !confirmed && age > unconfirmedAge ||
      peer === null && age > strangerAge;
  }
}
