/**
 * What happens here without anybody asking: the alarm for a release that nobody has confirmed, counts of
 * denials that were not written yet, requests whose time is over, and how the role is. Everything is read
 * from the database, so after a restart it goes on where it was.
 */
import { sql } from "drizzle-orm";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { pause as realPause } from "../../core/services/pause.ts";
import { expire } from "./approvals.ts";
import type { Denials } from "./denials.ts";
import type { Group } from "./group.ts";
import { forgetReleases, giveUp, isCrowded, overdue, type ReleaseRow } from "./releases.ts";
import { denialEntry } from "./settle.ts";
import { holdsPieces } from "./store.ts";
import type { Tidings } from "./tidings.ts";

/** Milliseconds before the first look, between two looks, after a failure, and looks between two counts that nothing asks for. */
const firstPause = 5_000;
const tick = 1_000;
const pauseAfterFailure = 10_000;
const looksPerCount = 15;
/** Alarms in one transaction. */
const pageSize = 64;

interface Parts {
  readonly group: Group;
  readonly denials: Denials;
  readonly tidings: Tidings;
  readonly pause?: typeof realPause;
}

/** How many there are, for gauges and `/status`. */
export interface Counts {
  readonly pending: number;
  readonly awaited: number;
  readonly suspended: number;
}

export class Upkeep {
  readonly #host: Pick<Host & Services, "audit" | "clock" | "db" | "log" | "report">;
  readonly #parts: Parts;
  readonly #stopping = new AbortController();
  #looks = 0;
  #running: Promise<void> | undefined;

  constructor(
    host: Pick<Host & Services, "audit" | "clock" | "db" | "log" | "report">,
    parts: Parts,
  ) {
    this.#host = host;
    this.#parts = parts;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    // what was counted is not lost with the process that counted
    await this.#flush(true).catch((error) =>
      this.#host.log.error("denials were not logged", { error })
    );
  }

  /** Something has changed that is counted. */
  wake(): void {
    this.#looks = 0;
  }

  /** One look. */
  async look(): Promise<void> {
    while (await this.#raiseAlarms());
    await this.#flush();
    if (this.#looks++ % looksPerCount === 0) await this.survey();
  }

  /** Counts, and says how the role is. */
  async survey(): Promise<void> {
    const { clock, db, report } = this.#host;
    const now = clock();
    const counts = await db.read((q) => countAll(q, now));
    this.#parts.tidings.show(counts);
    if (counts.expired > 0) await db.write((tx) => expire(tx, now));
    if (await db.read(isCrowded)) await db.write(forgetReleases);
    const isIdle = this.#parts.group.current() === null && !await db.read(holdsPieces);
    if (isIdle) report("degraded", "no group: edgeward share init");
    else report("ok");
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { pause = realPause } = this.#parts;
    // whoever should hear of an alarm may start after this role
    await pause(firstPause, signal);
    while (!signal.aborted) {
      let wait = tick;
      try {
        await this.look();
      } catch (error) {
        this.#host.log.error("the upkeep of unlocking failed; it is tried again", { error });
        wait = pauseAfterFailure;
      }
      await pause(wait, signal);
    }
  }

  /** Returns whether there may be more. */
  async #raiseAlarms(): Promise<boolean> {
    const { audit, clock, db } = this.#host;
    const now = clock();
    const late = await db.read((q) => overdue(q, now, pageSize));
    if (late.length === 0) return false;
    const raised = await db.write(async (tx) => {
      const raised: ReleaseRow[] = [];
      for (const release of late) {
        const { id, device, volume, boot, released } = release;
        if (!await giveUp(tx, id, now)) continue;
        const detail = { volume, boot, released };
        await audit.append(tx, {
          ...{ type: "unlock.unconfirmed", actor: "site", subject: device, detail },
        });
        raised.push(release);
      }
      return raised;
    });
    for (const release of raised) this.#parts.tidings.unconfirmed(release);
    return late.length === pageSize;
  }

  /** @param isLast whether nothing may wait for its minute any more */
  async #flush(isLast = false): Promise<void> {
    const { audit, db } = this.#host;
    const { denials, tidings } = this.#parts;
    const due = denials.flush(isLast);
    if (due.length === 0) return;
    try {
      await db.write((tx) => audit.appendAll(tx, due.map(denialEntry)));
    } catch (error) {
      for (const denial of due) denials.failed(denial);
      throw error;
    }
    for (const denial of due) tidings.denied(denial);
  }
}

/** Requests whose time is over are counted apart. */
export async function countAll(q: Queries, now: number): Promise<Counts & { expired: number }> {
  const [row] = await q.all<Counts & { expired: number }>(sql`SELECT
    (SELECT count(*) FROM share_gateway_requests WHERE state = 'pending' AND expires > ${now})
      AS pending,
    (SELECT count(*) FROM share_gateway_requests WHERE expires <= ${now}) AS expired,
    (SELECT count(*) FROM share_gateway_releases WHERE due IS NOT NULL) AS awaited,
    (SELECT count(*) FROM share_gateway_devices WHERE suspended_at IS NOT NULL) AS suspended`);
  return row!;
}
