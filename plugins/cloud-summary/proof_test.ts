/** What a customer gets of a window, checked as a customer does; and what the routes say when it is not there. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import type { MiddlewareHandler } from "hono";
import type { Id } from "../../core/base/id.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../../core/services/db/mod.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { SiteLog, tlogMigrations } from "../../core/services/tlog/mod.ts";
import { verifyText } from "../../core/trust/log/note.ts";
import { checkProof, parseProof } from "../../core/trust/log/proof_file.ts";
import { decodeLogEntry } from "../../core/wire/log_entry.ts";
import { decodeSummary } from "../../core/wire/summary.ts";
import { chain, fog, link, minute } from "./_links.ts";
import { proofRoutes } from "./proof.ts";
import type { SummaryStore } from "./store.ts";
import { libsqlStore } from "./store_libsql.ts";
import { migrations } from "./tables.ts";

const suite = nativeSuite();
const open: MiddlewareHandler = (_, next) => next();
const closed: MiddlewareHandler = (c) => Promise.resolve(c.text("no", 401));
const noon = 1_700_000_040_000;

interface Site {
  readonly store: SummaryStore;
  readonly db: OpenDatabase;
  readonly log: SiteLog;
  now: number;
  get(path: string): Promise<Response>;
}

/** A cloud with a real log, which takes new entries when the test says so. */
async function withSite(
  use: (site: Site) => Promise<void>,
  { gate = open }: { gate?: MiddlewareHandler } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await using db = await openDatabase({ path: `${folder}/cloud.db` });
    await db.migrate("core", [...auditMigrations, ...tlogMigrations]);
    await db.migrate("cloud-summary", migrations);
    const identity = openIdentity(suite, folder);
    const clock = () => site.now;
    const log = await SiteLog.open({
      ...{ suite, site: "cloud", identity, db, dataDir: folder, clock },
      onRollback: () => {},
    });
    const audit = auditOf("cloud-summary", clock, async (statement) => {
      const [row] = await db.read((q) =>
        q.all<{ id: number }>(sql`SELECT id FROM audit WHERE statement = ${statement}`)
      );
      return row === undefined ? null : await log.prove(row.id);
    });
    const store = libsqlStore(db, { read: decodeSummary, audit });
    const routes = proofRoutes(store, { gate, audit, clock });
    const get = async (path: string) => await routes.request(path);
    const site: Site = { ...{ store, db, log, get }, now: noon };
    await use(site);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

async function assertProblem(response: Response, status: number, code: string): Promise<void> {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.deepEqual([response.status, (await response.json()).code], [status, code]);
}

Deno.test("statement, proof and log belong together, for every window of every fog", async () => {
  await withSite(async ({ store, log, get }) => {
    const links = chain(...Array.from({ length: 300 }, (_, at) => ({ at })));
    await store.append(fog, links, noon);
    const other = link({ fog_id: "fog-2" as Id, at: 7 });
    await store.append("fog-2" as Id, [other], noon);
    assert.ok(await log.integrate());
    for (const { summary, statement } of [links[0]!, links[256]!, links[299]!, other]) {
      const { fog_id, epoch, seq, revision, window } = summary;
      const query = `fog=${fog_id}&window=${window.start}`;
      const signed = await bytesOf(await get(`/statement?${query}`));
      assert.deepEqual(signed, statement);

      const proof = parseProof(await (await get(`/proof?${query}`)).text());
      const { note, checkpoint } = checkProof(suite, proof, proof.extra!);
      verifyText(suite, note, log.key);
      assert.deepEqual([checkpoint.origin, checkpoint.size], [log.key.name, 301]);
      const entry = decodeLogEntry(proof.extra!);
      assert.deepEqual(entry.statement, suite.sha256(signed));
      assert.deepEqual([entry.type, entry.actor, entry.subject], [
        "summary.stored",
        fog_id,
        fog_id,
      ]);
      assert.deepEqual(JSON.parse(entry.detail), { epoch, seq, window, revision });
    }
  });
});

Deno.test("the version in force is what is given: a revision, and what an operator has decided", async () => {
  await withSite(async ({ store, get }) => {
    const [old, revised, next] = chain(
      ...[{ at: 1 }, { at: 1, revision: 1, n: 2 }, { at: 1, epoch: 2, n: 3 }],
    );
    const given = async () => await bytesOf(await get("/statement?fog=fog-1&window=60000"));
    await store.append(fog, [old!], noon);
    assert.deepEqual(await given(), old!.statement);
    await store.append(fog, [revised!, next!], noon);
    assert.deepEqual(await given(), revised!.statement);
    const windows = { from: 0, to: 9 * minute, limit: 9 };
    await store.decide({ ...windows, fog, epoch: 2, actor: "token:t-1" });
    assert.deepEqual(await given(), next!.statement);
  });
});

Deno.test("a proof is there once a checkpoint holds the summary, and never without", async () => {
  await withSite(async (site) => {
    const { store, log, get } = site;
    await store.append(fog, chain({ at: 1 }), noon);
    const path = "/proof?fog=fog-1&window=1970-01-01T00:01:00Z";
    const early = await get(path);
    assert.equal(early.headers.get("retry-after"), "1");
    await assertProblem(early, 404, "not_logged_yet");
    // what has waited for so long is not about to come
    site.now += 10 * minute;
    const late = await get(path);
    assert.equal(late.headers.get("retry-after"), null);
    await assertProblem(late, 404, "not_logged");
    await log.integrate();
    assert.equal((await get(path)).status, 200);
  });
});

Deno.test("both are files with names of their own", async () => {
  await withSite(async ({ store, log, get }) => {
    const beyond = { start: Number.MAX_SAFE_INTEGER - 1, end: Number.MAX_SAFE_INTEGER };
    const [first, far] = chain({ at: 1 }, { at: 2 });
    await store.append(fog, [first!, { ...far!, summary: { ...far!.summary, window: beyond } }], 1);
    await log.integrate();
    const head = async (path: string) => {
      const { headers, body } = await get(path);
      await body?.cancel();
      return ["content-type", "content-disposition", "cache-control"].map((h) => headers.get(h));
    };
    assert.deepEqual(await head("/proof?fog=fog-1&window=60000"), [
      "text/plain; charset=utf-8",
      'attachment; filename="fog-1-1970-01-01T000100Z-1.1.tlog-proof"',
      "no-cache",
    ]);
    assert.deepEqual(await head(`/statement?fog=fog-1&window=${beyond.start}`), [
      'application/cose; cose-type="cose-sign1"',
      `attachment; filename="fog-1-${beyond.start}-1.2.cose"`,
      "no-cache",
    ]);
  });
});

Deno.test("what is not there, or no more, is said so", async () => {
  await withSite(async ({ store, get }) => {
    await store.append(fog, chain({ at: 1 }, { at: 2 }), 1);
    await store.prune({ statements: 2, windows: 0, limit: 9 });
    for (const route of ["/statement", "/proof"]) {
      await assertProblem(await get(`${route}?fog=fog-1&window=60000`), 410, "summary_pruned");
      for (const query of ["fog=fog-1&window=60001", "fog=fog-2&window=60000"]) {
        await assertProblem(await get(`${route}?${query}`), 404, "no_window");
      }
      const unreadable = ["", "fog=fog-1", "window=60000", "fog=a%20b&window=1", "fog=a&window=x"];
      for (const query of unreadable) {
        await assertProblem(await get(`${route}?${query}`), 400, "bad_query");
      }
    }
  });
});

Deno.test("nobody passes a closed gate", async () => {
  await withSite(async ({ store, log, get }) => {
    await store.append(fog, chain({ at: 1 }), noon);
    await log.integrate();
    for (const path of ["/statement", "/proof", "/proof?fog=fog-1&window=60000"]) {
      const response = await get(path);
      assert.deepEqual([response.status, await response.text()], [401, "no"]);
    }
  }, { gate: closed });
});
