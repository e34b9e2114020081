/** Calls that must not happen twice, over a real database that outlives the process. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { utf8 } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { judge, recordAge } from "../../trust/session/run_once.ts";
import { type OpenDatabase, openDatabase, type Queries } from "../db/mod.ts";
import { openRunOnce, type Recorder, Refusal, runOnceMigrations } from "./mod.ts";
import { suite } from "./_test_site.ts";

const caller = suite.randomBytes(32);
const newCall = () => ({ caller, id: suite.randomBytes(16) });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function withDatabase(use: (db: OpenDatabase) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using db = await openDatabase({ path: `${folder}/site.db` });
    await db.migrate("core", runOnceMigrations);
    await use(db);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("run() gives the first result to every repetition, also after a restart", async () => {
  await withDatabase(async (db) => {
    const call = newCall();
    let effects = 0;
    const effect = () => Promise.resolve(utf8(`done ${++effects}`));
    for (let process = 0; process < 3; process++) {
      const runOnce = openRunOnce({ db, clock: () => process });
      for (let i = 0; i < 3; i++) assert.equal(text(await runOnce.run(call, effect)), "done 1");
    }
    assert.equal(text(await openRunOnce({ db, clock: () => 0 }).run(newCall(), effect)), "done 2");
  });
});

Deno.test("run() lets more be written of a call, in the transactions that keep it", async () => {
  await withDatabase(async (db) => {
    await db.write((tx) => tx.run(sql`CREATE TABLE said (what TEXT) STRICT`));
    const runOnce = openRunOnce({ db, clock: () => 0 });
    const say = async (tx: Queries, what: string) =>
      void await tx.run(sql`INSERT INTO said VALUES (${what})`);
    const recorder: Recorder = { began: (tx) => say(tx, "began"), ended: say };
    const said = async () =>
      (await db.read((q) => q.all<{ what: string }>(sql`SELECT * FROM said`)))
        .map(({ what }) => what);
    const [good, bad, unwritten] = [newCall(), newCall(), newCall()];
    const refused = () => Promise.reject(new CodedError("no", "Cannot do it"));
    for (let i = 0; i < 2; i++) {
      await runOnce.run(good, () => Promise.resolve(utf8("x")), recorder);
      await assert.rejects(runOnce.run(bad, refused, recorder), { code: "no" });
    }
    assert.deepEqual(await said(), ["began", "done", "began", "no"]);
    const full = () => Promise.reject(new Error("the disk is full"));
    await assert.rejects(
      runOnce.run(unwritten, () => assert.fail("it acts"), { ...recorder, began: full }),
      /full/,
    );
    // nothing is on record: it may be tried again
    assert.equal(text(await runOnce.run(unwritten, () => Promise.resolve(utf8("y")))), "y");
  });
});

Deno.test("run() makes repetitions wait for the one that is under way", async () => {
  await withDatabase(async (db) => {
    const runOnce = openRunOnce({ db, clock: () => 0 });
    const gate = Promise.withResolvers<void>();
    const call = newCall();
    let effects = 0;
    const effect = async () => {
      await gate.promise;
      return utf8(`${++effects}`);
    };
    const results = [0, 1, 2].map(() => runOnce.run(call, effect));
    gate.resolve();
    assert.deepEqual((await Promise.all(results)).map(text), ["1", "1", "1"]);
  });
});

Deno.test("run() does not guess about a call that had begun when the process died", async () => {
  await withDatabase(async (db) => {
    const call = newCall();
    const began = Promise.withResolvers<void>();
    const dying = openRunOnce({ db, clock: () => 0 });
    void dying.run(call, () => {
      began.resolve();
      return new Promise(() => {});
    });
    await began.promise;
    const next = openRunOnce({ db, clock: () => 1 });
    for (let i = 0; i < 2; i++) {
      await assert.rejects(next.run(call, () => assert.fail("it runs again")), {
        name: "Refusal",
        code: "outcome_unknown",
      });
    }
  });
});

Deno.test("run() acts only after the start is on disk", async () => {
  await withDatabase(async (db) => {
    const call = newCall();
    await openRunOnce({ db, clock: () => 5, monotonic: () => 0 }).run(call, async () => {
      const rows = await db.read((q) => q.all(sql`SELECT started, result FROM calls`));
      assert.deepEqual(rows, [{ started: 5, result: null }]);
      return new Uint8Array(0);
    });
  });
});

Deno.test("run() does not act when the start cannot be stored", async () => {
  const db = {
    read: () => Promise.reject(new CodedError("disk_full", "No space left")),
    write: () => Promise.reject(new CodedError("disk_full", "No space left")),
  };
  const runOnce = openRunOnce({ db, clock: () => 0 });
  const call = runOnce.run(newCall(), () => assert.fail("it runs"));
  await assert.rejects(call, { code: "disk_full" });
});

Deno.test("run() keeps a refusal as a result, and of an accident only that it had begun", async () => {
  await withDatabase(async (db) => {
    const runOnce = openRunOnce({ db, clock: () => 0 });
    const [refused, broken] = [newCall(), newCall()];
    for (let i = 0; i < 2; i++) {
      const effect = () => Promise.reject(new Refusal("valve_stuck", "no"));
      await assert.rejects(runOnce.run(refused, i === 0 ? effect : () => assert.fail()), {
        code: "valve_stuck",
      });
    }
    await assert.rejects(
      runOnce.run(broken, () => Promise.reject(new TypeError("oops"))),
      TypeError,
    );
    await assert.rejects(runOnce.run(broken, () => assert.fail()), { code: "outcome_unknown" });
  });
});

Deno.test("run() says of a call whose result cannot be stored that nobody knows it", async () => {
  await withDatabase(async (db) => {
    let writes = 0;
    const full: OpenDatabase["write"] = (job) =>
      ++writes === 2 ? Promise.reject(new CodedError("db_full", "No space left")) : db.write(job);
    const runOnce = openRunOnce({
      db: { read: (query) => db.read(query), write: full },
      clock: () => 0,
    });
    const call = newCall();
    let effects = 0;
    for (let i = 0; i < 2; i++) {
      const outcome = runOnce.run(call, () => Promise.resolve(utf8(`${++effects}`)));
      // "db_full" would sound as if it had not happened
      await assert.rejects(outcome, { name: "Refusal", code: "outcome_unknown" });
    }
    assert.deepEqual([effects, writes], [1, 3]);
  });
});

Deno.test("run() forgets no call because somebody has set the clock", async () => {
  await withDatabase(async (db) => {
    let [now, passed] = [0, 0];
    const runOnce = openRunOnce({ db, clock: () => now, monotonic: () => passed });
    const call = newCall();
    let effects = 0;
    const run = async () =>
      text(await runOnce.run(call, () => Promise.resolve(utf8(`${++effects}`))));
    await run();
    // as on a machine that is not told the time before it has been up for a while
    for (now of [50 * 365 * 86_400_000, -86_400_000]) {
      await runOnce.run(newCall(), () => Promise.resolve(utf8("another")));
      assert.equal(await run(), "1");
    }
    passed = recordAge + 1;
    assert.equal(await run(), "2");
  });
});

Deno.test("run() keeps callers apart, and bounds what one of them can leave on disk", async () => {
  await withDatabase(async (db) => {
    let now = 0;
    const runOnce = openRunOnce({ db, clock: () => now, monotonic: () => now, limit: 3 });
    const [mine, theirs] = [newCall(), { ...newCall(), caller: suite.randomBytes(32) }];
    const result = () => Promise.resolve(utf8("ok"));
    for (let i = 0; i < 3; i++) await runOnce.run(newCall(), result);
    await assert.rejects(runOnce.run(mine, result), { code: "too_many_calls" });
    assert.equal(text(await runOnce.run({ ...theirs, id: mine.id }, result)), "ok");
    now = recordAge + 1;
    assert.equal(text(await runOnce.run(mine, result)), "ok");
    const [row] = await db.read((q) => q.all<{ n: number }>(sql`SELECT count(*) AS n FROM calls`));
    assert.equal(row?.n, 1);
    await assert.rejects(runOnce.run({ caller, id: new Uint8Array(15) }, result), {
      code: "bad_call_id",
    });
  });
});

Deno.test("judge() follows from what is on disk", () => {
  const result = utf8("42");
  assert.deepEqual(judge(null, 0), { verdict: "run" });
  assert.deepEqual(judge({ started: 0, result }, 1), { verdict: "done", result });
  assert.deepEqual(judge({ started: 0, result: null }, recordAge), {
    verdict: "outcome_unknown",
  });
  assert.deepEqual(judge({ started: 0, result }, recordAge + 1), { verdict: "run" });
});
