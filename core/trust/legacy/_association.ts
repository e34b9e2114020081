/**
 * One set of keys at work: its counters, and what has been answered under it (protocols.md §4).
 *
 * One key seals in both directions, so a counter must never come twice: the device's are the lower
 * half of 32 bits, the gateway's the upper, and those that are used next have been stored as used
 * before (RFC 8613 B.1.1). A received counter is stored before anybody acts on it.
 *
 * The gateway's part of the keys is new each time. A device's may be the same for ever, and who keeps
 * an old approve for it can give it old keys once more: so it begins anywhere in its half.
 */
import { concat, equalBytes, viewOf } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import type { Suite } from "../crypto.ts";
import { LegacyError } from "./error.ts";
import { type HmacLabel, type LegacyKeys, wipeKeys } from "./keys.ts";
import { type Envelope, openMessage, sealMessage } from "./message.ts";
import type { Rpc } from "./rpc.ts";

export type Side = "device" | "gateway";

/** The counters of a direction, by who sends. */
const halves = {
  device: { first: 1, last: 2 ** 31 - 1 },
  gateway: { first: 2 ** 31, last: 2 ** 32 - 1 },
} satisfies Record<Side, { first: number; last: number }>;

/** How many counters are stored as used ahead of their use. */
const block = 100;
/** How many messages back a repetition still gets its answer. */
const answersKept = 64;
/** Keys end after 30 days. */
const maxAge = 30 * 24 * 60 * 60 * 1000;

/** What is stored of it. */
export interface AssociationRecord {
  readonly keys: LegacyKeys;
  /** The public key of the other side, with which they were agreed on. */
  readonly peer: Uint8Array;
  /** The highest counter that the other side has used; 0 before its first message. */
  readonly received: number;
  /** The first counter that this side has not used for certain. */
  readonly next: number;
  /** When the keys were agreed on, in Unix milliseconds. */
  readonly since: number;
}

interface Answered {
  /** Nonce and tag: under one key they stand for the whole message. */
  readonly mark: Uint8Array;
  answer: Uint8Array | null;
}

/** A message that has verified. */
export interface Received {
  readonly rpc: Rpc;
  /** Byte for byte one that has come before. */
  readonly duplicate: boolean;
  /** What it was answered, if it is a duplicate, and if it was. */
  readonly answer: Uint8Array | null;
}

export class Association {
  readonly #suite: Suite;
  readonly #device: Id;
  readonly #side: Side;
  readonly peer: Uint8Array;
  readonly since: number;
  #keys: LegacyKeys;
  #received: number;
  #next: number;
  /** Counters below this one are stored as used. */
  #reserved: number;
  #wiped = false;
  /** By their counters, which ascend. */
  readonly #answers = new Map<number, Answered>();

  constructor(
    suite: Suite,
    { device, side }: { device: Id; side: Side },
    record: AssociationRecord,
  ) {
    this.#suite = suite;
    this.#device = device;
    this.#side = side;
    this.#keys = record.keys;
    this.#received = record.received;
    this.#next = record.next;
    this.#reserved = record.next;
    this.peer = record.peer;
    this.since = record.since;
  }

  /** With keys that have just been agreed on. */
  static begin(
    suite: Suite,
    who: { device: Id; side: Side },
    agreed: Pick<AssociationRecord, "keys" | "peer" | "since">,
  ): Association {
    const skipped = who.side === "device" ? viewOf(suite.randomBytes(4)).getUint32(0) >>> 2 : 0;
    const next = halves[who.side].first + skipped;
    return new Association(suite, who, { ...agreed, received: 0, next });
  }

  /** Whether the other side has shown that it has the keys. */
  get isConfirmed(): boolean {
    return this.#received > 0;
  }

  /** Null as long as it is not known. */
  get label(): HmacLabel | null {
    return this.#keys.hmac.length === 1 ? this.#keys.hmac[0]!.label : null;
  }

