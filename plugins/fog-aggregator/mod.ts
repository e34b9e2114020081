/**
 * fog-aggregator: takes signed readings from the meters of a place, keeps each exactly once, sums them
 * up per window of event time, and carries the signed summaries to the cloud through any outage.
 * A reading is acknowledged when it is on disk, a summary is kept until the cloud has it.
 */
import { definePlugin, type Host } from "../../core/host/plugin.ts";
import { check } from "./check.ts";
import { ClockWatch, openClock } from "./clock_watch.ts";
import { cloudOf } from "./cloud.ts";
import { config } from "./config.ts";
import { offerFog } from "./desk.ts";
import { historyOf } from "./history.ts";
import { Ingest } from "./ingest.ts";
import { outboxOf } from "./outbox.ts";
import { Pruned } from "./pruned.ts";
import { receiveBatch } from "./receive.ts";
import { tellReceipts } from "./refusals.ts";
import { Retention } from "./retention.ts";
import { fogRoutes } from "./routes.ts";
import { openStore } from "./store.ts";
import { migrations } from "./tables.ts";
import { startUplink } from "./uplink.ts";
import { Waiting } from "./waiting.ts";
import { WindowCloser } from "./window_closer.ts";

/** How many of the last windows are live: what is measured before that is a backlog. */
const liveWindows = 3;

export default definePlugin({
  name: "fog-aggregator",
  summary: "Takes signed meter readings, sums them up per window and forwards the summaries",
  config,
  needs: ["db", "http", "mqtt", "sessions"],
  migrations,
  check,
  async start(host, config) {
    const { db, metrics } = host;
    const { window, grace, lateness } = config;
    const troubles = new Troubles(host);
    const clock = await openClock(host);
    const pruned = await Pruned.open(db);
    const outbox = outboxOf(db);
    const retention = await Retention.open(host, config, {
      clock,
      pruned,
      hasCloud: cloudOf(config) !== null,
      waits: () => waiting.mayHold,
      block: (reason) => ingest.block(reason),
      report: troubles.of("storage"),
    });
    const horizon = () => Math.max(clock.now() - lateness, retention.horizon());
    const history = historyOf(host, { readings: config.log_readings });
    const store = await openStore({ db, clock }, { window, horizon, pruned, history });
    const ingest = new Ingest(store, { liveSpan: liveWindows * window });
    const tell = tellReceipts(host);
    const waiting = new Waiting(host, {
      ...{ clock, store, tell, limits: config },
      report: troubles.of("waiting"),
    });
    const decreases = metrics.counter(
      "edgeward_register_decreases_total",
      "Readings whose register went back without saying why",
    );
    const uplink = startUplink(host, config, {
      ...{ outbox, clock },
      report: troubles.of("uplink"),
      // the closer reads what is dirty from the database
      reopened: () => {},
    });
    const closer = new WindowCloser(host, store, {
      ...{ clock, grace },
      summary: () => uplink?.wake(),
      trouble: troubles.of("windows"),
      decreases: (count) => decreases.add(count),
    });
    const watch = new ClockWatch(host, clock, { report: troubles.of("clock") });
    const shown = { db, clock, outbox, uplink, waiting, retention };
    offerFog(host, shown);
    host.http.mount(fogRoutes(shown, host.access.require("viewer")));
    const parts = { clock, ingest, waiting, tell, limits: config };
    const blocked = () => retention.blocked;
    await host.sessions.serve("meter", receiveBatch(host, { ...parts, blocked }));
    for (const part of [closer, retention, waiting, watch]) {
      host.defer(() => part.stop());
      part.start();
    }
  },
});

/** What is wrong with the parts of the role; it is well when none of them has a trouble. */
class Troubles {
  readonly #report: Host["report"];
  readonly #parts = new Map<string, string>();

  constructor(host: Host) {
    this.#report = host.report;
  }

  of(part: string): (trouble: string | null) => void {
    return (trouble) => {
      if (trouble === (this.#parts.get(part) ?? null)) return;
      if (trouble === null) this.#parts.delete(part);
      else this.#parts.set(part, trouble);
      this.#report(
        this.#parts.size === 0 ? "ok" : "degraded",
        [...this.#parts.values()].join("; "),
      );
    };
  }
}
