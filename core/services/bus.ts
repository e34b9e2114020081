/**
 * The site's event bus: typed events between the roles of one machine. A listener that throws is
 * logged and does not disturb the others. Events that must survive a crash belong into the database.
 */
import type { Clock } from "../base/clock.ts";
import type { Event } from "../wire/event.ts";
import type { Log } from "./logging.ts";

export interface Bus {
  /** Publishes an event; sequence number, time and role are filled in. */
  emit(event: Omit<Event, "seq" | "t" | "role">): void;
  /** Hears every event of the site until the returned function is called. */
  listen(listener: (event: Event) => void): () => void;
}

/** One per site; `scoped` gives each role its own door. */
export class EventBus {
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #clock: Clock;
  readonly #log: Log;
  #seq = 0;

  constructor(options: { clock: Clock; log: Log }) {
    this.#clock = options.clock;
    this.#log = options.log;
  }

  scoped(role: string): Bus {
    return {
      emit: (event) => this.#publish({ ...event, role, seq: ++this.#seq, t: this.#clock() }),
      listen: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
  }

  #publish(event: Event): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#log.error("a listener failed on an event", { type: event.type, error });
      }
    }
  }
}
