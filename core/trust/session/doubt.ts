/**
 * Doubt whether the other side of an open session still knows it. It may be unable to say that it does
 * not: where data frames name no device, it does not know whom to tell, and elsewhere it may tell a
 * device so rarely that somebody else uses that up. So whoever hears nothing asks whether anybody is
 * there with a frame that is answered at once, and begins anew when that stays silent too. Slow calls
 * alone never end a session.
 */
import { Attempt } from "./attempt.ts";

/** Milliseconds of silence before the question, and for its answer: it is asked three times. */
const patience = { silence: 6_000, question: 8_000 };

export class Doubt {
  /** Since when the other side owes a sign of life; null when nothing is under way. */
  #silentSince: number | null = null;
  #question: { readonly attempt: Attempt; readonly until: number } | null = null;

  /** The other side lives, or it is known why it is silent. */
  settle(): void {
    this.#silentSince = this.#question = null;
  }

  /** Something has been sent that is to be answered. */
  waits(now: number): void {
    this.#silentSince ??= now;
  }

  /**
   * Goes on. Returns whether the session is to be given up.
   * @param ask seals the question; null when that cannot be done now
   */
  advance(now: number, ask: () => Uint8Array | null): boolean {
    if (this.#question !== null) return this.#question.until <= now;
    if (this.#silentSince === null || now < this.#silentSince + patience.silence) return false;
    const question = ask();
    if (question === null) return true;
    this.#question = { attempt: new Attempt(now, question), until: now + patience.question };
    return false;
  }

  get attempt(): Attempt | undefined {
    return this.#question?.attempt;
  }

  /** When to go on. */
  get due(): number {
    if (this.#question !== null) return this.#question.until;
    return this.#silentSince === null ? Infinity : this.#silentSince + patience.silence;
  }
}
