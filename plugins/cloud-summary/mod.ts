/**
 * cloud-summary: takes the signed summaries of many fogs, keeps each exactly once in its place of its
 * fog's chain, answers for all windows together, and names what is missing.
 */
import type { Context, Next } from "hono";
import { definePlugin } from "../../core/host/plugin.ts";
import { splitSign1 } from "../../core/trust/cose_sign1.ts";
import { decodeSummary } from "../../core/wire/summary.ts";
import { completenessRoutes } from "./completeness.ts";
import { config } from "./config.ts";
import { decisionRoutes } from "./decisions.ts";
import { offerSummary } from "./desk.ts";
import { proofRoutes } from "./proof.ts";
import { receiveUplink } from "./receive.ts";
import { startRetention } from "./retention.ts";
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
    // its signature was verified when it came
    const read = (statement: Uint8Array) => decodeSummary(splitSign1(statement)!.payload);
    const store = libsqlStore(host.db, { read, audit: host.audit });
    const gate = config.public_summary ? anyone : host.access.require("viewer");
    const routes = windowRoutes(store, gate);
    routes.route("/", completenessRoutes(store, gate));
    routes.route("/", proofRoutes(store, { gate, audit: host.audit, clock: host.clock }));
    routes.route("/", decisionRoutes(store, (role) => host.access.require(role)));
    host.http.mount(routes);
    host.http.claim("/summary", summaryRoutes(store, gate));
    await host.sessions.serve("uplink", receiveUplink(host, store));
    offerSummary(host, store);
    startRetention(host, config, { store });
  },
});

async function anyone(_: Context, next: Next): Promise<void> {
  await next();
}
