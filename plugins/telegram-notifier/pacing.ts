/**
 * How fast Telegram may be written to: one message a second in a chat, twenty a minute in a group, thirty
 * a second in all (core.telegram.org/bots/faq). Answers to people who press and ask are within that too.
 */
import type { Clock } from "../../core/base/clock.ts";
import { type Buckets, buckets } from "../../core/services/token_bucket.ts";

const most = 1_000;

export class Pacing {
  readonly #clock: Clock;
  readonly #chat = buckets({ perSecond: 1, burst: 1 }, { most });
  /** In no minute more than twenty. */
  readonly #group = buckets({ perSecond: 0.25, burst: 5 }, { most });
  /** Half of what is allowed: who has had this turn may wait a second for the next one. */
  readonly #all = buckets({ perSecond: 12, burst: 5 }, { most: 1 });

  /** @param clock milliseconds that never go backwards */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits until a message may go to the chat, or until waiting has no sense any more. */
  async turn(chat: number, wait: (milliseconds: number) => Promise<boolean>): Promise<boolean> {
    const limits: Buckets[] = [...(chat < 0 ? [this.#group] : []), this.#all, this.#chat];
    for (const limit of limits) {
      for (;;) {
        const milliseconds = limit.take(String(limit === this.#all ? "" : chat), this.#clock());
        if (milliseconds === 0) break;
        if (!await wait(milliseconds)) return false;
      }
    }
    return true;
  }
}
