/** What the fog tells its operator over HTTP: names, pages, bad questions, and who may ask. */
import assert from "node:assert/strict";
import type { MiddlewareHandler } from "hono";
import { openTestFog, type TestFog } from "./_test_fog.ts";
import { batch, closeAll, insert, noon, reading } from "./_test_store.ts";
import { outboxOf } from "./outbox.ts";
import { fogRoutes } from "./routes.ts";

const open: MiddlewareHandler = (_, next) => next();
const closed: MiddlewareHandler = (c) => Promise.resolve(c.text("no", 401));

function routesOf({ now }: TestFog, gate = open) {
  const { clock, db, retention, waiting } = now;
  return fogRoutes({ clock, db, outbox: outboxOf(db), uplink: null, retention, waiting }, gate);
}

/** Asks a fog that has gaps, contradictions and a summary which the cloud refused. */
async function withFog(use: (get: (path: string) => Promise<Response>) => Promise<void>) {
  await using fog = await openTestFog();
  const { store, db } = fog.now;
  await insert(store, batch([1, 2, 5, 9].map((seq) => reading(seq))));
  await insert(store, batch([reading(3), reading(7)], { meter: "m-2" }));
  for (const seq of [1, 2, 5]) await insert(store, batch([reading(seq, { power_W: 7 })]));
  await insert(store, batch([reading(3, { power_W: 7 })], { meter: "m-2" }));
  await closeAll(store);
  await outboxOf(db).refuse({ epoch: 1, seq: 1 }, "malformed");
  const routes = routesOf(fog);
  await use(async (path) => await routes.request(path));
}

Deno.test("GET /status says how the fog is", async () => {
  await withFog(async (get) => {
    const status = await (await get("/status")).json();
    assert.deepEqual(status.clock, { now: noon, doubt: null, trouble: null, offset: 0 });
    assert.equal(status.uplink, null);
    assert.deepEqual([status.outbox.pending, status.outbox.set_aside, status.waiting], [0, 1, 0]);
    const { used, ...storage } = status.storage;
    assert.ok(used > 0 && used < storage.budget);
    assert.deepEqual(storage, {
      ...{ budget: 4 * 2 ** 30, keep: 90 * 86_400_000, when_full: "block" },
      ...{ blocked: null, horizon: 0 },
    });
  });
});

Deno.test("GET /gaps lists what is missing, in pages", async () => {
  await withFog(async (get) => {
    const whole = await (await get("/gaps")).json();
    assert.equal(whole.next, null);
    const shown = whole.gaps.map((g: Record<string, unknown>) => Object.values(g).join(" "));
    assert.deepEqual(shown, ["m-1 r-1 3 4", "m-1 r-1 6 8", "m-2 r-1 4 6"]);
    const paged: unknown[] = [];
    let query = "/gaps?limit=1";
    for (let pages = 0; pages < 9; pages++) {
      const { gaps, next } = await (await get(query)).json();
      paged.push(...gaps);
      if (next === null) break;
      query = `/gaps?limit=1&after=${encodeURIComponent(next)}`;
    }
    assert.deepEqual(paged, whole.gaps);
  });
});

Deno.test("GET /quarantine lists what was not taken, in pages and by meter", async () => {
  await withFog(async (get) => {
    const { quarantine, next } = await (await get("/quarantine?limit=3")).json();
    assert.deepEqual(quarantine[0], {
      ...{ id: 1, meter: "m-1", register: "r-1", seq: 1, reason: "conflict", received_at: noon },
    });
    const rest = await (await get(`/quarantine?limit=3&after=${next}`)).json();
    assert.deepEqual([quarantine.length, rest.quarantine.length, rest.next], [3, 1, null]);
    const own = await (await get("/quarantine?meter=m-2")).json();
    assert.deepEqual(own.quarantine, rest.quarantine);
    const none = await (await get("/quarantine?meter=%27%20OR%201=1")).json();
    assert.deepEqual(none, { quarantine: [], next: null });
  });
});

Deno.test("GET /outbox lists what does not go to the cloud", async () => {
  await withFog(async (get) => {
    const { summaries } = await (await get("/outbox?state=set_aside")).json();
    assert.equal(summaries.length, 1);
    assert.match(summaries[0].reason, /malformed/);
  });
});

Deno.test("a question that cannot be read is a problem", async () => {
  await withFog(async (get) => {
    const limits = ["0", "-1", "1001", "1.5", "x", ""].flatMap((limit) =>
      ["/gaps?", "/quarantine?", "/outbox?state=set_aside&"].map((path) => `${path}limit=${limit}`)
    );
    const others = [
      ...["/gaps?after=", "/gaps?after=x", "/gaps?after=1", "/gaps?after=1.-2"],
      ...["/quarantine?after=", "/quarantine?after=-1", "/quarantine?after=9999999999999999"],
      ...["/outbox", "/outbox?state=pending"],
    ];
    for (const path of [...limits, ...others]) {
      const response = await get(path);
      assert.equal(response.status, 400, path);
      assert.equal(response.headers.get("content-type"), "application/problem+json", path);
      assert.equal((await response.json()).code, "bad_query", path);
    }
  });
});

Deno.test("nobody passes a closed gate", async () => {
  await using fog = await openTestFog();
  const routes = routesOf(fog, closed);
  for (const path of ["/status", "/gaps", "/quarantine?limit=x", "/outbox?state=set_aside"]) {
    assert.equal((await routes.request(path)).status, 401, path);
  }
});
