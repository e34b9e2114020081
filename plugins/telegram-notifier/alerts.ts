/** What has gone wrong lately at the whole site, for whoever asks: the latest, each with its end. */
import { spanText } from "../../core/base/when.ts";
import { plainLine } from "../../core/base/plain_text.ts";
import type { Sheet } from "../../core/services/desk.ts";
import type { Event } from "../../core/wire/event.ts";
import { type Group, groupOf, mergedGroup } from "./groups.ts";
import { type End, endedBy, mayEnd } from "./incidents.ts";
import type { TellingsStore } from "./tellings_store.ts";
import type { Times } from "./times.ts";
import { marks, overMark, phrases } from "./wording.ts";

/** One kind of trouble with one subject. */
export interface Alert extends Pick<Group, "type" | "role" | "severity" | "n" | "first" | "last"> {
  readonly subject: string;
  readonly facts: string;
  readonly end: End | null;
}

const most = 100;
const shown = 25;

export class Alerts {
  readonly #store: Pick<TellingsStore, "keepAlert">;
  /** In the order of their last events. */
  readonly #alerts: Map<string, Alert>;

  constructor(
    store: Pick<TellingsStore, "keepAlert">,
    stored: readonly (readonly [string, Alert])[],
  ) {
    this.#store = store;
    this.#alerts = new Map(stored);
  }

  hear(event: Event): void {
    const subject = plainLine(event.subject, 80);
    for (const type of endedBy(event.type)) {
      const key = `${type} ${event.role} ${subject}`;
      const alert = this.#alerts.get(key);
      if (alert === undefined || alert.end !== null) continue;
      this.#keep(key, { ...alert, end: { type: event.type, t: event.t } });
    }
    if (event.severity === "info") return;
    const group = groupOf(event);
    const key = `${event.type} ${group.role} ${subject}`;
    const before = this.#alerts.get(key);
    const [told] = group.told;
    const after = before === undefined || before.end !== null
      ? group
      : mergedGroup({ ...before, told: [], others: false }, group);
    const { type, role, severity, n, first, last } = after;
    this.#alerts.delete(key);
    this.#keep(key, {
      type,
      role,
      severity,
      n,
      first,
      last,
      subject,
      facts: told!.facts,
      end: null,
    });
    if (this.#alerts.size <= most) return;
    const oldest = this.#alerts.keys().next().value!;
    this.#alerts.delete(oldest);
    this.#store.keepAlert(oldest, null);
  }

  /** The latest first, and before them those that go on. */
  sheet(now: number, times: Times): Sheet {
    const all = [...this.#alerts.values()].reverse();
    const sorted = [...all.filter(goesOn), ...all.filter((alert) => !goesOn(alert))];
    if (sorted.length === 0) return { title: "Nothing has gone wrong that is known here" };
    return {
      title: "What has gone wrong lately",
      rows: sorted.slice(0, shown).map((alert) => {
        const { severity, subject, type, n, last, facts, end, first } = alert;
        const mark = end === null ? marks[severity] : overMark;
        const over = end === null
          ? ""
          : `, ${phrases[end.type]} ${times(end.t, now)}, after ${spanText(end.t - first)}`;
        return {
          title: `${mark} ${subject} ${phrases[type]}`,
          facts: [[n > 1 ? `×${n}, last` : "at", `${times(last, now)}${over}`], ["", facts]]
            .filter(([, value]) => value !== "") as [string, string][],
        };
      }),
      ...(sorted.length > shown && { more: sorted.length - shown }),
    };
  }

  #keep(key: string, alert: Alert): void {
    this.#alerts.set(key, alert);
    this.#store.keepAlert(key, alert);
  }
}

/** Something that may end and has not. */
function goesOn({ type, end }: Alert): boolean {
  return end === null && mayEnd(type);
}
