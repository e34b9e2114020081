/** What a sensor keeps: the same device comes back, and half of one is none. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { suite } from "./_fakes.ts";
import { idsIn, openFlash } from "./sensor_flash.ts";

const id = parseId("pump-7");

async function withFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const code = (error: unknown) => error instanceof CodedError ? error.code : error;

Deno.test("openFlash() gives the same device again, with what was written last", async () => {
  await withFolder(async (dir) => {
    const pending = [{ method: "relay.on", params: { n: 1 }, once: "0f".repeat(16) }];
    const before = await openFlash(suite, { dir, id });
    before.write({ acts: 1, pending });
    before.write({ authorized: true });
    const { noise, signKey, state } = before;
    before[Symbol.dispose]();

    using after = await openFlash(suite, { dir, id });
    assert.deepEqual(after.noise.publicKey, noise.publicKey);
    assert.deepEqual(after.signKey, signKey);
    assert.deepEqual(after.state, { ...state, acts: 1, pending, authorized: true });
    assert.deepEqual(idsIn(dir), [id]);
    const { mode } = await Deno.stat(join(dir, id, "sensor.json"));
    assert.equal(mode! & 0o777, 0o600);
  });
});

Deno.test("openFlash() makes a device anew that was half made when the power went", async () => {
  await withFolder(async (dir) => {
    await Deno.mkdir(join(dir, `.${id}`, "gateways"), { recursive: true });
    assert.deepEqual(idsIn(dir), []);
    using flash = await openFlash(suite, { dir, id });
    assert.equal(flash.state.acts, 0);
    assert.deepEqual(idsIn(dir), [id]);
  });
});

Deno.test("openFlash() refuses what is damaged, and says no secret", async () => {
  await withFolder(async (dir) => {
    (await openFlash(suite, { dir, id }))[Symbol.dispose]();
    const file = join(dir, id, "sensor.json");
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.replace('"acts":0', '"acts":-1,"psk":"c2VjcmV0"'));
    await assert.rejects(openFlash(suite, { dir, id }), (error) => {
      assert.equal(code(error), "device_damaged");
      assert.doesNotMatch(String(error), /c2VjcmV0/);
      return true;
    });
    await Deno.writeTextFile(file, text);
    using _ = await openFlash(suite, { dir, id }); // the refusal has left no lock
  });
});
