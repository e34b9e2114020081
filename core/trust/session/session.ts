/**
 * A session after its handshake: sealing and opening data frames (Noise rev 34 §5, protocols.md §1).
 *
 * It promises that a frame is delivered at most once, that only the peer could have written it, and
 * that nothing moves before a tag has verified: forged frames change no window and no key. Frames may
 * arrive late by up to 64 and in any order. Keys live in memory only.
 */
import { concat, equalBytes, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Suite } from "../crypto.ts";
import { encodeHeader, type Frame, FrameType, writeSeq } from "./frame.ts";
import { type HandshakeResult, type NoiseCipher, noiseCipher } from "./noise.ts";

export type SessionErrorCode =
  | "forged" // the tag does not verify
  | "replayed" // older than the window, or a used sequence number with other bytes
  | "out_of_generation" // sealed under a key generation that is neither previous, current nor next
  | "ended" // its keys have been wiped
  | "exhausted"; // no sequence numbers left

export class SessionError extends CodedError<SessionErrorCode> {
  override readonly name = "SessionError";
}

/** A frame that opened. A duplicate is a byte-identical repetition: never act on it again. */
export interface Opened {
  readonly seq: number;
  readonly duplicate: boolean;
  readonly plaintext: Uint8Array;
}

/** How many frames back a late one may be, and how many answers a responder keeps. */
export const windowSize = 64;

const idLabel = utf8("edgeward/session");

/** A key generation is 2^16 sequence numbers long, and 24 hours at the most. */
const generationLength = 2 ** 16;
const generationAge = 24 * 60 * 60 * 1000;

/** A session ends after 7 days at the latest. */
const sessionAge = 7 * generationAge;

export class Session {
  /** First 8 bytes of SHA-256("edgeward/session" | h). */
  readonly id: Uint8Array;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #clock: Clock;
  readonly #began: number;
  #wiped = false;

  constructor(suite: Suite, result: HandshakeResult, clock: Clock) {
    this.#clock = clock;
    this.#began = clock();
    this.id = suite.sha256(idLabel, result.hash).slice(0, 8);
    const cipher = noiseCipher(suite, "ChaChaPoly");
    this.#sender = new Sender(cipher, result.sendKey, { session: this.id, clock });
    this.#receiver = new Receiver(cipher, result.receiveKey);
  }

  /** The sequence number that the next sealed frame will bear. */
  get nextSeq(): number {
    return this.#sender.seq;
  }

  /** The highest sequence number that has opened, −1 before the first. */
  get topSeq(): number {
    return this.#receiver.top;
  }

  /**
   * Whether the keys are due for renewal by age: the next frame skips numbers, and what is still under
   * way falls out of the other side's window.
   */
  get renewsNext(): boolean {
    return this.#sender.isOld;
  }

  /** Seals the next data frame. @throws SessionError "exhausted" */
  seal(plaintext: Uint8Array): Uint8Array {
    this.#live();
    return this.#sender.seal(plaintext);
  }

  /** Opens a data frame of this session. @throws SessionError */
  open(frame: Frame): Opened {
    this.#live();
    return this.#receiver.open(frame);
  }

  /** Whether it has lived its 7 days: both sides then shake hands again. */
  get expired(): boolean {
    return this.#clock() - this.#began > sessionAge;
  }

  /** Overwrites the keys. The session is of no use afterwards. */
  wipe(): void {
    this.#wiped = true;
    this.#sender.wipe();
    this.#receiver.wipe();
  }

  #live(): void {
    if (this.#wiped) throw new SessionError("ended", "Cannot use the session: it has ended");
  }
}

class Sender {
  readonly #cipher: NoiseCipher;
  #key: Uint8Array;
  /** Of the latest frame: all but its sequence number is the same in each. */
  readonly #header: Uint8Array;
  readonly #clock: Clock;
  #generation = 0;
  #generationBegan: number;
  seq = 0;

  constructor(
    cipher: NoiseCipher,
    key: Uint8Array,
    options: { session: Uint8Array; clock: Clock },
  ) {
    this.#cipher = cipher;
    this.#key = key;
    this.#header = encodeHeader(FrameType.data, options.session, 0);
    this.#clock = options.clock;
    this.#generationBegan = options.clock();
  }

  get isOld(): boolean {
    return this.#clock() - this.#generationBegan > generationAge;
  }

  seal(plaintext: Uint8Array): Uint8Array {
    if (this.isOld) {
      // rekeying by age skips to the first number of the next generation
      this.seq = Math.max(this.seq, (this.#generation + 1) * generationLength);
    }
    if (this.seq >= Number.MAX_SAFE_INTEGER) {
      throw new SessionError("exhausted", "Cannot seal: the session is used up");
    }
    if (Math.floor(this.seq / generationLength) > this.#generation) {
      const next = this.#cipher.rekey(this.#key);
      this.#key.fill(0);
      this.#key = next;
      this.#generation++;
      this.#generationBegan = this.#clock();
    }
    writeSeq(this.#header, this.seq);
    return concat(
      this.#header,
      this.#cipher.seal(this.#key, this.seq++, this.#header, plaintext),
    );
  }

  wipe(): void {
    this.#key.fill(0);
  }
}

class Receiver {
  readonly #cipher: NoiseCipher;
  /** Keys of the previous and the current generation. */
  #previous: Uint8Array | undefined;
  #current: Uint8Array;
  #generation = 0;
  /** The highest sequence number that verified, −1 before the first. */
  top = -1;
  /** Per slot `seq % 64`: which sequence number verified there. */
  readonly #seen: number[] = [];
  /** And its tag. Made with the first frame: many a session that a handshake leaves never has one. */
  #tags: Uint8Array | undefined;

  constructor(cipher: NoiseCipher, key: Uint8Array) {
    this.#cipher = cipher;
    this.#current = key;
  }

  open(frame: Frame): Opened {
    const { seq, body } = frame;
    if (seq <= this.top - windowSize) {
      throw new SessionError("replayed", "Cannot open the frame: it is older than the window");
    }
    const generation = Math.floor(seq / generationLength);
    const key = this.#keyOf(generation);
    const plaintext = this.#cipher.open(key, seq, frame.header, body);
    if (plaintext === null) {
      throw new SessionError("forged", "Cannot open the frame: its tag does not verify");
    }
    const slot = seq % windowSize;
    const tag = body.subarray(body.length - 16);
    this.#tags ??= new Uint8Array(windowSize * 16);
    if (this.#seen[slot] === seq) {
      // one key, one nonce: an equal tag that verifies means equal bytes
      if (!equalBytes(tag, this.#tags.subarray(slot * 16, slot * 16 + 16))) {
        throw new SessionError("replayed", "Cannot open the frame: its number was used before");
      }
      return { seq, plaintext, duplicate: true };
    }
    if (generation > this.#generation) this.#commit(key);
    this.#seen[slot] = seq;
    this.#tags.set(tag, slot * 16);
    this.top = Math.max(this.top, seq);
    return { seq, plaintext, duplicate: false };
  }

  #keyOf(generation: number): Uint8Array {
    if (generation === this.#generation) return this.#current;
    if (generation === this.#generation + 1) return this.#cipher.rekey(this.#current);
    if (generation === this.#generation - 1 && this.#previous !== undefined) return this.#previous;
    throw new SessionError("out_of_generation", "Cannot open the frame: its key is not at hand");
  }

  #commit(next: Uint8Array): void {
    this.#previous?.fill(0);
    this.#previous = this.#current;
    this.#current = next;
    this.#generation++;
  }

  wipe(): void {
    this.#previous?.fill(0);
    this.#current.fill(0);
  }
}