  get mustReserve(): boolean {
    return this.#next >= this.#reserved;
  }

  get expires(): number {
    return this.since + maxAge;
  }

  /** What to store, so that the next 100 counters may be used, and how to say that it is stored. */
  snapshot(): { readonly record: AssociationRecord; readonly stored: () => void } {
    const next = Math.min(this.#next + block, halves[this.#side].last + 1);
    const { peer, since } = this;
    return {
      record: { keys: this.#keys, peer, received: this.#received, next, since },
      stored: () => void (this.#reserved = Math.max(this.#reserved, next)),
    };
  }

  /**
   * Null when the message was not sealed under these keys.
   * @param fresh the first and the last second that it may be of
   * @throws LegacyError "malformed" | "mismatched" | "wrong_hmac" | "stale" | "replayed"
   */
  open(envelope: Envelope, fresh: readonly [number, number] = [0, Infinity]): Received | null {
    const opened = openMessage(this.#suite, this.#keys, envelope);
    if (opened === null) return null;
    const { rpc, label } = opened;
    if (envelope.seconds < fresh[0] || envelope.seconds > fresh[1]) {
      throw new LegacyError("stale", "Cannot accept the message: it is of another time");
    }
    const mark = concat(envelope.nonce, envelope.ciphertext.subarray(-16));
    if (envelope.counter <= this.#received) {
      const known = this.#answers.get(envelope.counter);
      if (known !== undefined && equalBytes(known.mark, mark)) {
        return { rpc, duplicate: true, answer: known.answer };
      }
      throw new LegacyError("replayed", "Cannot accept the message: its counter was passed before");
    }
    this.#received = envelope.counter;
    this.#settle(label);
    this.#answers.set(envelope.counter, { mark, answer: null });
    for (const old of this.#answers.keys()) {
      if (this.#answers.size <= answersKept) break;
      this.#answers.delete(old);
    }
    return { rpc, duplicate: false, answer: null };
  }

  /** @throws LegacyError "no_keys" | "not_reserved" | "exhausted" | "malformed" | "too_large" */
  seal(rpc: Rpc, seconds: number): Uint8Array {
    const [hmac, another] = this.#keys.hmac;
    if (this.#wiped || hmac === undefined || another !== undefined) {
      throw new LegacyError("no_keys", "Cannot seal: these keys are not in use");
    }
    const counter = this.#next;
    if (counter > halves[this.#side].last) {
      throw new LegacyError("exhausted", "Cannot seal: the keys are used up");
    }
    if (this.mustReserve) {
      throw new LegacyError("not_reserved", "Cannot seal: no counters are stored ahead");
    }
    const [keys, draft] = [{ cipher: this.#keys.cipher, hmac }, { device: this.#device, rpc }];
    const message = sealMessage(this.#suite, keys, { ...draft, counter, seconds });
    this.#next = counter + 1;
    return message;
  }

  /** Keeps the answer for repetitions of the message. */
  remember(counter: number, answer: Uint8Array): void {
    const answered = this.#answers.get(counter);
    if (answered !== undefined) answered.answer = answer;
  }

  /** Overwrites the keys. */
  wipe(): void {
    this.#wiped = true;
    wipeKeys(this.#keys);
    this.#answers.clear();
  }

  /** The device uses this key: the other one is of no use any more. */
  #settle(label: HmacLabel): void {
    const { cipher, hmac } = this.#keys;
    if (hmac.length === 1) return;
    for (const { label: other, key } of hmac) if (other !== label) key.fill(0);
    this.#keys = { cipher, hmac: hmac.filter((key) => key.label === label) };
  }
}

/** @throws LegacyError "wrong_half" unless the counter is one of this sender's */
export function requireHalf(sender: Side, { counter }: Envelope): void {
  const { first, last } = halves[sender];
  if (counter >= first && counter <= last) return;
  throw new LegacyError(
    "wrong_half",
    "Cannot accept the message: its counter is of another sender",
  );
}
