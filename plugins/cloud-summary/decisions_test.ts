/** What an operator's decision changes, what it records, and what is no decision. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import type { MiddlewareHandler } from "hono";
import type { Access, Guarded } from "../../core/services/access/mod.ts";
import type { Database } from "../../core/services/db/mod.ts";
import { chain, everything, fog, minute, windowOf } from "./_links.ts";
import { withLibsqlStore } from "./_temporary_store.ts";
import { decisionRoutes } from "./decisions.ts";
import type { SummaryStore } from "./store.ts";

type Post = (body: unknown) => Promise<{ status: number; answer: Record<string, unknown> }>;

/** Lets in an operator whose token is "t-1". */
const require: Access["require"] = (role) => {
  assert.equal(role, "operator");
  const guard: MiddlewareHandler<Guarded> = (c, next) => {
    c.set("principal", { id: "t-1", role } as Guarded["Variables"]["principal"]);
    return next();
  };
  return guard;
};

function withRoutes(
  use: (post: Post, store: SummaryStore, db: Database) => Promise<void>,
): Promise<void> {
  return withLibsqlStore(async (store, db) => {
    const routes = decisionRoutes(store, require);
    await use(
      async (body) => {
        const response = await routes.request("/decisions", {
          method: "POST",
          body: typeof body === "string" ? body : JSON.stringify(body),
        });
        return { status: response.status, answer: await response.json() };
      },
      store,
      db,
    );
  });
}

/** Without what was recorded of the summaries themselves. */
const auditRows = (db: Database) =>
  db.read((q) =>
    q.all<{ type: string; actor: string; subject: string; detail: string }>(
      sql`SELECT type, actor, subject, detail FROM audit WHERE type <> 'summary.stored'
        ORDER BY id`,
    )
  );

Deno.test("POST /decisions brings one epoch's windows into force, and says so in the audit", async () => {
  await withRoutes(async (post, store, db) => {
    const links = chain(
      ...[{ at: 1, n: 2 }, { at: 2, n: 3 }, { at: 3, n: 4 }],
      ...[{ at: 1, epoch: 2, n: 20 }, { at: 2, n: 30 }, { at: 4, n: 50 }],
    );
    await store.append(fog, links, 1);
    assert.equal((await store.totals()).n, 2 + 3 + 4 + 50);
    const decision = { fog, from: minute, to: "1970-01-01T00:02:00Z", epoch: 2 };
    const { status, answer } = await post(decision);
    assert.deepEqual([status, answer], [200, { windows: 1, more: false }]);
    assert.equal((await store.totals()).n, 20 + 3 + 4 + 50);
    const now = [links[3]!, links[1]!, links[2]!, links[5]!].map(windowOf);
    assert.deepEqual(await store.windows(everything), now);
    const detail = JSON.stringify({ from: minute, to: 2 * minute, epoch: 2, windows: 1 });
    const entry = { type: "windows.decided", actor: "token:t-1", subject: fog, detail };
    assert.deepEqual(await auditRows(db), [entry]);

    // the other way: what is in force stays, and is not undecided any more
    assert.deepEqual((await post({ ...decision, to: 9 * minute, epoch: 1 })).answer.windows, 1);
    assert.deepEqual(await store.windows({ ...everything, state: "undecided" }), []);
    assert.equal((await store.totals()).n, 20 + 3 + 4 + 50);
  });
});

Deno.test("POST /decisions changes nothing that is decided, and records nothing then", async () => {
  await withRoutes(async (post, store, db) => {
    await store.append(fog, chain({ at: 1 }, { at: 1, epoch: 2, n: 9 }), 1);
    const decision = { fog, from: 0, to: 9 * minute, epoch: 2 };
    for (const other of [{ fog: "fog-2" }, { epoch: 3 }, { from: 5 * minute }, { to: minute }]) {
      assert.deepEqual((await post({ ...decision, ...other })).answer.windows, 0);
    }
    assert.equal((await post(decision)).answer.windows, 1);
    assert.equal((await post({ ...decision, epoch: 1 })).answer.windows, 0);
    assert.equal((await store.totals()).n, 9);
    assert.equal((await auditRows(db)).length, 1);
  });
});

Deno.test("POST /decisions goes through many windows, a few in each transaction", async () => {
  await withRoutes(async (post, store, db) => {
    const at = Array.from({ length: 120 }, (_, at) => at);
    const links = chain(...at.map((at) => ({ at })), ...at.map((at) => ({ at, n: 2, epoch: 2 })));
    await store.append(fog, links, 1);
    const { answer } = await post({ fog, from: 0, to: 200 * minute, epoch: 2 });
    assert.deepEqual(answer, { windows: 120, more: false });
    assert.equal((await store.totals()).n, 240);
    assert.equal((await auditRows(db)).length, 3);
  });
});

Deno.test("POST /decisions refuses what is no decision", async () => {
  await withRoutes(async (post) => {
    const good = { fog, from: 0, to: 1, epoch: 1 };
    assert.equal((await post(good)).status, 200);
    const bad: unknown[] = [
      ...["", "x", "null", "[]", {}, { ...good, more: 1 }, { ...good, fog: "a b" }],
      ...[{ ...good, fog: undefined }, { ...good, from: -1 }, { ...good, from: "yesterday" }],
      ...[{ ...good, to: 0.5 }, { ...good, to: null }, { ...good, from: 2 }],
      ...[{ ...good, epoch: 0 }, { ...good, epoch: "1" }, { ...good, epoch: 2 ** 31 + 1 }],
    ];
    for (const body of bad) {
      const { status, answer } = await post(body);
      assert.deepEqual([status, answer.code], [400, "bad_request"], JSON.stringify(body));
    }
  });
});
