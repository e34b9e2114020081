/**
 * cloud-summary: takes the signed summaries of many fogs, keeps each exactly once and in the order of
 * its fog's chain, and answers for all windows together.
 */
import type { Context, Next } from "hono";
import { definePlugin } from "../../core/host/plugin.ts";
import { config } from "./config.ts";
import { receiveUplink } from "./receive.ts";
import { summaryRoutes, windowRoutes } from "./routes.ts";
import { libsqlStore } from "./store_libsql.ts";
import { migrations } from "./tables.ts";

export default definePlugin({
  name: "cloud-summary",
  summary: "Stores the summaries of fogs and answers for all of them",
  config,
  needs: ["db", "http", "sessions"],
  claims: ["/summary"],
  migrations,
  async start(host, config) {
    const store = libsqlStore(host.db);
    const gate = config.public_summary ? anyone : host.access.require("viewer");
    host.http.mount(windowRoutes(store, gate));
    host.http.claim("/summary", summaryRoutes(store, gate));
    await host.sessions.serve("uplink", receiveUplink(host, store));
  },
});

async function anyone(_: Context, next: Next): Promise<void> {
  await next();
}
