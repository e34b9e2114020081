/** The log of a site: proofs, restarts, and what happens when its database is put back. */
import assert from "node:assert/strict";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { toHex } from "../../base/bytes.ts";
import { emptyRoot, leafHash, provesConsistency } from "../../trust/log/merkle.ts";
import { checkProof, parseProof } from "../../trust/log/proof_file.ts";
import { decodeBundle, parseTilePath } from "../../trust/log/tile.ts";
import { decodeLogEntry } from "../../wire/log_entry.ts";
import { checkpointOf, suite, type TestLog, withLog } from "./_test_log.ts";

/** Every entry, as it is served. */
async function served({ log }: Pick<TestLog, "log">): Promise<Uint8Array[]> {
  const entries: Uint8Array[] = [];
  for (let index = 0; entries.length < log.size; index++) {
    const width = Math.min(256, log.size - entries.length);
    const tile = await log.tile({ level: "entries", index, width });
    entries.push(...decodeBundle(tile!));
  }
  return entries;
}

Deno.test("a SiteLog has no checkpoint before its first entry, and one soon after", async () => {
  await withLog(async (test) => {
    assert.equal(test.log.checkpoint, null);
    assert.equal(await test.log.integrate(), false);
    await test.append(3);
    assert.equal(await test.log.integrate(), true);
    const { origin, size } = checkpointOf(test);
    assert.equal(size, 3);
    assert.match(origin, /^edgeward\/cloud\/[0-9a-f]{8}\/1$/);
    assert.equal(await Deno.readTextFile(join(test.folder, "log.head")), test.log.checkpoint);
    const entries = (await served(test)).map(decodeLogEntry);
    assert.deepEqual(entries.map(({ subject }) => subject), ["s-0", "s-1", "s-2"]);
  });
});

Deno.test("a SiteLog proves every entry, and that it only ever grew", async () => {
  await withLog(async (test) => {
    const sizes: { size: number; root: Uint8Array }[] = [];
    for (const count of [1, 255, 1, 300, 47]) {
      await test.append(count);
      await test.log.integrate();
      sizes.push(checkpointOf(test));
      await test.restart();
    }
    const { size, root } = checkpointOf(test);
    assert.equal(size, 604);
    for (const old of sizes) {
      const proof: Uint8Array[] = await test.log.consistency(old.size);
      const grew: boolean = provesConsistency(suite, {
        ...{ old: old.size, size, oldRoot: old.root, root, proof },
      });
      assert.ok(grew, `${old.size}`);
    }
    const entries = await served(test);
    for (const index of [0, 1, 255, 256, 300, 511, 512, 603]) {
      const proof = parseProof((await test.log.prove(index + 1))!);
      assert.equal(proof.index, index);
      assert.equal(checkProof(suite, proof, entries[index]!).checkpoint.size, size);
    }
    assert.equal(await test.log.prove(605), null);
    assert.equal(await test.log.prove(0), null);
    const tile = await test.log.tile(parseTilePath("tile/0/001")!);
    assert.deepEqual(tile!.slice(0, 32), leafHash(suite, entries[256]!));
    assert.equal(await test.log.tile(parseTilePath("tile/0/002")!), null);
    assert.equal((await test.log.tile(parseTilePath("tile/0/002.p/92")!))!.length, 92 * 32);
    assert.equal(await test.log.tile(parseTilePath("tile/1/000.p/3")!), null);
  });
});

Deno.test("a SiteLog whose database is put back signs nothing that contradicts what it signed", async () => {
  await withLog(async (test) => {
    await test.append(5);
    await test.log.integrate();
    let backup = "";
    await test.restart((database) => copyFileSync(database, backup = `${database}.backup`));
    await test.append(4);
    await test.log.integrate();
    const before = checkpointOf(test);
    await test.restart((database) => {
      copyFileSync(backup, database);
      for (const end of ["-wal", "-shm"]) rmSync(database + end, { force: true });
    });
    const [rollback] = test.rollbacks;
    assert.deepEqual(rollback, {
      origin: before.origin,
      size: 9,
      reason: "the database is shorter than what was signed",
    });
    const after = checkpointOf(test);
    assert.match(after.origin, /\/2$/);
    assert.equal(after.size, 1);
    const [first] = (await served(test)).map(decodeLogEntry);
    assert.deepEqual([first!.type, first!.subject], ["log.inconsistent", before.origin]);
    const told = JSON.parse(first!.detail);
    assert.deepEqual([told.size, told.root], [9, toHex(before.root)]);
    await test.append(2);
    await test.log.integrate();
    await test.restart();
    assert.deepEqual([checkpointOf(test).origin, test.log.size], [after.origin, 3]);
    assert.equal(test.rollbacks.length, 1);
  });
});

