/**
 * The desk: what people can ask of the roles of a site and decide for them, for whoever speaks with
 * people and knows no role. A role offers views, which answer a question, dockets, where things wait for
 * a yes or a no, and remarks about peers; what it has offered ends with it. Who may ask and decide is
 * for the asker to see to: `needs` says which right that takes.
 *
 * Whatever is shown is plain text, without secrets: one line of what can be seen each, and not longer
 * than a person reads. Whatever goes wrong while an answer is made is the asker's to hear of, as a
 * CodedError, and nobody's end.
 */
import { CodedError } from "../base/errors.ts";
import { plainLine } from "../base/plain_text.ts";
import type { EventType } from "../wire/event.ts";
import type { PeerKind } from "../wire/peer.ts";
import type { ApiRole } from "./access/mod.ts";
import type { Log } from "./logging.ts";
import { bounds, plainFacts, plainQuestion, plainSheet } from "./_desk_text.ts";

export { bounds } from "./_desk_text.ts";

/** One per site; `host.desk` is a role's door to it. */
export interface Desk {
  /** Offers an answer to a question that people ask often. @throws DeskError "bad_offer", "name_taken" */
  offerView(view: View): void;
  /** Offers things that wait for a yes or a no. @throws DeskError "bad_offer", "name_taken" */
  offerDocket(docket: Docket): void;
  /** Offers what the role knows of peers; any number of roles may. */
  offerRemarks(remarks: Remarks): void;
  /** In the order in which they were offered. */
  views(): readonly View[];
  dockets(): readonly Docket[];
  remarks(): readonly Remarks[];
}

export interface View {
  /** `[a-z]{1,32}`, as "status": the name of a command. */
  readonly name: string;
  /** One line for lists of commands, of at most 100 characters. */
  readonly summary: string;
  /** The right that it takes to see it. */
  readonly needs: ApiRole;
  /**
   * @param args what stands behind the command, untrusted
   * @throws CodedError "bad_args" when they have more than 200 characters
   */
  show(args: string): Promise<Sheet>;
}

/** What is shown: plain text, no markup; the shower escapes. Amounts as in `bounds`. */
export interface Sheet {
  readonly title: string;
  readonly facts?: readonly Fact[];
  readonly rows?: readonly Row[];
  /** Rows that were left out. */
  readonly more?: number;
}

export interface Row {
  readonly title: string;
  readonly facts?: readonly Fact[];
}

export type Fact = readonly [label: string, value: string];

export interface Docket {
  /** `[a-z]{1,32}`: "device", "unlock". */
  readonly kind: string;
  /** The right that it takes to decide. */
  readonly needs: ApiRole;
  /** Events after which it is worth looking again. What just ends by itself may come with none. */
  readonly events: readonly EventType[];
  /** What waits, oldest first. */
  pending(): Promise<readonly Question[]>;
  /**
   * Takes effect, with its record in the audit, before it resolves. The same again changes nothing.
   * @param by.actor who decides, as the audit names people: "telegram:1234"
   * @throws CodedError when it cannot be decided so, or not any more
   */
  decide(id: string, verdict: Verdict, by: { readonly actor: string }): Promise<void>;
  /** What became of one that does not wait any more, as far as is known. */
  outcome(id: string): Promise<Outcome>;
}

export type Verdict = "approve" | "deny";

export interface Outcome {
  readonly verdict: "approved" | "denied" | "gone";
  /** Who has decided it, as the audit names them; null when nobody is known to have. */
  readonly by: string | null;
}

/** Of a question about which nothing is known. */
export const gone: Outcome = { verdict: "gone", by: null };

export interface Question {
  /** Names exactly this, and nothing that looks like it: at most 200 characters. */
  readonly id: string;
  /** "meter pump-7 wants to join" */
  readonly title: string;
  readonly facts: readonly Fact[];
  /** Unix milliseconds. */
  readonly asked: number;
  /** Null when nobody knows: it waits as long as whoever asks goes on asking. */
  readonly expires: number | null;
}

/** What a role knows of peers besides what the site itself does: shown with them. */
export interface Remarks {
  readonly kind: PeerKind;
  /** By identifier; peers that it says nothing of are not in it. */
  all(): Promise<ReadonlyMap<string, readonly Fact[]>>;
}

