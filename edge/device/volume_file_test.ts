/** Volumes on the disk: what is no volume, and what happens to one while it is read. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { equalBytes } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { encodeVolumeHead, payloadKey, VolumeError } from "../../core/wire/volume.ts";
import { chunkLength } from "../../core/wire/volume_chunks.ts";
import { collected, inputOf, suite } from "./_fakes.ts";
import { PendingFile } from "./pending_file.ts";
import { VolumeFile, writeVolume } from "./volume_file.ts";

const fileKey = suite.randomBytes(32);
const salt = suite.randomBytes(32);
const key = payloadKey(suite, { fileKey, salt });
const head = encodeVolumeHead(suite, {
  fileKey,
  header: {
    ...{ scheme: "xor", k: 2, volume: suite.randomBytes(16), salt, wrapped: new Uint8Array(60) },
    pieces: ["gw-1", "gw-2"].map((id, i) => {
      return { gateway: parseId(id), commitment: suite.sha256(Uint8Array.of(i)) };
    }),
  },
});

async function inFolder(test: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test((name) => join(folder, name));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function write(path: string, payload: Uint8Array): Promise<void> {
  await using file = await PendingFile.create(path, { mode: 0o600 });
  await writeVolume(file, { suite, head, key, input: inputOf(payload, 50_000) });
  await file.commit();
}

async function read(path: string): Promise<Uint8Array> {
  using file = await VolumeFile.open(path);
  return await collected(file.chunks(suite, key));
}

Deno.test("files around the limits of chunks and of batches are read as they were written", () =>
  inFolder(async (path) => {
    for (const chunks of [0, 1, 15, 16, 17, 32, 33]) {
      for (const more of [-1, 0, 1]) {
        const length = chunks * chunkLength + more;
        if (length < 0) continue;
        const payload = suite.randomBytes(length);
        await write(path("volume"), payload);
        assert.ok(equalBytes(await read(path("volume")), payload), `${length}`);
        using file = await VolumeFile.open(path("volume"));
        assert.equal(file.size, length);
        // a second pass gives the same
        for (let i = 0; i < 2; i++) {
          assert.equal((await collected(file.chunks(suite, key))).length, length);
        }
      }
    }
  }));

Deno.test("a file that is cut anywhere, or goes on behind its end, is not read to its end", () =>
  inFolder(async (path) => {
    await write(path("volume"), suite.randomBytes(chunkLength + 100));
    const bytes = await Deno.readFile(path("volume"));
    const sealed = chunkLength + 16;
    const cuts = [0, 10, 21, 22, head.length - 1, head.length, head.length + 15];
    for (const at of [-1, 0, 1, 16, 17, 115]) cuts.push(head.length + sealed + at);
    for (const cut of cuts) {
      await Deno.writeFile(path("cut"), bytes.subarray(0, cut));
      await assert.rejects(read(path("cut")), VolumeError, `${cut}`);
    }
    for (const more of [1, 16, 17, sealed, 20 * sealed]) {
      await Deno.writeFile(path("more"), bytes);
      await Deno.writeFile(path("more"), suite.randomBytes(more), { append: true });
      await assert.rejects(read(path("more")), VolumeError, `${more}`);
    }
  }));

Deno.test("a file that shrinks or grows while it is read gives no payload that was not sealed", () =>
  inFolder(async (path) => {
    const payload = suite.randomBytes(40 * chunkLength);
    await write(path("volume"), payload);
    using file = await VolumeFile.open(path("volume"));
    await Deno.writeFile(path("volume"), suite.randomBytes(100), { append: true });
    assert.ok(equalBytes(await collected(file.chunks(suite, key)), payload));
    await Deno.truncate(path("volume"), 20 * chunkLength);
    await assert.rejects(collected(file.chunks(suite, key)), { code: "chunk_damaged" });
  }));

Deno.test("what is no file, or no volume, is told apart", () =>
  inFolder(async (path) => {
    await Deno.writeTextFile(path("text"), "edgeward/volume/2\nand so on, and on, and on");
    await assert.rejects(VolumeFile.open(path("text")), { code: "not_a_volume" });
    await assert.rejects(VolumeFile.open(path("none")), { code: "usage", message: /no such file/ });
    await new Deno.Command("mkfifo", { args: [path("pipe")] }).output();
    await assert.rejects(VolumeFile.open(path("pipe")), { code: "usage", hint: /pipe/ });
    await assert.rejects(VolumeFile.open(path(".")), { code: "usage" });
  }));

Deno.test("a pending file that is not committed was never there", () =>
  inFolder(async (path) => {
    await Deno.writeTextFile(path("file"), "before");
    await Deno.writeTextFile(path("file.new"), "left over from a crash");
    {
      await using file = await PendingFile.create(path("file"), { mode: 0o600 });
      await file.write(new TextEncoder().encode("after"));
      assert.equal(await Deno.readTextFile(path("file")), "before");
    }
    assert.equal(await Deno.readTextFile(path("file")), "before");
    await assert.rejects(Deno.stat(path("file.new")), Deno.errors.NotFound);
    {
      await using file = await PendingFile.create(path("file"), { mode: 0o600 });
      await file.write(new TextEncoder().encode("after"));
      await file.commit();
    }
    assert.equal(await Deno.readTextFile(path("file")), "after");
  }));
