/** What the cloud tells over HTTP: names, rounding, pages, and who may ask. */
import assert from "node:assert/strict";
import type { MiddlewareHandler } from "hono";
import type { Id } from "../../core/base/id.ts";
import { chain, link, minute } from "./_links.ts";
import { withLibsqlStore } from "./_temporary_store.ts";
import { kilowatts, summaryRoutes, volts, windowRoutes } from "./routes.ts";
import type { SummaryStore } from "./store.ts";

const open: MiddlewareHandler = (_, next) => next();
const closed: MiddlewareHandler = (c) => Promise.resolve(c.text("no", 401));

/** Asks a store that holds three windows of one fog and one of another. */
async function withWindows(
  use: (get: (path: string) => Promise<Response>, store: SummaryStore) => Promise<void>,
): Promise<void> {
  await withLibsqlStore(async (store) => {
    const changes = [1, 2, 3].map((at) => ({ at, n: at, sum_power_W: 1_234 * at }));
    await store.append("fog-1" as Id, chain(...changes), 1);
    const other = link({ fog_id: "fog-2" as Id, at: 2, n: 2, sum_power_W: -1 });
    await store.append("fog-2" as Id, [other], 1);
    const [windows, summary] = [windowRoutes(store, open), summaryRoutes(store, open)];
    const get = async (path: string) =>
      path.startsWith("/windows") ? await windows.request(path) : await summary.request(path);
    await use(get, store);
  });
}

Deno.test("GET /summary gives the prototype's field names, means over readings, newest first", async () => {
  await withWindows(async (get) => {
    const response = await get("/");
    assert.equal(response.status, 200);
    const { latest_data, ...totals } = await response.json();
    assert.deepEqual(totals, {
      total_packets: 4,
      avg_power_overall: 0.925, // (1234 · 6 − 1) W / 8
      avg_voltage_overall: 230,
    });
    assert.deepEqual(latest_data[0], {
      fog_id: "fog-1",
      num_meters: 1,
      avg_power: 1.234,
      avg_voltage: 230,
      window: { start: 3 * minute, end: 4 * minute },
      revision: 0,
      readings: 3,
    });
    const order = latest_data.map((w: { fog_id: string; readings: number }) => w.fog_id);
    assert.deepEqual(order, ["fog-1", "fog-1", "fog-2", "fog-1"]);
  });
});

Deno.test("GET /summary gives zeros for an empty store, and 20 windows at the most", async () => {
  await withLibsqlStore(async (store) => {
    const routes = summaryRoutes(store, open);
    assert.deepEqual(await (await routes.request("/")).json(), {
      ...{ total_packets: 0, avg_power_overall: 0, avg_voltage_overall: 0, latest_data: [] },
    });
    await store.append("fog-1" as Id, chain(...Array.from({ length: 30 }, (_, at) => ({ at }))), 1);
    const { total_packets, latest_data } = await (await routes.request("/")).json();
    assert.deepEqual([total_packets, latest_data.length], [30, 20]);
  });
});

Deno.test("kilowatts() and volts() divide once and round once", () => {
  const means: [number, number][] = [[0, 0], [1_500, 1], [1_499, 3], [1_000_001, 2], [-1_500, 1]];
  const powers = means.map(([sum, n]) => kilowatts(sum, n));
  assert.deepEqual(powers, [0, 1.5, 0.5, 500.001, -1.5]);
  assert.deepEqual([volts(0, 0), volts(230_004, 1), volts(230_005, 1), volts(460_011, 2)], [
    ...[0, 230, 230.01, 230.01],
  ]);
});

Deno.test("GET /windows gives all windows, oldest first", async () => {
  await withWindows(async (get) => {
    const { windows, next } = await (await get("/windows")).json();
    assert.equal(next, null);
    const places = windows.map((w: { window: { start: number }; fog_id: string }) =>
      `${w.window.start / minute} ${w.fog_id}`
    );
    assert.deepEqual(places, ["1 fog-1", "2 fog-1", "2 fog-2", "3 fog-1"]);
    assert.deepEqual(windows[2], {
      ...{ fog_id: "fog-2", num_meters: 1, avg_power: 0, avg_voltage: 230, energy_Wh: 2 },
      ...{ window: { start: 2 * minute, end: 3 * minute }, revision: 0, readings: 2, epoch: 1 },
    });
  });
});

