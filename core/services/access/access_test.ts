/** Tokens and the guard over a real database, in which no token is ever to be found. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { Hono } from "hono";
import type { Event } from "../../wire/event.ts";
import { auditMigrations, auditOf } from "../audit.ts";
import { EventBus } from "../bus.ts";
import { nativeSuite } from "../crypto_native.ts";
import { openDatabase } from "../db/mod.ts";
import { MetricsRegistry } from "../metrics.ts";
import {
  type ApiRole,
  apiRoles,
  type Guarded,
  openAccess,
  openTokens,
  tokenMigrations,
} from "./mod.ts";

const suite = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };

async function openTestAccess() {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const db = stack.use(await openDatabase({ path: `${folder}/site.db` }));
  await db.migrate("core", [...auditMigrations, ...tokenMigrations]);
  const time = { now: 1_000 };
  const clock = () => time.now;
  const audit = auditOf("core", clock);
  const bus = new EventBus({ clock, log }).scoped("core");
  const events: Event[] = [];
  bus.listen((event) => events.push(event));
  const tokens = openTokens({ db, suite, audit, clock });
  const metrics = new MetricsRegistry().scoped("host");
  const access = openAccess({ tokens, db, audit, bus, clock, log, metrics });
  const app = new Hono<Guarded>();
  for (const role of apiRoles) {
    app.get(`/${role}/:what`, access.require(role), (c) => c.json(c.get("principal")));
  }
  const kept = stack.move();
  return {
    ...{ tokens, db, time, events, folder },
    ask: (path: string, authorization?: string) =>
      app.request(path, authorization === undefined ? {} : { headers: { authorization } }),
    audited:
      async () => (await db.read((q) =>
        q.all<{ type: string }>(sql`SELECT type, actor, subject, detail FROM audit ORDER BY id`)
      )),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

Deno.test("a token opens what its role may do, and nothing above", async () => {
  await using site = await openTestAccess();
  for (const [have, mine] of apiRoles.entries()) {
    const { id, token } = await site.tokens.add(mine);
    for (const [need, role] of apiRoles.entries()) {
      const response = await site.ask(`/${role}/x`, `Bearer ${token}`);
      assert.equal(response.status, have >= need ? 200 : 403, `${mine} at ${role}`);
      const body = await response.json();
      if (have >= need) assert.deepEqual(body, { id, role: mine });
      else assert.equal(body.code, "role_too_low");
    }
  }
});

Deno.test("a token that is revoked, expired or unknown opens nothing", async () => {
  await using site = await openTestAccess();
  const [good, brief, bad] = [
    await site.tokens.add("admin"),
    await site.tokens.add("admin", { ttl: 500 }),
    await site.tokens.add("admin"),
  ];
  await site.tokens.revoke(bad.id);
  site.time.now += 500;
  const [, , id, secret] = /^(edgeward)_(.{8})_(.{43})$/.exec(good.token)!;
  const wrong = [
    ...[brief.token, bad.token, "x", "", `edgeward_${id}_${"A".repeat(43)}`],
    ...[`edgeward_${"A".repeat(8)}_${secret}`, `${good.token}A`, good.token.toUpperCase()],
    ...[`edgeward_${id}_${secret!.slice(0, -1)}${secret!.at(-1) === "_" ? "-" : "_"}`],
  ];
  for (const token of wrong) {
    const response = await site.ask("/viewer/x", `Bearer ${token}`);
    assert.equal(response.status, 401, token);
    await response.body?.cancel();
  }
  for (const header of [undefined, good.token, `Basic ${good.token}`, `Bearer ${good.token} x`]) {
    const response = await site.ask("/viewer/x", header);
    assert.deepEqual([response.status, (await response.json()).code], [401, "token_required"]);
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
  }
  assert.equal((await site.ask("/viewer/x", `bearer ${good.token}`)).status, 200);
});

Deno.test("revoke() is final, says so of a stranger, and list() shows no secret", async () => {
  await using site = await openTestAccess();
  const { id, token } = await site.tokens.add("operator", { note: "Telegram", ttl: 10 });
  await site.tokens.revoke(id);
  site.time.now++;
  await site.tokens.revoke(id);
  await assert.rejects(site.tokens.revoke("nobody"), { code: "token_unknown" });
  await assert.rejects(site.tokens.add("viewer", { note: "a\nb" }), { code: "bad_note" });
  const [row, ...others] = await site.tokens.list();
  assert.deepEqual(others, []);
  assert.deepEqual(row, {
    ...{ id, role: "operator", note: "Telegram", created: 1_000, expires: 1_010, revoked: 1_000 },
  });
  assert.equal(await site.tokens.check(token), null);
});

Deno.test("a token is nowhere on disk", async () => {
  await using site = await openTestAccess();
  const made = await Promise.all(apiRoles.map((role: ApiRole) => site.tokens.add(role)));
  for (const { token } of made) await (await site.ask("/admin/x", `Bearer ${token}`)).text();
  let text = "";
  for (const name of ["site.db", "site.db-wal"]) {
    text += new TextDecoder("latin1").decode(await Deno.readFile(`${site.folder}/${name}`));
  }
  assert.ok(text.includes("token.added"), "the search finds nothing at all");
  for (const { token } of made) assert.ok(!text.includes(token.slice(18)));
});

Deno.test("refusals are recorded, a flood of them ten times a minute", async () => {
  await using site = await openTestAccess();
  for (let i = 0; i < 50; i++) await (await site.ask("/admin/secret-path")).text();
  site.time.now += 60_000;
  await (await site.ask("/admin/secret-path", "Bearer x")).text();
  const rows = await site.audited();
  assert.equal(rows.length, 11);
  assert.equal(site.events.filter(({ type }) => type === "admin.refused").length, 11);
  assert.deepEqual(rows.at(-1), {
    ...{ type: "admin.refused", actor: "nobody", subject: "api" },
    detail: JSON.stringify({
      ...{ reason: "token_invalid", needed: "admin", route: "GET /admin/:what", unrecorded: 40 },
    }),
  });
});
