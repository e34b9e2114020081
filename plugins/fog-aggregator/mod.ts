/**
 * fog-aggregator: takes signed readings from the meters of a place, keeps each exactly once, sums them
 * up per window of event time, and carries the signed summaries to the cloud through any outage.
 * A reading is acknowledged when it is on disk, a summary is kept until the cloud has it.
 */
import { definePlugin, type Host } from "../../core/host/plugin.ts";
import { check } from "./check.ts";
import { config } from "./config.ts";
import { Ingest } from "./ingest.ts";
import { receiveBatch } from "./receive.ts";
import { openStore } from "./store.ts";
import { migrations } from "./tables.ts";
import { startUplink } from "./uplink.ts";
import { WindowCloser } from "./window_closer.ts";

export default definePlugin({
  name: "fog-aggregator",
  summary: "Takes signed meter readings, sums them up per window and forwards the summaries",
  config,
  needs: ["db", "http", "mqtt", "sessions"],
  migrations,
  check,
  async start(host, config) {
    const store = await openStore(host, config);
    const troubles = new Troubles(host);
    const uplink = startUplink(host, config, store, troubles.of("uplink"));
    const closer = new WindowCloser(host, config, store, {
      summary: () => uplink?.wake(),
      trouble: troubles.of("windows"),
    });
    const ingest = new Ingest(store, (windows) => closer.expect(windows));
    await host.sessions.serve("meter", receiveBatch(host, config, ingest));
    host.defer(() => closer.stop());
    closer.start();
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
      if (trouble === null) this.#parts.delete(part);
      else this.#parts.set(part, trouble);
      this.#report(
        this.#parts.size === 0 ? "ok" : "degraded",
        [...this.#parts.values()].join("; "),
      );
    };
  }
}