Deno.test("GET /windows leads through all pages, each window once", async () => {
  await withWindows(async (get) => {
    const whole = (await (await get("/windows")).json()).windows;
    for (const limit of [1, 2, 3, 4, 5]) {
      const paged: unknown[] = [];
      let query = `/windows?limit=${limit}`;
      for (let pages = 0; pages < 9; pages++) {
        const { windows, next } = await (await get(query)).json();
        assert.ok(windows.length <= limit);
        paged.push(...windows);
        if (next === null) break;
        query = `/windows?limit=${limit}&after=${encodeURIComponent(next)}`;
      }
      assert.deepEqual(paged, whole, `pages of ${limit}`);
    }
  });
});

Deno.test("GET /windows selects by fog and by time, in both notations", async () => {
  await withWindows(async (get) => {
    const counts: [number, string][] = [
      [3, "fog=fog-1"],
      [1, "fog=fog-2"],
      [0, "fog=fog-3"],
      [3, `from=${2 * minute}`],
      [1, `to=${2 * minute}`],
      [2, `from=${2 * minute}&to=${3 * minute}`],
      [2, "from=1970-01-01T00:02:00Z&to=1970-01-01T01:03:00%2B01:00"],
      [0, `from=${3 * minute}&to=${2 * minute}`],
      [1, `from=${2 * minute}&fog=fog-2&limit=1000`],
    ];
    for (const [n, query] of counts) {
      const { windows } = await (await get(`/windows?${query}`)).json();
      assert.equal(windows.length, n, query);
    }
  });
});

Deno.test("GET /windows shows what is in force and, when asked, what waits for an operator", async () => {
  await withLibsqlStore(async (store) => {
    const links = chain({ at: 1, n: 2 }, { at: 2 }, { at: 1, epoch: 2, n: 5 }, { at: 3 });
    await store.append("fog-1" as Id, links, 1);
    const get = async (query: string) => {
      const { windows } = await (await windowRoutes(store, open).request(`/windows${query}`))
        .json();
      return windows.map((w: { window: { start: number }; epoch: number; readings: number }) =>
        [w.window.start / minute, w.epoch, w.readings].join(" ")
      );
    };
    assert.deepEqual(await get(""), ["1 1 2", "2 1 1", "3 2 1"]);
    assert.deepEqual(await get("?state=undecided"), ["1 2 5"]);
  });
});

async function assertBadQuery(get: (path: string) => Promise<Response>, query: string) {
  const response = await get(`/windows?${query}`);
  assert.equal(response.status, 400, query);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal((await response.json()).code, "bad_query", query);
}

Deno.test("GET /windows refuses a query that it cannot read", async () => {
  await withWindows(async (get) => {
    for (const limit of ["0", "-1", "1001", "1.5", "x", "", "Infinity"]) {
      await assertBadQuery(get, `limit=${limit}`);
    }
    for (const instant of ["", "x", "9007199254740993", "1970-13-01T00:00:00Z"]) {
      await assertBadQuery(get, `from=${instant}`);
      await assertBadQuery(get, `to=${instant}`);
    }
    for (const fog of ["", "a%20b", "a/b", "x".repeat(65), "%27%20OR%201=1"]) {
      await assertBadQuery(get, `fog=${fog}`);
    }
    for (
      const after of ["", "1", "1.", ".fog-1", "1.fog-1", "1.fog-1.", "-1.fog-1.1", "1.a%20b.1"]
    ) {
      await assertBadQuery(get, `after=${after}`);
    }
    await assertBadQuery(get, "after=9999999999999999.a.1");
    for (const state of ["", "overruled", "x"]) await assertBadQuery(get, `state=${state}`);
  });
});

Deno.test("GET /windows takes no text for an instant that is neither a number nor RFC 3339", async () => {
  await withWindows(async (get) => {
    for (const text of ["fog-1", "june%205", "-5", "12/24/2024"]) {
      await assertBadQuery(get, `from=${text}`);
    }
  });
});

Deno.test("nobody passes a closed gate, whatever they ask", async () => {
  await withLibsqlStore(async (store) => {
    await store.append("fog-1" as Id, chain({ at: 1 }), 1);
    const answers = [
      await summaryRoutes(store, closed).request("/"),
      await windowRoutes(store, closed).request("/windows"),
      await windowRoutes(store, closed).request("/windows?limit=x"),
    ];
    for (const response of answers) {
      assert.deepEqual([response.status, await response.text()], [401, "no"]);
    }
  });
});
