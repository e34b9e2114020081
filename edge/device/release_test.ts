/** What is released of a volume, and that nothing is when a part of it is damaged. */
import assert from "node:assert/strict";
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { FakeGroup, inputOf, suite } from "./_fakes.ts";
import { releaseToFile, releaseToOutput, runWithKey } from "./release.ts";
import { seal } from "./seal.ts";
import { unlock } from "./unlock.ts";

const payload = Uint8Array.from({ length: 300_000 }, (_, i) => 3 * i + (i >> 9));

/** A volume, and a copy whose last chunk is not what it was. */
async function volumes() {
  const group = await FakeGroup.start({ k: 1, n: 1 });
  const home = group.device();
  const [sound, damaged] = [group.path("sound"), group.path("damaged")];
  await seal(home, { suite, input: inputOf(payload), output: sound, scheme: "voprf" });
  const bytes = await Deno.readFile(sound);
  bytes[bytes.length - 5]! ^= 1;
  await Deno.writeFile(damaged, bytes);
  return {
    group,
    sound: () => unlock(home, { suite, file: sound }),
    damaged: () => unlock(home, { suite, file: damaged }),
    [Symbol.asyncDispose]: () => group[Symbol.asyncDispose](),
  };
}

function sink() {
  const parts: number[] = [];
  const write = (bytes: Uint8Array): Promise<number> => {
    const taken = bytes.subarray(0, 40_000);
    parts.push(...taken);
    return Promise.resolve(taken.length);
  };
  return { parts, write };
}

Deno.test("a pipe gets all of the payload, or not a byte", async () => {
  await using files = await volumes();
  const output = sink();
  {
    await using volume = await files.sound();
    await releaseToOutput(volume, { output });
  }
  assert.ok(equalBytes(Uint8Array.from(output.parts), payload));
  const nothing = sink();
  await using volume = await files.damaged();
  await assert.rejects(releaseToOutput(volume, { output: nothing }), { code: "chunk_damaged" });
  assert.equal(nothing.parts.length, 0);
});

Deno.test("a reader that ends too early is an error", async () => {
  await using files = await volumes();
  await using volume = await files.sound();
  const output = { write: () => Promise.reject(new Deno.errors.BrokenPipe()) };
  await assert.rejects(releaseToOutput(volume, { output }), { code: "volume_unwritable" });
});

Deno.test("a file appears whole, for its owner only, or not at all", async () => {
  await using files = await volumes();
  const path = files.group.path("payload");
  {
    await using volume = await files.damaged();
    await assert.rejects(releaseToFile(volume, { path }), { code: "chunk_damaged" });
  }
  const names = () => [...Deno.readDirSync(files.group.path("."))].map(({ name }) => name).sort();
  assert.deepEqual(names(), ["damaged", "kiosk-7", "sound"]);
  await using volume = await files.sound();
  await releaseToFile(volume, { path });
  assert.ok(equalBytes(await Deno.readFile(path), payload));
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  assert.deepEqual(names(), ["damaged", "kiosk-7", "payload", "sound"]);
});

Deno.test("a command gets the key on its standard input, raw or as digits", async () => {
  await using files = await volumes();
  await using volume = await files.sound();
  const key = volume.mountKey().reveal();
  const [raw, hex] = [files.group.path("raw"), files.group.path("hex")];
  await runWithKey(volume, { command: `cat > ${raw}`, format: "raw" });
  await runWithKey(volume, { command: `cat > ${hex}`, format: "hex", aside: true });
  assert.deepEqual(await Deno.readFile(raw), key);
  assert.equal(await Deno.readTextFile(hex), `${toHex(key)}\n`);
  // whoever does not read it is free not to
  await runWithKey(volume, { command: "true", format: "raw" });
});

Deno.test("a command that fails is an error, and none runs for a damaged volume", async () => {
  await using files = await volumes();
  const ran = files.group.path("ran");
  {
    await using volume = await files.sound();
    const failing = { command: "exit 7", format: "raw" } as const;
    await assert.rejects(runWithKey(volume, failing), { code: "command_failed", message: /7/ });
    const killed = { command: "kill -9 $$", format: "raw" } as const;
    await assert.rejects(runWithKey(volume, killed), { code: "command_failed" });
  }
  await using volume = await files.damaged();
  const touching = { command: `touch ${ran}`, format: "raw" } as const;
  await assert.rejects(runWithKey(volume, touching), { code: "chunk_damaged" });
  await assert.rejects(Deno.stat(ran), Deno.errors.NotFound);
});
