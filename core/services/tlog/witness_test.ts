/** A site as a witness of other logs, rule by rule as C2SP tlog-witness has them, through its routes. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { toHex, utf8 } from "../../base/bytes.ts";
import { verifyCosignature } from "../../trust/log/cosignature.ts";
import { emptyRoot } from "../../trust/log/merkle.ts";
import { parseNote, verifyText } from "../../trust/log/note.ts";
import { witnessKey } from "./mod.ts";
import { suite } from "./_test_log.ts";
import { openTestSite, PaperLog, type TestSite, withFolder } from "./_test_witness.ts";

const log = new PaperLog("fog-1");
const time = 1_800_000_000;

async function withWitness(use: (witness: TestSite) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const config = { witness_of: [log.vkey] };
    await using witness = await openTestSite("cloud", {
      folder,
      config,
      clock: () => time * 1_000,
    });
    await use(witness);
  });
}

async function add(witness: TestSite, body: string) {
  const response = await witness.request("/add-checkpoint", { method: "POST", body });
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    text: await response.text(),
  };
}

const statusOf = async (witness: TestSite, body: string) => (await add(witness, body)).status;
const told = ({ events }: TestSite) => [...events];
const reasons = (witness: TestSite) => told(witness).map(({ detail }) => detail["reason"]);

Deno.test("a witness cosigns what it sees first, and then what grew out of it", async () => {
  await withWitness(async (witness) => {
    for (const [old, size] of [[0, 5], [5, 5], [5, 12], [12, 20]] as const) {
      const { status, type, text } = await add(witness, log.submission(old, size));
      assert.deepEqual([status, type], [200, "text/plain; charset=utf-8"], text);
      const note = parseNote(log.note(log.checkpoint(size)) + text);
      assert.equal(verifyCosignature(suite, note, witnessKey(witness.holder).key), time);
    }
    assert.deepEqual(told(witness), []);
  });
});

Deno.test("a witness asks for a proof from what it cosigned last", async () => {
  await withWitness(async (witness) => {
    const first = await add(witness, log.submission(3, 5));
    assert.deepEqual(first, { status: 409, type: "text/x.tlog.size", text: "0\n" });
    assert.equal(await statusOf(witness, log.submission(0, 5)), 200);
    for (const old of [0, 4]) {
      const answer = await add(witness, log.submission(old, 12));
      assert.deepEqual(answer, { status: 409, type: "text/x.tlog.size", text: "5\n" });
    }
    assert.equal(await statusOf(witness, log.submission(0, 3)), 409, "it went back");
    assert.deepEqual(told(witness), [], "a stranger could have sent each of these");
  });
});

Deno.test("a witness cosigns no log that it does not know, and nothing unsigned", async () => {
  await withWitness(async (witness) => {
    const stranger = new PaperLog("fog-2");
    assert.equal(await statusOf(witness, stranger.submission(0, 5)), 404);
    const text = parseNote(log.note(log.checkpoint(5))).text;
    const signed = (name: string) =>
      stranger.note(stranger.checkpoint(5)).split("\n\n")[1]!
        .replace(stranger.key.name, name);
    const byStranger = log.submission(0, 5, { note: `${text}\n${signed(stranger.key.name)}` });
    assert.equal(await statusOf(witness, byStranger), 403, "signed by another key only");
    const forged = log.note(log.checkpoint(5)).replace(/.{8}\n$/, "AAAAAA==\n");
    assert.equal(await statusOf(witness, log.submission(0, 5, { note: forged })), 403, "forged");
    const besides = log.note(log.checkpoint(5)) + signed(stranger.key.name);
    assert.equal(await statusOf(witness, log.submission(0, 5, { note: besides })), 200);
    const other = new PaperLog("fog-1", { fork: 0 });
    const moved = log.note(log.checkpoint(6)).replace("\n6\n", "\n7\n");
    assert.equal(await statusOf(witness, other.submission(5, 6, { note: moved })), 403);
    assert.deepEqual(told(witness), []);
  });
});

Deno.test("a witness refuses what is no submission", async () => {
  await withWitness(async (witness) => {
    const whole = log.submission(0, 5);
    const hash = new Uint8Array(32);
    const wrong = [
      "",
      "old 0\n",
      whole.replace("old 0", "old 00"),
      whole.replace("old 0", "old -1"),
      whole.replace("old 0", "old 99999999999999999"),
      whole.replace("old 0", "new 0"),
      whole.replace("\n\n", "\nAAAA\n\n"),
      whole.replace("\n5\n", "\n05\n"),
      whole.slice(0, -1),
      log.submission(0, 5, { proof: Array.from({ length: 64 }, () => hash) }),
      log.submission(6, 5, { proof: [] }),
    ];
    for (const body of wrong) assert.equal(await statusOf(witness, body), 400, body);
    assert.equal(await statusOf(witness, "old 0\n".padEnd(65_537, "A")), 413);
    const bytes = new Uint8Array([...utf8(whole), 0xff]);
    const garbage = await witness.request("/add-checkpoint", { method: "POST", body: bytes });
    assert.equal(garbage.status, 400);
    assert.equal((await witness.request("/add-checkpoint")).status, 404, "it is a POST");
  });
});

Deno.test("a witness refuses proofs that do not hold, and tells of them", async () => {
  await withWitness(async (witness) => {
    const hash = new Uint8Array(32);
    assert.equal(await statusOf(witness, log.submission(0, 5, { proof: [hash] })), 422);
    const notEmpty = log.note({ ...log.checkpoint(0), root: hash });
    assert.equal(await statusOf(witness, log.submission(0, 0, { note: notEmpty })), 422);
    assert.deepEqual(log.checkpoint(0).root, emptyRoot(suite));
    assert.equal(await statusOf(witness, log.submission(0, 0)), 200);
    assert.equal(await statusOf(witness, log.submission(0, 5)), 200);
    assert.deepEqual(told(witness), [], "nothing was cosigned that it could contradict");

    const fork = new PaperLog("fog-1", { fork: 3 });
    assert.equal(await statusOf(witness, fork.submission(5, 12)), 422);
    assert.equal(await statusOf(witness, fork.submission(5, 5)), 422, "the same size");
    assert.equal(await statusOf(witness, fork.submission(3, 5)), 409, "the same size");
    assert.equal(await statusOf(witness, log.submission(5, 12, { proof: [] })), 422);
    assert.equal(await statusOf(witness, log.submission(5, 5, { proof: [hash] })), 422);
    const grew = "the proof that the log only grew does not hold";
    const same = "two checkpoints of the same size have different roots";
    assert.deepEqual(reasons(witness), [grew, same, grew, grew]);
    const { type, severity, subject, detail } = told(witness)[0]!;
    assert.deepEqual([type, severity, subject], ["log.inconsistent", "alarm", log.key.name]);
    assert.deepEqual(detail["cosigned"], { size: 5, root: toHex(log.checkpoint(5).root) });
    assert.equal(await statusOf(witness, log.submission(5, 12)), 200, "what it saw is unchanged");
  });
});

Deno.test("a witness records a contradiction once, and not without end", async () => {
  await withWitness(async (witness) => {
    await add(witness, log.submission(0, 5));
    const fork = new PaperLog("fog-1", { fork: 3 });
    for (let i = 0; i < 3; i++) await add(witness, fork.submission(5, 12));
    assert.equal(witness.events.length, 1);
    for (let i = 0; i < 30; i++) {
      const entries = new PaperLog("fog-1", { entries: 6 + i, fork: 3 });
      assert.equal(await statusOf(witness, entries.submission(5, 6 + i)), 422);
    }
    assert.equal(witness.events.length, 10);
    const rows = await witness.db.read((q) =>
      q.all(sql`SELECT * FROM audit WHERE type = 'log.inconsistent'`)
    );
    assert.equal(rows.length, 10);
  });
});

Deno.test("a witness tells when a log begins anew, and lets none go on that has ended", async () => {
  await withWitness(async (witness) => {
    await add(witness, log.submission(0, 5));
    const second = new PaperLog("fog-1", { generation: 2, fork: 0 });
    assert.equal(await statusOf(witness, second.submission(0, 1)), 200);
    assert.deepEqual(reasons(witness), ["a new generation began after 1"]);
    assert.equal(await statusOf(witness, second.submission(1, 4)), 200);
    assert.equal(witness.events.length, 1, "that it grows is nothing to tell");
    assert.equal(await statusOf(witness, log.submission(0, 5)), 404);
    assert.equal(witness.events.length, 1, "anybody can hand in what was said before");
    assert.equal(await statusOf(witness, log.submission(5, 12)), 404);
    assert.equal(reasons(witness)[1], "a generation that had ended goes on");
  });
});

Deno.test("a witness forgets generations that ended long ago, and no others", async () => {
  await withWitness(async (witness) => {
    for (let generation = 1; generation <= 60; generation++) {
      const one = new PaperLog("fog-1", { generation, entries: 1 });
      assert.equal(await statusOf(witness, one.submission(0, 1)), 200);
    }
    const [row] = await witness.db.read((q) =>
      q.all<{ n: number; first: number }>(
        sql`SELECT count(*) AS n, min(generation) AS first FROM log_witnessed`,
      )
    );
    assert.deepEqual(row, { n: 32, first: 29 });
  });
});

Deno.test("a witness serves what it cosigned last, with both signatures", async () => {
  await withWitness(async (witness) => {
    const path = `/${toHex(suite.sha256(utf8(log.key.name)))}/checkpoint`;
    assert.equal((await witness.request(path)).status, 404);
    await add(witness, log.submission(0, 5));
    const { text } = await add(witness, log.submission(5, 12));
    const response = await witness.request(path);
    assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
    const note = await response.text();
    assert.equal(note, log.note(log.checkpoint(12)) + text);
    verifyText(suite, parseNote(note), log.key);
  });
});

Deno.test("of two submissions at once a witness cosigns one", async () => {
  await withWitness(async (witness) => {
    await add(witness, log.submission(0, 5));
    const sizes = [12, 20, 7, 18, 9];
    const answers = await Promise.all(sizes.map((size) => add(witness, log.submission(5, size))));
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 409, 409, 409, 409]);
    const cosigned = sizes[answers.findIndex(({ status }) => status === 200)];
    for (const { status, text } of answers) {
      if (status === 409) assert.equal(text, `${cosigned}\n`);
    }
  });
});

Deno.test("a witness answers nothing that it has not written down", async () => {
  await withWitness(async (witness) => {
    await witness.db.write((tx) =>
      tx.run(sql`CREATE TRIGGER refuse BEFORE INSERT ON log_witnessed
        BEGIN SELECT raise(ABORT, 'no'); END`)
    );
    const { status, text } = await add(witness, log.submission(0, 5));
    assert.equal(status, 500, text);
    assert.doesNotMatch(text, /witness/);
  });
});
