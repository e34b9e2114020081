/**
 * What the cloud tells over HTTP: `/summary` with the field names of the prototype, and a query of
 * windows in pages, both behind a gate. Averages are divided out here, once, from integer sums.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { Id } from "../../core/base/id.ts";
import { badQuery, instant, isOptionalId, limitOf, pageLimit } from "./_queries.ts";
import type { SummaryStore, Window, WindowQuery } from "./store.ts";

/** Windows that `/summary` lists. */
const latestCount = 20;

/** `GET /summary` → `{total_packets, avg_power_overall, avg_voltage_overall, latest_data}`. */
export function summaryRoutes(store: SummaryStore, gate: MiddlewareHandler): Hono {
  const routes = new Hono();
  routes.get("/", gate, async (c) => {
    const totals = await store.totals();
    const latest = await store.latest(latestCount);
    return c.json({
      total_packets: totals.windows,
      avg_power_overall: kilowatts(totals.sum_power_W, totals.n),
      avg_voltage_overall: volts(totals.sum_voltage_mV, totals.n),
      latest_data: latest.map(shown),
    });
  });
  return routes;
}

/**
 * `GET /cloud-summary/windows?fog=&from=&to=&limit=&after=&state=` → `{windows, next}`, oldest first:
 * those in force or, with `state=undecided`, the versions that wait for an operator.
 */
export function windowRoutes(store: SummaryStore, gate: MiddlewareHandler): Hono {
  const routes = new Hono();
  routes.get("/windows", gate, async (c) => {
    const query = parseQuery(c);
    if (query instanceof Response) return query;
    const windows = await store.windows(query);
    const last = windows.length === query.limit ? windows.at(-1) : undefined;
    return c.json({
      windows: windows.map((window) => {
        const { epoch, energy_Wh } = window;
        return { ...shown(window), epoch, energy_Wh };
      }),
      next: last === undefined ? null : `${last.start}.${last.fog_id}.${last.epoch}`,
    });
  });
  return routes;
}

/** Times are Unix milliseconds or RFC 3339. */
function parseQuery(c: Context): WindowQuery | Response {
  const { fog, from = "0", to = "9007199254740991", limit, after, state = "in_force" } = c.req
    .query();
  const [start, end, count] = [instant(from), instant(to), limitOf(limit)];
  if (start === null || end === null) {
    return badQuery("from and to are Unix milliseconds or RFC 3339");
  }
  if (count === null) return badQuery(`limit is a number from 1 to ${pageLimit}`);
  if (!isOptionalId(fog)) return badQuery("fog is the identifier of a fog");
  if (state !== "in_force" && state !== "undecided") {
    return badQuery("state is in_force or undecided");
  }
  const place = after === undefined
    ? undefined
    : /^(\d{1,16})\.([A-Za-z0-9_-]{1,64})\.(\d{1,10})$/.exec(after);
  const isPlace = place === undefined || Number.isSafeInteger(Number(place?.[1] ?? NaN));
  if (!isPlace) return badQuery("after is what the page before gave as next");
  return {
    ...{ state, from: start, to: end, limit: count },
    ...(fog !== undefined && { fog: fog as Id }),
    ...(place && {
      after: { start: Number(place[1]), fog: place[2]!, epoch: Number(place[3]) },
    }),
  };
}

function shown(window: Window) {
  const { fog_id, start, end, revision, num_meters, n } = window;
  return {
    fog_id,
    num_meters,
    avg_power: kilowatts(window.sum_power_W, n),
    avg_voltage: volts(window.sum_voltage_mV, n),
    window: { start, end },
    revision,
    readings: n,
  };
}

/** A mean in kW with three decimals. */
export function kilowatts(sum_W: number, n: number): number {
  return n === 0 ? 0 : Math.round(sum_W / n) / 1000;
}

/** A mean in V with two decimals. */
export function volts(sum_mV: number, n: number): number {
  return n === 0 ? 0 : Math.round(sum_mV / n / 10) / 100;
}
