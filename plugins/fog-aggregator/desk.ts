/** What people ask of the fog without knowing this role: how it is, and when a meter was last heard. */
import { sql } from "drizzle-orm";
import { awayText, instantText } from "../../core/base/when.ts";
import type { Host } from "../../core/host/plugin.ts";
import { amountText } from "../../core/host/shown.ts";
import type { Fact } from "../../core/services/desk.ts";
import type { Shown } from "./routes.ts";

/** Registers that are looked at. */
const mostRegisters = 10_000;

export function offerFog({ desk }: Pick<Host, "desk">, shown: Shown): void {
  const { db, clock, outbox, uplink, waiting, retention } = shown;
  desk.offerView({
    name: "fog",
    summary: "How the fog is: its clock, its way to the cloud, its room",
    needs: "viewer",
    async show() {
      const now = clock.now();
      const { pending, acknowledged, set_aside, refused, oldest_pending_window } = await outbox
        .counts();
      const { used, budget, blocked } = await retention.status();
      const link = uplink?.status() ?? null;
      const facts: [string, string | null][] = [
        ["cloud", link === null ? "none is set" : link.up ? "connected" : "not connected"],
        ["trouble", link && link.trouble],
        ["summaries", `${pending} to go, ${acknowledged} there`],
        [
          "set aside",
          set_aside === 0 ? null : `${set_aside}, of which the cloud refused ${refused}`,
        ],
        [
          "oldest to go",
          oldest_pending_window === null
            ? null
            : `window of ${instantText(new Date(oldest_pending_window).toISOString(), now)}`,
        ],
        ["clock", clock.doubt ?? clock.trouble ?? "trusted"],
        ["statements that wait for the time", String(await waiting.count())],
        ["room", `${amountText(used)} of ${amountText(budget)}`],
        ["takes nothing", blocked],
      ];
      return {
        title: "The fog",
        facts: facts.flatMap(([label, value]): Fact[] => value === null ? [] : [[label, value]]),
      };
    },
  });

  desk.offerRemarks({
    kind: "meter",
    async all() {
      const now = clock.now();
      const rows = await db.read((q) =>
        q.all<{ meter: string; t: number }>(sql`SELECT meter, max(t) AS t FROM (
          SELECT meter, (SELECT t FROM fog_aggregator_readings WHERE register_id = r.id
            ORDER BY seq DESC LIMIT 1) AS t
          FROM fog_aggregator_registers r ORDER BY id DESC LIMIT ${mostRegisters}
        ) WHERE t IS NOT NULL GROUP BY meter`)
      );
      return new Map(rows.map(({ meter, t }) => [
        meter,
        [["measured", awayText(t, now)]],
      ]));
    },
  });
}
