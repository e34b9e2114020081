/** Something to write into a chat: made when its turn comes, so that it says what is so by then. */
import type { Html } from "./markup.ts";
import type { Buttons } from "./telegram.ts";

export interface Work {
  readonly html: Html;
  readonly buttons?: Buttons;
  readonly silent?: boolean;
  /** The message that is changed; a new one unless given. */
  readonly message?: number;
  /** It is there. @param message the number of it */
  done(message: number): Promise<void> | void;
  /** It will never be there: its message is gone, or Telegram does not take it. */
  dropped(): Promise<void> | void;
}

/** Where work for a chat comes from. */
export interface Source {
  /** What is to be done now, or when to ask again, in Unix milliseconds; null when it rings the bell. */
  next(now: number): Promise<Work | number | null> | Work | number | null;
}