Deno.test("a SiteLog notices other entries in the place of those that it signed", async () => {
  await withLog(async (test) => {
    await test.append(5);
    await test.log.integrate();
    let backup = "";
    await test.restart((database) => copyFileSync(database, backup = `${database}.backup`));
    await test.append(1);
    await test.log.integrate();
    const head = join(test.folder, "log.head");
    copyFileSync(head, `${head}.signed`);
    await test.restart((database) => {
      copyFileSync(backup, database);
      for (const end of ["-wal", "-shm"]) rmSync(database + end, { force: true });
      rmSync(head); // somebody who does this as well is left to the witnesses
    });
    await test.append(2);
    await test.log.integrate();
    assert.equal(test.rollbacks.length, 0);
    await test.restart(() => copyFileSync(`${head}.signed`, head));
    assert.equal(test.rollbacks[0]?.reason, "the database has other entries than what was signed");
  });
});

Deno.test("a SiteLog with a database made anew goes on in a new generation", async () => {
  await withLog(async (test) => {
    await test.append(2);
    await test.log.integrate();
    await test.restart((database) => {
      for (const end of ["", "-wal", "-shm"]) rmSync(database + end, { force: true });
    });
    assert.equal(test.rollbacks.length, 1);
    assert.match(checkpointOf(test).origin, /\/2$/);
  });
});

Deno.test("a SiteLog refuses a log.head that it did not sign", async () => {
  await withLog(async (test) => {
    await test.append(1);
    await test.log.integrate();
    const head = join(test.folder, "log.head");
    const text = await Deno.readTextFile(head);
    await Deno.writeTextFile(head, text.replace("\n1\n", "\n2\n"));
    await assert.rejects(test.restart(), { code: "log_damaged" });
    await Deno.writeTextFile(head, text);
    await test.restart();
  });
});

Deno.test("a SiteLog whose entries were removed says so", async () => {
  await withLog(async (test) => {
    await test.append(4);
    await test.log.integrate();
    await test.db.write((tx) => tx.run(sql`DELETE FROM audit WHERE id = 2`));
    const tile = test.log.tile({ level: "entries", index: 0, width: 4 });
    await assert.rejects(tile, { code: "log_damaged" });
    assert.notDeepEqual(checkpointOf(test).root, emptyRoot(suite));
  });
});

Deno.test("a SiteLog that was interrupted as a generation began goes on with it, and tells", async () => {
  await withLog(async (test) => {
    await test.append(5);
    await test.log.integrate();
    const head = join(test.folder, "log.head");
    const signed = await Deno.readTextFile(head);
    await test.log.begin(signed, "a test");
    assert.equal(test.rollbacks.length, 1);
    // as if the power had gone after the first of its transactions
    await test.db.write((tx) => tx.run(sql`UPDATE log_state SET size = 0, checkpoint = ''`));
    await test.db.write((tx) => tx.run(sql`DELETE FROM log_tiles`));
    await Deno.writeTextFile(head, signed);
    for (const time of [1, 2]) {
      await test.restart();
      assert.equal(test.rollbacks.length, 1 + time);
      assert.deepEqual(test.rollbacks.at(-1), test.rollbacks[0]);
      assert.equal(await Deno.readTextFile(head), signed, "nothing else was signed");
    }
    await test.log.integrate();
    assert.match(checkpointOf(test).origin, /\/2$/);
    await test.restart();
    assert.equal(test.rollbacks.length, 3);
  });
});

Deno.test("a SiteLog goes on after a write that failed with the tree that is on disk", async () => {
  await withLog(async (test) => {
    await test.append(5);
    await test.log.integrate();
    const blocked = join(test.folder, "log.head.new");
    for (const trouble of ["log_state", "log.head"]) {
      await test.append(3);
      const before = checkpointOf(test);
      if (trouble === "log.head") await Deno.mkdir(join(blocked, "x"), { recursive: true });
      else {
        await test.db.write((tx) =>
          tx.run(sql`CREATE TRIGGER refuse BEFORE INSERT ON log_state
            BEGIN SELECT raise(ABORT, 'no'); END`)
        );
      }
      for (let i = 0; i < 2; i++) await assert.rejects(test.log.integrate());
      assert.deepEqual(checkpointOf(test), before, "nobody sees what is not on disk");
      await test.db.write((tx) => tx.run(sql`DROP TRIGGER IF EXISTS refuse`));
      await Deno.remove(blocked, { recursive: true }).catch(() => {});
      assert.ok(await test.log.integrate());
      const { size, root } = checkpointOf(test);
      assert.equal(size, before.size + 3);
      const proof = await test.log.consistency(before.size);
      const grew: boolean = provesConsistency(suite, {
        ...{ old: before.size, size, oldRoot: before.root, root, proof },
      });
      assert.ok(grew, trouble);
    }
    await test.restart();
    assert.deepEqual(test.rollbacks, []);
  });
});

Deno.test("a SiteLog notices tiles that were changed before it builds on them", async () => {
  await withLog(async (test) => {
    await test.append(300);
    await test.log.integrate();
    await test.restart(() => rmSync(join(test.folder, "log.head")));
    assert.equal(test.rollbacks.length, 0);
    await test.db.write((tx) =>
      tx.run(sql`UPDATE log_tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB)
        WHERE level = 1`)
    );
    await test.restart(() => rmSync(join(test.folder, "log.head")));
    assert.equal(test.rollbacks[0]?.reason, "the database has other entries than what was signed");
  });
});
