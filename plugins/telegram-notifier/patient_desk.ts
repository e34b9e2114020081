/** The site's desk for somebody who does not wait for ever: a role that does not answer holds up nobody. */
import { CodedError } from "../../core/base/errors.ts";
import type { Desk } from "../../core/services/desk.ts";
import type { pause } from "../../core/services/pause.ts";

/** Milliseconds that an answer may take. */
const patience = 10_000;

export class PatienceError extends CodedError<"too_slow"> {
  override readonly name = "PatienceError";
}

/** @param options.signal ends all waiting */
export function patientDesk(
  desk: Pick<Desk, "views" | "dockets">,
  options: { pause: typeof pause; signal: AbortSignal },
): Pick<Desk, "views" | "dockets"> {
  async function soon<T>(answer: Promise<T>): Promise<T> {
    const over = new AbortController();
    const signal = AbortSignal.any([options.signal, over.signal]);
    const late = options.pause(patience, signal).then((): never => {
      throw new PatienceError("too_slow", "Cannot wait any longer: the role does not answer", {
        hint: "ask again in a while; the log of the site may say more",
      });
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      over.abort();
      late.catch(() => {});
    }
  }

  return {
    views: () => desk.views().map((view) => ({ ...view, show: (args) => soon(view.show(args)) })),
    dockets: () =>
      desk.dockets().map((docket) => ({
        ...docket,
        pending: () => soon(docket.pending()),
        decide: (...decision) => soon(docket.decide(...decision)),
        outcome: (id) => soon(docket.outcome(id)),
      })),
  };
}
