/**
 * What the fog tells its operator over HTTP: how it is, which readings are missing, which were not
 * taken and which summaries do not go to the cloud. All behind a gate, all in pages.
 */
import { type SQL, sql } from "drizzle-orm";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { Database } from "../../core/services/db/mod.ts";
import { problem } from "../../core/services/http/mod.ts";
import type { FogClock } from "./clock.ts";
import { gapsOf } from "./gaps.ts";
import type { Outbox } from "./outbox.ts";
import type { Retention } from "./retention.ts";
import type { Uplink } from "./uplink.ts";
import type { Waiting } from "./waiting.ts";

const pageLimit = 1_000;

export interface Shown {
  readonly db: Database;
  readonly clock: Pick<FogClock, "now" | "doubt" | "offset" | "trouble">;
  readonly outbox: Pick<Outbox, "counts" | "setAside">;
  /** Null when there is no cloud. */
  readonly uplink: Pick<Uplink, "status"> | null;
  readonly waiting: Pick<Waiting, "count">;
  readonly retention: Pick<Retention, "status">;
}

/**
 * `GET /fog-aggregator/status`, `/gaps?limit=&after=`, `/quarantine?meter=&limit=&after=` and
 * `/outbox?state=set_aside&limit=`.
 */
export function fogRoutes(shown: Shown, gate: MiddlewareHandler): Hono {
  const { db, clock, outbox, uplink, waiting, retention } = shown;
  const routes = new Hono();

  routes.get("/status", gate, async (c) => {
    const { doubt, trouble, offset } = clock;
    return c.json({
      clock: { now: clock.now(), doubt, trouble, offset },
      uplink: uplink?.status() ?? null,
      outbox: await outbox.counts(),
      waiting: await waiting.count(),
      storage: await retention.status(),
    });
  });

  routes.get("/gaps", gate, async (c) => {
    const limit = limitOf(c);
    if (limit === null) return badLimit();
    const after = c.req.query("after");
    if (after !== undefined && !/^\d{1,16}\.(-1|\d{1,16})$/.test(after)) return badAfter();
    return c.json(await gapsOf(db, { after, limit }));
  });

  routes.get("/quarantine", gate, async (c) => {
    const limit = limitOf(c);
    if (limit === null) return badLimit();
    const after = c.req.query("after") ?? "0";
    if (!/^\d{1,15}$/.test(after)) return badAfter();
    const meter = c.req.query("meter");
    const only = meter === undefined ? sql`true` : sql`g.meter = ${meter}`;
    const quarantine = await quarantined(db, sql`q.id > ${Number(after)} AND ${only}`, limit);
    const last = quarantine.length === limit ? quarantine.at(-1) : undefined;
    return c.json({ quarantine, next: last === undefined ? null : `${last.id}` });
  });

  routes.get("/outbox", gate, async (c) => {
    const limit = limitOf(c);
    if (limit === null) return badLimit();
    if (c.req.query("state") !== "set_aside") return bad('state must be "set_aside"');
    return c.json({ summaries: await outbox.setAside(limit) });
  });

  return routes;
}

interface Quarantined {
  readonly id: number;
  /** Null where the statement cannot be read. */
  readonly meter: string | null;
  readonly register: string | null;
  readonly seq: number;
  readonly reason: string;
  readonly received_at: number;
}

/** The statements themselves stay here: they may be large, and `sqlite3` shows them. */
async function quarantined(db: Database, where: SQL, limit: number): Promise<Quarantined[]> {
  const rows = await db.read((q) =>
    q.all<Quarantined>(sql`
      SELECT q.id, g.meter, g.register, q.seq, q.reason, q.received_at
      FROM fog_aggregator_quarantine q
      LEFT JOIN fog_aggregator_registers g ON g.id = q.register_id
      WHERE ${where} ORDER BY q.id LIMIT ${limit}`)
  );
  return rows.map(({ id, meter, register, seq, reason, received_at }) => (
    { id, meter, register, seq, reason, received_at }
  ));
}

function limitOf(c: Context): number | null {
  const text = c.req.query("limit") ?? "100";
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= pageLimit ? limit : null;
}

function badLimit(): Response {
  return bad(`limit is a number from 1 to ${pageLimit}`);
}

function badAfter(): Response {
  return bad("after is what the page before gave as next");
}

function bad(detail: string): Response {
  return problem(400, "bad_query", `Cannot read the query: ${detail}.`);
}
