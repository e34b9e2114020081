/** Copies of a log in a folder: what is kept passes offline, and only what grew from it replaces it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { utf8 } from "../../core/base/bytes.ts";
import {
  audit,
  entryOf,
  type Files,
  filesOf,
  logOf,
  noteOf,
  rootOf,
  sourceOf,
} from "./_test_log.ts";
import { FolderCopy } from "./folder_copy.ts";
import { folderSource } from "./folder_source.ts";
import { latestEntries } from "./latest.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The files below a folder. */
async function read(folder: string, below = ""): Promise<Files> {
  const files: Files = new Map();
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = join(below, name);
    if (!isDirectory) files.set(path, await Deno.readFile(join(folder, path)));
    else for (const one of await read(folder, path)) files.set(...one);
  }
  return files;
}

async function save(files: Files, folder: string) {
  return await audit(files, { copy: await FolderCopy.open(folder) });
}

const sorted = (files: Files) => [...files].sort(([a], [b]) => a < b ? -1 : 1);

Deno.test("a FolderCopy holds the files of the log, and grows with it", async () => {
  await withFolder(async (folder) => {
    for (const size of [3, 200, 256, 300, 513, 513, 700]) {
      const { saved } = await save(logOf(size), folder);
      assert.equal(saved, folder);
      assert.deepEqual(sorted(await read(folder)), sorted(logOf(size)));
      assert.equal((await audit(new Map(), { source: folderSource(folder) })).size, size);
    }
  });
});

Deno.test("a FolderCopy stays what it is when the log did not grow from it, or was wrong", async () => {
  await withFolder(async (folder) => {
    const copied = logOf(300);
    await save(copied, folder);
    const entries = Array.from({ length: 700 }, (_, i) => entryOf(i));
    const rewritten = filesOf(entries.with(7, entryOf(7, "x")));
    await assert.rejects(save(rewritten, folder), { where: "tile/0/000" });
    const late = filesOf(entries.with(290, entryOf(290, "x")));
    await assert.rejects(save(late, folder), { where: "checkpoint" });
    assert.equal((await audit(new Map(), { source: folderSource(folder) })).size, 300);
    await assert.rejects(save(logOf(299), folder), /it has 299 entries, the copy in .* had 300/);
    const broken: Files = new Map([...logOf(700), ["tile/1/000.p/2", new Uint8Array(64)]]);
    await assert.rejects(save(broken, folder), { where: "tile/1/000.p/2" });
    const checkpoint = await Deno.readFile(join(folder, "checkpoint"));
    assert.deepEqual(checkpoint, copied.get("checkpoint"));
    assert.equal((await audit(new Map(), { source: folderSource(folder) })).size, 300);
  });
});

Deno.test("a FolderCopy is refused where its checkpoint is none", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "checkpoint"), "no note");
    await assert.rejects(FolderCopy.open(folder), { where: join(folder, "checkpoint") });
  });
});

Deno.test("a folder's files are read up to a size, and a folder is none of them", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(join(folder, "tile", "0", "000"), { recursive: true });
    await Deno.writeFile(join(folder, "checkpoint"), new Uint8Array(65 * 1_024));
    using source = folderSource(folder);
    await assert.rejects(source.read("checkpoint", 64 * 1_024), { where: "checkpoint" });
    assert.equal(await source.read("tile/0/001", 10), null);
    assert.equal(await source.read("checkpoint/1", 10), null);
    await assert.rejects(source.read("tile/0/000", 10), { code: "log_unreadable" });
  });
});

Deno.test("latestEntries() reads the last entries of a log, of one type if asked", async () => {
  const source = sourceOf(logOf(700));
  const numbers = async (last: number, type?: string) =>
    (await latestEntries(source, { last, type })).map(({ index }) => index);
  assert.deepEqual(await numbers(3), [697, 698, 699]);
  assert.equal((await numbers(300))[0], 400);
  assert.equal((await numbers(10_000)).length, 700);
  assert.deepEqual(await numbers(3, "peer.enrolled"), []);
  const odd = { size: 1, root: rootOf([utf8("no entry")]) };
  const files = filesOf([utf8("no entry")]).set("checkpoint", utf8(noteOf(odd)));
  await assert.rejects(latestEntries(sourceOf(files), { last: 1, type: undefined }), {
    where: "tile/entries/000.p/1",
  });
});
