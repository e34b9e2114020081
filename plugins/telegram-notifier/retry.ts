/**
 * Short troubles on the way to Telegram, which the caller does not hear of: a call is tried again after as
 * long as Telegram asks for, or after a growing pause with a random part, a few times. What lasts longer
 * is the caller's: by then there may be better things to say. Of a call whose answer was lost nobody
 * knows whether it took effect; a message that comes twice is better than one that never comes.
 */
import { HttpError, type Transformer } from "grammy/web";
import type { pause } from "../../core/services/pause.ts";

const tries = 3;
const firstPause = 500;
/** Milliseconds that are waited in here at the most. */
const longest = 10_000;

/** @param options.random from 0 up to 1 */
export function retrying(
  options: { pause: typeof pause; random: () => number; signal: AbortSignal },
): Transformer {
  return async (call, method, payload, signal) => {
    for (let attempt = 1;; attempt++) {
      const outcome = await call(method, payload, signal).catch((error: unknown) => ({ error }));
      const isLast = attempt === tries || method === "getUpdates" || options.signal.aborted ||
        signal?.aborted;
      const wait = waitAfter(outcome, firstPause * 2 ** attempt * (0.5 + options.random() / 2));
      if (isLast || wait === null || wait > longest) {
        if ("error" in outcome) throw outcome.error;
        return outcome;
      }
      await options.pause(wait, options.signal);
    }
  };
}

/** Milliseconds; null when another try would end as this one. */
function waitAfter(
  outcome: { error: unknown } | { ok: true } | {
    ok: false;
    error_code: number;
    parameters?: { retry_after?: number };
  },
  usual: number,
): number | null {
  if ("error" in outcome) return outcome.error instanceof HttpError ? usual : null;
  if (outcome.ok) return null;
  if (outcome.error_code === 429) return (outcome.parameters?.retry_after ?? 1) * 1_000;
  return outcome.error_code >= 500 ? usual : null;
}
