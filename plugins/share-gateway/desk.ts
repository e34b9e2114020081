/** What people ask about unlocking and decide about it, without knowing this role: see the host's desk. */
import { parseId } from "../../core/base/id.ts";
import { awayText } from "../../core/base/when.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { type Fact, gone, type Question, type Row, type Sheet } from "../../core/services/desk.ts";
import { listRequests, type RequestRow } from "./approvals.ts";
import type { Group } from "./group.ts";
import { type DeviceRow, listDevices } from "./listings.ts";
import type { Operations } from "./operations.ts";
import { listReleases, type ReleaseRow } from "./releases.ts";
import { countAll } from "./upkeep.ts";

/** Releases that are shown. */
const latest = 10;
/** Devices of which something is said. */
const page = 1_000;

interface Parts {
  readonly group: Pick<Group, "current">;
  readonly operations: Pick<Operations, "decide">;
}

export function offerUnlocks(
  { clock, db, desk }: Pick<Host & Services, "clock" | "db" | "desk">,
  { group, operations }: Parts,
): void {
  desk.offerView({
    name: "unlocks",
    summary: "Who asks for the key to a volume, and the last answers; of one device with its name",
    needs: "viewer",
    async show(args) {
      const device = args.trim() === "" ? null : parseId(args.trim());
      const now = clock();
      const [counts, requests, releases] = await db.read(async (q) =>
        [
          await countAll(q, now),
          await listRequests(q, now),
          await listReleases(q, { device, before: Number.MAX_SAFE_INTEGER, limit: latest }),
        ] as const
      );
      const isAsked = (row: RequestRow) => device === null || row.device === device;
      return {
        title: device === null ? "Unlocks" : `Unlocks of ${device}`,
        facts: [
          ["group", groupText(group)],
          ["waiting", String(counts.pending)],
          ["not yet mounted", String(counts.awaited)],
          ["suspected clones", String(counts.suspended)],
        ],
        rows: [
          ...requests.filter(isAsked).map((row) => requestRow(row, now)),
          ...releases.map((row) => releaseRow(row, now)),
        ],
      } satisfies Sheet;
    },
  });

  desk.offerDocket({
    kind: "unlock",
    needs: "operator",
    // a decision comes with no event of its own: the device asks again, and hears of it
    events: [
      ...["unlock.pending", "unlock.released", "unlock.denied"] as const,
      ...["device.revoked", "device.removed", "device.replaced"] as const,
    ],
    async pending() {
      const requests = await db.read((q) => listRequests(q, clock()));
      return requests.filter(({ state }) => state === "pending").map(questionOf);
    },
    async decide(id, verdict, { actor }) {
      await operations.decide(id, verdict === "approve" ? "approved" : "refused", actor);
    },
    async outcome(id) {
      const [request] = await db.read((q) => listRequests(q, clock(), id));
      if (request === undefined || request.state === "pending") return gone;
      const verdict = request.state === "approved" ? "approved" : "denied";
      return { verdict, by: request.decided_by };
    },
  });

  desk.offerRemarks({
    kind: "device",
    async all() {
      const now = clock();
      const rows = await db.read((q) => listDevices(q, { after: "", limit: page }));
      return new Map(rows.map((row) => [row.device, deviceFacts(row, now)]));
    },
  });
}

function questionOf({ id, device, asked, expires, ...request }: RequestRow): Question {
  const title = `${device} asks for ${request.seal ? "a new volume" : "the key to its volume"}`;
  return { id, title, facts: [["request", id], ...volumeFacts(request)], asked, expires };
}

function volumeFacts({ volume, boot, scheme }: Pick<RequestRow, "volume" | "boot" | "scheme">) {
  return [["volume", volume], ["start", `number ${boot}`], ["scheme", scheme]] satisfies Fact[];
}

function requestRow(request: RequestRow, now: number): Row {
  const { id, device, state, asked, expires, decided_by } = request;
  const decided = decided_by === null ? [] : [["by", decided_by] as const];
  return {
    title: `${device} asks: ${state}`,
    facts: [
      ["request", id],
      ...volumeFacts(request),
      ["asked", awayText(asked, now)],
      ["ends", awayText(expires, now)],
      ...decided,
    ],
  };
}

const outcomes = {
  mount_ok: "mounted",
  mount_fail: "could not mount",
  unconfirmed: "never said that it has mounted",
} as const;

function releaseRow(
  { device, volume, boot, released, times, seal, outcome }: ReleaseRow,
  now: number,
): Row {
  const became = outcome === null ? (seal ? "sealed" : "not yet mounted") : outcomes[outcome];
  return {
    title: `${device}: ${became}`,
    facts: [
      ["volume", volume],
      ["start", `number ${boot}`],
      ["answered", awayText(released, now) + (times === 1 ? "" : `, ${times} times`)],
    ],
  };
}

function deviceFacts({ suspended, released, outcome }: DeviceRow, now: number): Fact[] {
  const facts: Fact[] = [];
  if (suspended !== null) {
    facts.push(["refused", `seems to exist twice, noticed ${awayText(suspended, now)}`]);
  }
  if (released !== null) {
    const became = outcome === null ? "" : `, ${outcomes[outcome]}`;
    facts.push(["unlocked", `${awayText(released, now)}${became}`]);
  }
  return facts;
}

function groupText(group: Parts["group"]): string {
  const keyshare = group.current();
  if (keyshare === null) return "none";
  const { roster: { group: name, epoch, k, n }, index } = keyshare;
  return `${name}, epoch ${epoch}: any ${k} of ${n}, this is number ${index}`;
}
