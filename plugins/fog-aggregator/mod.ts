/**
 * fog-aggregator: takes signed readings from the meters of a place, keeps each exactly once, sums them
 * up per window of event time, and carries the signed summaries to the cloud through any outage.
 * A reading is acknowledged when it is on disk, a summary is kept until the cloud has it.
 */
import { definePlugin } from "../../core/host/plugin.ts";
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
  async start(host, config) {
    const store = await openStore(host, config);
    const uplink = await startUplink(host, config, store);
    const closer = new WindowCloser(host, config, store, () => uplink?.wake());
    const ingest = new Ingest(store, (windows) => closer.expect(windows));
    await host.sessions.serve("meter", receiveBatch(host, config, ingest));
    host.defer(() => closer.stop());
    closer.start();
  },
});
