/** The log as a service: what it serves, how it comes to be witnessed, and what it does about trouble. */
import assert from "node:assert/strict";
import { copyFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { parseCheckpoint } from "../../trust/log/checkpoint.ts";
import { verifyCosignature } from "../../trust/log/cosignature.ts";
import { formatNoteKey, formatSignature, type NoteKey, parseNote } from "../../trust/log/note.ts";
import { checkProof, parseProof } from "../../trust/log/proof_file.ts";
import { decodeBundle } from "../../trust/log/tile.ts";
import { utf8 } from "../../base/bytes.ts";
import { decodeLogEntry } from "../../wire/log_entry.ts";
import { auditOf } from "../audit.ts";
import { defaultQuorum, logKey, witnessKey } from "./mod.ts";
import { suite } from "./_test_log.ts";
import { holderOf, openTestSite, PaperLog, type TestSite, withFolder } from "./_test_witness.ts";

const logVkey = formatNoteKey(logKey(holderOf("fog-1"), 1));
const keyOf = (site: string): NoteKey => witnessKey(holderOf(site)).key;
const at = (url: string, site: string) => ({ url, key: formatNoteKey(keyOf(site)) });

async function append({ db }: TestSite, count: number, statement?: Uint8Array): Promise<void> {
  const entry = { type: "test.done", actor: "site", subject: "s", ...(statement && { statement }) };
  const entries = Array.from({ length: count }, () => entry);
  await db.write((tx) => auditOf("core", Date.now).appendAll(tx, entries));
}

async function eventually<T>(what: string, ask: () => T | undefined | false): Promise<T> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const answer = ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`It never came to pass: ${what}`);
}

const sizeOf = ({ tlog }: TestSite) => tlog.status()?.size ?? 0;
const hasSize = (site: TestSite, size: number) =>
  eventually(`${size} entries`, () => sizeOf(site) === size);
const isWitnessed = (site: TestSite, size: number) =>
  eventually(`${size} entries are witnessed`, () => site.tlog.status()?.witnessed === size);

