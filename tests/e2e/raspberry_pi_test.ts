/**
 * The binary for the Raspberry Pi, under emulation of its processor: that it starts at all, and that
 * the native database inside is the one for that processor. Debian's `qemu-user-static` runs it with
 * the C library of `libc6-arm64-cross`; both missing is a skip, in CI a failure.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { exists, isCi, type Program, run, temporaryFolder } from "./program.ts";

const emulator = "/usr/bin/qemu-aarch64-static";
const libraries = "/usr/aarch64-linux-gnu";
const binary = fileURLToPath(
  new URL("../../dist/edgeward-aarch64-unknown-linux-gnu", import.meta.url),
);
const emulated: Program = { path: emulator, leading: ["-L", libraries, binary] };

const missing = [emulator, libraries, binary].find((path) => !exists(path));
const skipped = missing !== undefined && !isCi;

Deno.test({
  name: "edgeward for aarch64 runs the demo under emulation" +
    (skipped ? " (skipped: no emulator, no C library or no binary)" : ""),
  ignore: skipped,
  async fn() {
    assert.equal(missing, undefined);
    await using folder = await temporaryFolder();
    const surroundings = { program: emulated, cwd: folder.path, clearEnv: true };
    const version = await run(["version", "--json"], surroundings);
    assert.equal(JSON.parse(version.stdout).target, "aarch64-unknown-linux-gnu");

    const demo = await run(["demo", "--for", "4", "--json", "--port", "0"], surroundings);
    assert.equal(demo.code, 0, demo.stderr);
    const { metering } = JSON.parse(demo.stdout.trimEnd().split("\n").at(-1)!);
    assert.equal(metering.readings_sent, 40);
    assert.equal(metering.readings_accepted, 40);
  },
});
