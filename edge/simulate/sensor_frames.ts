/**
 * What leaves a sensor instead of the frame that it means to send: the frame, and perhaps itself again,
 * an old one, or one that was held back. A frame that is held back is not lost: it follows the next one,
 * or goes when nothing has followed for a moment.
 */
import type { OnMisdeed, SensorMischief } from "./sensor_misbehaviour.ts";

export interface SentFrame {
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** Old frames that may come again. */
const memory = 32;

export class Frames {
  readonly #mischief: SensorMischief;
  readonly #onMisdeed: OnMisdeed;
  /** The last ones, oldest first. */
  readonly #old: SentFrame[] = [];
  #held: SentFrame | null = null;
  #count = 0;

  constructor(mischief: SensorMischief, onMisdeed: OnMisdeed) {
    this.#mischief = mischief;
    this.#onMisdeed = onMisdeed;
  }

  /** The last ones that were meant to be sent, oldest first. */
  get old(): readonly SentFrame[] {
    return this.#old;
  }

  /** The frame that is held back, which goes now; null when it is gone. */
  release(frame: SentFrame): SentFrame | null {
    if (this.#held !== frame) return null;
    this.#held = null;
    this.#onMisdeed("reorder");
    return frame;
  }

  /** What to send now, in this order; the frame itself comes first, unless it is held back. */
  instead(frame: SentFrame): readonly SentFrame[] {
    const number = this.#count++;
    const held = this.#held;
    this.#held = null;
    if (held === null && this.#mischief("reorder", number) !== null) {
      this.#held = frame;
      this.#keep(frame);
      return [];
    }
    const sent = [frame];
    if (this.#mischief("duplicate", number) !== null) {
      sent.push(frame);
      this.#onMisdeed("duplicate");
    }
    if (held !== null) {
      sent.push(held);
      this.#onMisdeed("reorder");
    }
    const how = this.#mischief("replay", number);
    const old = how === null ? undefined : this.#old[Math.floor(how * this.#old.length)];
    if (old !== undefined) {
      sent.push(old);
      this.#onMisdeed("replay");
    }
    this.#keep(frame);
    return sent;
  }

  #keep(frame: SentFrame): void {
    this.#old.push(frame);
    if (this.#old.length > memory) this.#old.shift();
  }
}