/** Serves something until it goes out of scope. */
function serve(answer: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A witness of the log of fog-1, and where it answers. */
async function openWitness(site: string, folder: string, witness_of = [logVkey]) {
  await using stack = new AsyncDisposableStack();
  const witness = stack.use(await openTestSite(site, { folder, config: { witness_of } }));
  const { url } = stack.use(serve((request) =>
    witness.request(new URL(request.url).pathname, {
      method: request.method,
      body: request.body,
    })
  ));
  const kept = stack.move();
  return { ...witness, url, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function withFolders(use: (...folders: [string, string, string]) => Promise<void>) {
  await withFolder((a) => withFolder((b) => withFolder((c) => use(a, b, c))));
}

/** Keeps all that is in a folder; what it returns puts it back. */
function backup(folder: string, saved: string): () => void {
  for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(saved, name));
  return () => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    for (const name of readdirSync(saved)) copyFileSync(join(saved, name), join(folder, name));
  };
}

Deno.test("a log is served as files that caches can keep", async () => {
  await withFolder(async (folder) => {
    await using site = await openTestSite("fog-1", { folder });
    assert.equal((await site.request("/checkpoint")).status, 404);
    assert.equal((await site.request("/witnessed")).status, 404);
    await append(site, 300);
    await hasSize(site, 300);
    const checkpoint = await site.request("/checkpoint");
    assert.equal(checkpoint.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(checkpoint.headers.get("cache-control"), "no-cache");
    assert.equal(parseCheckpoint(parseNote(await checkpoint.text()).text).size, 300);
    const keep = "public, max-age=31536000, immutable";
    for (
      const [path, hashes] of [
        ["/tile/0/000", 256],
        ["/tile/0/001.p/44", 44],
        ["/tile/0/001.p/43", 43],
        ["/tile/1/000.p/1", 1],
      ] as const
    ) {
      const tile = await site.request(path);
      assert.equal(tile.headers.get("content-type"), "application/octet-stream");
      assert.equal(tile.headers.get("cache-control"), keep);
      assert.equal((await tile.arrayBuffer()).byteLength, hashes * 32);
    }
    const missing = ["/tile/0/001", "/tile/0/001.p/45", "/tile/0/1", "/tile/64/000", "/tile/x"];
    for (const path of missing) assert.equal((await site.request(path)).status, 404, path);
    assert.equal((await site.request("/tile/entries/000")).status, 401);
    const headers = { authorization: "Bearer viewer" };
    const entries = await site.request("/tile/entries/001.p/44", { headers });
    assert.equal(entries.headers.get("cache-control"), keep.replace("public", "private"));
    const last = decodeBundle(new Uint8Array(await entries.arrayBuffer())).at(-1)!;
    assert.equal(decodeLogEntry(last).type, "test.done");
    assert.match(await site.metrics(), /^edgeward_log_entries\{role="core"\} 300$/m);
  });
});

Deno.test("a log proves the entry of a statement, once a checkpoint has it", async () => {
  await withFolder(async (folder) => {
    await using site = await openTestSite("fog-1", { folder });
    const hash = suite.sha256(utf8("a statement"));
    await append(site, 3);
    await append(site, 1, hash);
    await append(site, 3);
    await hasSize(site, 7);
    const proof = parseProof((await site.tlog.prove(hash))!);
    assert.equal(checkProof(suite, proof, proof.extra!).checkpoint.size, 7);
    assert.deepEqual(decodeLogEntry(proof.extra!).statement, hash);
    assert.equal(proof.index, 3);
    assert.equal(await site.tlog.prove(suite.sha256(utf8("another"))), null);
  });
});

Deno.test("a log is witnessed by as many as are asked for, and stays so after a restart", async () => {
  await withFolders(async (folder, a, b) => {
    const hash = suite.sha256(utf8("a statement"));
    const config = { witnesses: [{ url: "", key: "" }, { url: "", key: "" }], witness_of: [] };
    {
      await using first = await openWitness("gw-1", a);
      await using second = await openWitness("gw-2", b);
      config.witnesses = [at(`${first.url}/`, "gw-1"), at(second.url, "gw-2")];
      await using site = await openTestSite("fog-1", { folder, config });
      await append(site, 1, hash);
      await isWitnessed(site, 1);
      await append(site, 4);
      await isWitnessed(site, 5);
      const note = parseNote(await (await site.request("/witnessed")).text());
      for (const name of ["gw-1", "gw-2"]) verifyCosignature(suite, note, keyOf(name));
      assert.deepEqual(parseNote(site.tlog.checkpoint()!), note);
      assert.equal(site.health.state, "ok");
      assert.deepEqual([...first.events, ...second.events, ...site.events], []);
      assert.match(await site.metrics(), /^edgeward_log_witnessed_entries\{role="core"\} 5$/m);
    }
    await using site = await openTestSite("fog-1", { folder, config });
    await eventually("it is open", () => site.tlog.status() !== null);
    const { witnessed, witnesses, quorum } = site.tlog.status()!;
    assert.deepEqual([witnessed, quorum, witnesses.map(({ size }) => size)], [5, 2, [5, 5]]);
    await append(site, 2);
    await hasSize(site, 7);
    const { checkpoint } = parseProof((await site.tlog.prove(hash))!);
    assert.equal(checkpoint, site.tlog.witnessed(), "who is convinced by witnesses gets them");
    await eventually("it says that nobody cosigns", () => site.health.state === "degraded");
    assert.match(site.health.detail, /^edgeward\/gw-1\/witness does not cosign: /);
  });
});

Deno.test("a log does not wait for the witness that is away", async () => {
  await withFolders(async (folder, a, b) => {
    await using first = await openWitness("gw-1", a);
    await using second = await openWitness("gw-2", b);
    await using away = serve(() => new Response("no", { status: 503 }));
    const config = {
      witnesses: [at(away.url, "gw-3"), at(first.url, "gw-1"), at(second.url, "gw-2")],
    };
    await using site = await openTestSite("fog-1", { folder, config });
    for (const size of [1, 2, 3]) {
      await append(site, 1);
      await isWitnessed(site, size);
    }
    assert.match(site.tlog.status()!.witnesses[0]!.error!, /status 503/);
    assert.equal(site.health.state, "ok", "two of three are enough");
  });
});

Deno.test("a log that has lost its cosignatures gets them again", async () => {
  await withFolders(async (folder, a) => {
    await using witness = await openWitness("gw-1", a);
    const config = { witnesses: [at(witness.url, "gw-1")] };
    {
      await using site = await openTestSite("fog-1", { folder, config });
      await append(site, 5);
      await isWitnessed(site, 5);
      await site.db.write((tx) => tx.run(sql`DELETE FROM log_cosignatures`));
      await site.db.write((tx) => tx.run(sql`DELETE FROM log_quorum`));
    }
    await using site = await openTestSite("fog-1", { folder, config });
    await isWitnessed(site, 5);
    await append(site, 1);
    await isWitnessed(site, 6);
    assert.deepEqual([...witness.events, ...site.events], []);
  });
});

Deno.test("a site put back as a whole learns from its witness what it has signed", async () => {
  await withFolders(async (folder, a, saved) => {
    await using witness = await openWitness("gw-1", a);
    const config = { witnesses: [at(witness.url, "gw-1")] };
    const start = () => openTestSite("fog-1", { folder, config });
    const grow = async (size: number) => {
      await using site = await start();
      await append(site, size - await rows(site));
      await isWitnessed(site, size);
    };
    await grow(4);
    const putBack = backup(folder, saved);
    await grow(9);
    putBack();
    {
      await using site = await start();
      await append(site, 20);
      const alarm = await eventually("an alarm here", () => site.events[0]);
      assert.deepEqual([alarm.type, alarm.severity], ["log.inconsistent", "alarm"]);
      assert.deepEqual(alarm.detail, {
        size: 9,
        reason: "the database is shorter than what was signed",
      });
      await eventually("a new generation", () => /\/2$/.test(site.tlog.status()!.origin));
      await eventually("it is witnessed", () => site.tlog.status()!.witnessed > 0);
      const told = await eventually("an alarm there", () => witness.events[0]);
      assert.equal(told.detail["reason"], "a new generation began after 1");
    }
    putBack();
    await using site = await start();
    await eventually("the third generation", () => /\/3$/.test(site.tlog.status()?.origin ?? ""));
    assert.deepEqual(site.events.map(({ detail }) => detail["reason"]), [
      "the database is of an earlier generation",
    ]);
    await eventually("it is witnessed", () => site.tlog.status()!.witnessed > 0);
    assert.equal(witness.events.length, 2, "nothing was signed that contradicts what it had seen");
  });
});

Deno.test("a site that could not ask its witness before begins anew when it can", async () => {
  await withFolders(async (folder, a, saved) => {
    let isAway = false;
    await using witness = await openTestSite("gw-1", {
      ...{ folder: a, config: { witness_of: [logVkey] } },
    });
    await using door = serve(({ url, method, body }) =>
      isAway
        ? new Response("", { status: 503 })
        : witness.request(new URL(url).pathname, { method, body })
    );
    const config = { witnesses: [at(door.url, "gw-1")] };
    const start = () => openTestSite("fog-1", { folder, config });
    {
      await using site = await start();
      await append(site, 4);
      await isWitnessed(site, 4);
    }
    const putBack = backup(folder, saved);
    {
      await using site = await start();
      await append(site, 3);
      await isWitnessed(site, 7);
    }
    putBack();
    isAway = true;
    await using site = await start();
    await append(site, 20);
    await hasSize(site, 24);
    assert.equal(site.events.length, 0, "nothing here contradicts it");
    isAway = false;
    const alarm = await eventually("an alarm here", () => site.events[0]);
    assert.equal(alarm.detail["reason"], "the database has other entries than what was signed");
    await eventually("it is witnessed", () => site.tlog.status()!.witnessed > 0);
  });
});

Deno.test("a witness that is no witness changes nothing but what is said of it", async () => {
  await withFolder(async (folder) => {
    const { name, id } = keyOf("gw-1");
    const answers: [() => Response, RegExp][] = [
      [() => new Response("99\n", claim(409)), /cosigned 99 entries, and this checkpoint has 3/],
      [() => new Response("", { status: 422 }), /it does not find that the log only grew/],
      [() => new Response("— x AAAA\n"), /Cannot read the note/],
      [() => new Response(formatSignature({ name, id, bytes: new Uint8Array(72) })), /is wrong/],
      [
        () => new Response(formatSignature({ name: "x", id, bytes: new Uint8Array(72) })),
        /not cosi/,
      ],
      [() => new Response("x".repeat(70_000)), /its answer is too long/],
      [() => new Response("3", claim(409)), /status 409/],
      [() => Response.redirect("http://127.0.0.1:9/"), /./],
    ];
    for (const [answer, why] of answers) {
      await using witness = serve((request) =>
        request.method === "POST" ? answer() : new Response("", { status: 404 })
      );
      const config = { witnesses: [at(witness.url, "gw-1")] };
      await using site = await openTestSite("fog-1", { folder, config });
      await append(site, 3 - await rows(site));
      const error = await eventually("a failure", () => {
        return site.tlog.status()?.witnesses.at(0)?.error ?? undefined;
      });
      assert.match(error, why);
      assert.match(site.tlog.status()!.origin, /\/1$/);
      assert.deepEqual(site.events, []);
    }
  });
});

Deno.test("a site believes no copy of its checkpoints that it has not signed", async () => {
  const paper = new PaperLog("fog-1", { entries: 99 });
  const other = new PaperLog("fog-2", { entries: 99 });
  const forged = paper.note(paper.checkpoint(99)).replace("\n99\n", "\n98\n");
  for (const copy of [forged, other.note(other.checkpoint(99)), "nothing"]) {
    await withFolder(async (folder) => {
      await using witness = serve(({ method }) => {
        return method === "POST" ? new Response("99\n", claim(409)) : new Response(copy);
      });
      const config = { witnesses: [at(witness.url, "gw-1")] };
      await using site = await openTestSite("fog-1", { folder, config });
      await append(site, 3);
      await hasSize(site, 3);
      const error = await eventually("a failure", () => {
        return site.tlog.status()?.witnesses.at(0)?.error ?? undefined;
      });
      assert.match(error, /^Cannot use what it answers: Cannot (accept|read) the note: /);
      assert.match(site.tlog.status()!.origin, /\/1$/);
      assert.deepEqual(site.events, []);
    });
  }
});

function claim(status: number): ResponseInit {
  return { status, headers: { "content-type": "text/x.tlog.size" } };
}

async function rows({ db }: TestSite): Promise<number> {
  const [row] = await db.read((q) => q.all<{ n: number }>(sql`SELECT count(*) AS n FROM audit`));
  return row!.n;
}

Deno.test("a log that cannot open says why and opens when it can", async () => {
  await withFolder(async (folder) => {
    const head = join(folder, "log.head");
    await Deno.writeTextFile(head, "what is this?\n");
    await using site = await openTestSite("fog-1", { folder });
    await append(site, 1);
    await eventually("it says why", () => site.health.state === "degraded");
    assert.match(site.health.detail, /Cannot use log.head/);
    assert.equal(site.tlog.checkpoint(), null);
    rmSync(head);
    await hasSize(site, 1);
    await eventually("it is well", () => site.health.state === "ok");
  });
});

Deno.test("a log signs what was recorded last before it ends", async () => {
  await withFolder(async (folder) => {
    {
      await using site = await openTestSite("fog-1", { folder });
      await append(site, 1);
      await hasSize(site, 1);
      await append(site, 5);
    }
    const head = parseNote(await Deno.readTextFile(join(folder, "log.head")));
    assert.equal(parseCheckpoint(head.text).size, 6);
  });
});

Deno.test("of the witnesses all but a third are enough", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7].map(defaultQuorum), [0, 1, 2, 2, 3, 4, 4, 5]);
});