export class DeskError extends CodedError<
  "bad_offer" | "name_taken" | "bad_args" | "decided" | "not_offered" | "failed"
> {
  override readonly name = "DeskError";
}

/** What can be asked at one site. */
export class SiteDesk {
  readonly #log: Log;
  readonly #views = new Map<string, View>();
  readonly #dockets = new Map<string, Docket>();
  readonly #remarks = new Set<Remarks>();

  constructor({ log }: { log: Log }) {
    this.#log = log;
  }

  /** A door of its own. @param defer registers the end of what was offered through it */
  scoped(defer: (undo: () => void) => void): Desk {
    const take = <T>(offers: Map<string, T>, name: string, make: (attempt: Attempt) => T) => {
      check(name, offers);
      let isOver = false;
      defer(() => {
        isOver = true;
        offers.delete(name);
      });
      offers.set(name, make((what, job) => this.#attempt(what, { isOver: () => isOver, job })));
    };
    return {
      offerView: (view) => {
        if (view.summary === "" || plainLine(view.summary, 100) !== view.summary) {
          throw badOffer(`the summary of "${view.name}" is not a short line`);
        }
        take(this.#views, view.name, (attempt) => guardedView(view, attempt));
      },
      offerDocket: (docket) =>
        take(this.#dockets, docket.kind, (attempt) => guardedDocket(docket, attempt)),
      offerRemarks: ({ kind, ...remarks }) => {
        const guarded: Remarks = {
          kind,
          all: () =>
            this.#attempt(`say more of a ${kind}`, {
              isOver: () => !this.#remarks.has(guarded),
              job: async () => {
                const all = [...await remarks.all()];
                return new Map(all.map(([id, facts]) => [id, plainFacts(facts)]));
              },
            }),
        };
        defer(() => void this.#remarks.delete(guarded));
        this.#remarks.add(guarded);
      },
      views: () => [...this.#views.values()],
      dockets: () => [...this.#dockets.values()],
      remarks: () => [...this.#remarks],
    };
  }

  /** @throws CodedError: what was not raised on purpose stays in the log, it may say anything */
  async #attempt<T>(
    what: string,
    { isOver, job }: { isOver: () => boolean; job: () => Promise<T> },
  ): Promise<T> {
    if (isOver()) {
      throw new DeskError("not_offered", `Cannot ${what}: the role that knows has stopped`, {
        hint: "ask again when it runs: `edgeward status` shows whether it does",
      });
    }
    try {
      return await job();
    } catch (error) {
      if (error instanceof CodedError) throw error;
      this.#log.error("a question at the desk had no answer", { what, error });
      throw new DeskError("failed", `Cannot ${what}: something went wrong here`, {
        hint: "the log of the site says what",
        cause: error,
      });
    }
  }
}

type Attempt = <T>(what: string, job: () => Promise<T>) => Promise<T>;

function guardedView({ name, summary, needs, ...view }: View, attempt: Attempt): View {
  return {
    ...{ name, summary, needs },
    show: (args) =>
      attempt(`show "${name}"`, async () => {
        if (args.length > bounds.args) {
          throw new DeskError("bad_args", `Cannot show "${name}": so much cannot be asked`, {
            hint: `put at most ${bounds.args} characters behind it`,
          });
        }
        return plainSheet(await view.show(args));
      }),
  };
}

function guardedDocket({ kind, needs, events, ...docket }: Docket, attempt: Attempt): Docket {
  return {
    ...{ kind, needs, events },
    pending: () =>
      attempt(`show what waits of "${kind}"`, async () => {
        return (await docket.pending()).slice(0, bounds.questions).map(plainQuestion);
      }),
    decide: (id, verdict, by) =>
      attempt(`${verdict} the ${kind}`, () => docket.decide(id, verdict, by)),
    outcome: (id) => attempt(`tell of the ${kind}`, () => docket.outcome(id)),
  };
}

function check(name: string, offers: ReadonlyMap<string, unknown>): void {
  if (!/^[a-z]{1,32}$/.test(name)) throw badOffer("its name is not made of small letters");
  if (offers.has(name)) {
    throw new DeskError("name_taken", `Cannot offer "${name}": another role offers it already`);
  }
}

function badOffer(why: string): DeskError {
  return new DeskError("bad_offer", `Cannot take an offer: ${why}`);
}
