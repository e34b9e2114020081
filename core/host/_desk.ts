/** What the site itself offers at its desk: how it is, whom it knows, and who waits to be let in. */
import { messageOf } from "../base/errors.ts";
import { spanText } from "../base/when.ts";
import type { Sheet } from "../services/desk.ts";
import type { SiteStatus } from "./_admin.ts";
import { deviceDocket } from "./_device_docket.ts";
import { devicesSheet, type Remarked } from "./_devices_sheet.ts";
import { peerStatuses } from "./_peer_statuses.ts";
import type { SiteServices } from "./_services.ts";
import { addressText, amountText, logText, markOf } from "./shown.ts";

/** Its offers end with what is deferred. */
export function offerSite(
  services: SiteServices,
  { status, defer }: { status: () => Promise<SiteStatus>; defer: (undo: () => void) => void },
): void {
  const { clock, suite } = services;
  const desk = services.desk.scoped(defer);
  const log = services.log("desk");
  desk.offerView({
    name: "status",
    summary: "How the site and its roles are",
    needs: "viewer",
    show: async () => statusSheet(await status(), clock()),
  });
  desk.offerView({
    name: "devices",
    summary: "Everybody whom the site knows; with words behind it, those who have them all",
    needs: "viewer",
    async show(args) {
      const peers = await peerStatuses(await services.peers(), suite);
      return devicesSheet(peers, { remarks: await allRemarks(), words: args, now: clock() });
    },
  });
  desk.offerDocket(deviceDocket(services));

  /** What a role cannot say now, the others say. */
  async function allRemarks(): Promise<Remarked[]> {
    const all = await Promise.all(
      desk.remarks().map(async ({ kind, all }) => {
        try {
          return [{ kind, all: await all() }];
        } catch (error) {
          log.warn("a role says nothing of its peers", { kind, reason: messageOf(error) });
          return [];
        }
      }),
    );
    return all.flat();
  }
}

/** @param now Unix milliseconds */
export function statusSheet(status: SiteStatus, now: number): Sheet {
  const { site, version, started, ready, http, broker, database, log, peers, parts } = status;
  const facts: [string, string | null][] = [
    ["version", version],
    ["up for", spanText(now - started)],
    ["http", http && addressText(http)],
    ["broker", broker && addressText(broker)],
    ["database", database && amountText(database.bytes)],
    ["log", log && logText(log)],
    ["waiting", peers && `${peers.waiting === 0 ? "nobody" : peers.waiting} at the door`],
  ];
  return {
    title: `${site} is ${ready ? "ready" : "not ready"}`,
    facts: facts.flatMap(([label, value]) => value === null ? [] : [[label, value] as const]),
    rows: parts.map(({ part, state, detail }) => ({
      title: `${markOf(state)} ${part}`,
      facts: [["state", detail === "" ? state : `${state}: ${detail}`]],
    })),
  };
}
