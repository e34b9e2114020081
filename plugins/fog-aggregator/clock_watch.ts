/** The fog's clock at work: what the database says against it, and who is told of doubt. */
import { sql } from "drizzle-orm";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Database } from "../../core/services/db/mod.ts";
import { pause as realPause } from "../../core/services/pause.ts";
import { FogClock } from "./clock.ts";

/** How often to look. */
const interval = 1_000;

/** A clock that knows how late it was when this fog stored something last. */
export async function openClock({ clock, db }: Pick<Host & Services, "clock" | "db">) {
  return new FogClock(clock, { newest: await newestStored(db) });
}

/** The newest times are in the newest rows: the others need not be read. */
async function newestStored(db: Database): Promise<number> {
  const [row] = await db.read((q) =>
    q.all<{ t: number | null }>(sql`SELECT max(t) AS t FROM (
      SELECT max(received_at) AS t FROM (
        SELECT received_at FROM fog_aggregator_batches ORDER BY id DESC LIMIT 1000)
      UNION ALL SELECT max(start) FROM fog_aggregator_windows WHERE revision >= 0
      UNION ALL SELECT max(began_at) FROM fog_aggregator_epochs)`)
  );
  return row!.t ?? 0;
}

export class ClockWatch {
  readonly #host: Pick<Host, "bus" | "log" | "site">;
  readonly #clock: FogClock;
  readonly #report: (trouble: string | null) => void;
  readonly #pause: typeof realPause;
  readonly #stopping = new AbortController();
  #isDoubted = false;
  #running: Promise<void> | undefined;

  /** @param options.report hears what is the matter with the clock, or null */
  constructor(
    host: Pick<Host, "bus" | "log" | "site">,
    clock: FogClock,
    { report, pause = realPause }: {
      report: (trouble: string | null) => void;
      pause?: typeof realPause;
    },
  ) {
    this.#host = host;
    this.#clock = clock;
    this.#report = report;
    this.#pause = pause;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Looks at the clock once, and tells what has changed. */
  look(): void {
    const { bus, log, site } = this.#host;
    const { doubt } = this.#clock;
    this.#report(doubt === null ? this.#clock.trouble : `${doubt}, so readings wait: ${nextStep}`);
    if ((doubt !== null) === this.#isDoubted) return;
    this.#isDoubted = doubt !== null;
    if (doubt !== null) {
      const detail = { reason: doubt };
      log.warn("this fog does not know the time: readings wait", detail);
      bus.emit({ type: "fog.clock_doubted", severity: "warning", subject: site, detail });
    } else {
      const detail = { offset: this.#clock.offset };
      log.info("this fog knows the time again", detail);
      bus.emit({ type: "fog.clock_trusted", severity: "info", subject: site, detail });
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.look();
      await this.#pause(interval, signal);
    }
  }
}

const nextStep = "set this host's clock, or let the fog reach its cloud";
