/**
 * What a volume is for, with the programs that mount: its key opens a LUKS container and a gocryptfs
 * folder, and nothing else does; a file far larger than memory goes through in a stream.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Device, expectDone, Gateways } from "./gateways.ts";
import { binary, isCi, temporaryFolder } from "./program.ts";

/** One gateway is enough here: how many it takes changes nothing about the key. */
async function kiosk(folder: string): Promise<{ gateways: Gateways; device: Device }> {
  const gateways = await Gateways.start(folder, { n: 1 });
  await gateways.deal(1);
  return { gateways, device: await gateways.device("kiosk-1") };
}

const hasCryptsetup = isCi || await isThere("cryptsetup");
const hasGocryptfs = isCi || await isThere("gocryptfs") && await isThere("fusermount3");

Deno.test({
  name: "a volume's key opens a LUKS container through --exec, and a wrong one does not",
  ignore: !hasCryptsetup,
  async fn() {
    await using folder = await temporaryFolder();
    const { gateways, device } = await kiosk(folder.path);
    await using _ = gateways;
    const keys = await device.seal("keys", new Uint8Array(0));
    const other = await device.seal("other", new Uint8Array(0));
    const image = join(folder.path, "disk.img");
    await Deno.writeFile(image, new Uint8Array(0));
    await Deno.truncate(image, 20 * 2 ** 20);

    const format = `cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 ` +
      `--key-file=- ${image}`;
    await expectDone(device.run("unlock", "--exec", format, keys));
    const open = `cryptsetup open --test-passphrase --key-file=- ${image}`;
    await expectDone(device.run("unlock", "--exec", open, keys));

    const wrong = await device.run("unlock", "--exec", open, other);
    assert.equal(wrong.code, 1, wrong.stderr);
    assert.match(wrong.stderr, /the command ended with 2/);
    const { releases } = await gateways.releases(0, "kiosk-1");
    const outcomes = releases.filter(({ seal }) => !seal).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ["mount_fail", "mount_ok", "mount_ok"]);
  },
});

Deno.test({
  name: "a volume's key mounts a gocryptfs folder through --exec --key-format hex",
  ignore: !hasGocryptfs,
  async fn() {
    await using folder = await temporaryFolder();
    const { gateways, device } = await kiosk(folder.path);
    await using _ = gateways;
    const keys = await device.seal("keys", new Uint8Array(0));
    const other = await device.seal("other", new Uint8Array(0));
    const [cipher, mounted] = [join(folder.path, "cipher"), join(folder.path, "mounted")];
    await Deno.mkdir(cipher);
    await Deno.mkdir(mounted);
    const exec = (command: string, volume: string) =>
      device.run("unlock", "--key-format", "hex", "--exec", command, volume);

    await expectDone(exec(`gocryptfs -q -init ${cipher}`, keys));
    const mount = `gocryptfs -q ${cipher} ${mounted}`;
    await expectDone(exec(mount, keys));
    try {
      await Deno.writeTextFile(join(mounted, "prices"), "coffee 2.20\n");
    } finally {
      await unmount(mounted);
    }
    assert.deepEqual([...Deno.readDirSync(mounted)], []);
    assert.ok([...Deno.readDirSync(cipher)].every(({ name }) => name !== "prices"));

    const wrong = await exec(mount, other);
    assert.equal(wrong.code, 1, wrong.stderr);
    assert.match(wrong.stderr, /the command ended with 12/);

    await expectDone(exec(mount, keys));
    try {
      assert.equal(await Deno.readTextFile(join(mounted, "prices")), "coffee 2.20\n");
    } finally {
      await unmount(mounted);
    }
  },
});

// of the compiled binary: `deno run` itself takes as much again while it gets its packages together
Deno.test({
  name: "2 GiB are sealed and opened within 200 MiB of memory",
  ignore: binary === undefined,
  fn: largeVolume,
});

async function largeVolume(): Promise<void> {
  await using folder = await temporaryFolder();
  const { gateways, device } = await kiosk(folder.path);
  await using _ = gateways;
  const [plain, volume, opened] = ["plain", "volume", "opened"].map((name) =>
    join(folder.path, name)
  ) as [string, string, string];
  await writeLarge(plain, 2 * 2 ** 30);
  const run = (command: string, ...args: string[]) =>
    peakOf(["device", command, "--dir", device.dir, ...args]);

  for (
    const peak of [await run("seal", plain, volume), await run("unlock", "--out", opened, volume)]
  ) {
    assert.ok(peak <= 200 * 2 ** 20, `${(peak / 2 ** 20).toFixed(0)} MiB`);
  }
  assert.equal(await hashOf(opened), await hashOf(plain));

  // a single bit, far behind: nothing appears under the name, and nothing comes out of a pipe
  await Deno.remove(opened);
  await flip(volume, 2 ** 30 + 4_711);
  const toFile = await device.run("unlock", "--out", opened, volume);
  assert.equal(toFile.code, 1, toFile.stderr);
  assert.equal([...Deno.readDirSync(folder.path)].some(({ name }) => /opened/.test(name)), false);
  const toOutput = await device.run("unlock", volume);
  assert.deepEqual([toOutput.code, toOutput.stdout], [1, ""], toOutput.stderr);
}

/** Runs the binary and gives the most memory that it ever held, in bytes. */
async function peakOf(args: readonly string[]): Promise<number> {
  const child = new Deno.Command(binary!.path, {
    args: [...args],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let peak = 0, isOver = false;
  const complaints = new Response(child.stderr).text();
  void child.status.then(() => isOver = true);
  while (!isOver) {
    const status = await Deno.readTextFile(`/proc/${child.pid}/status`).catch(() => "");
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
    if (kilobytes !== undefined) peak = Math.max(peak, Number(kilobytes) * 1024);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await child.status).code, 0, await complaints);
  assert.ok(peak > 0);
  return peak;
}

/** A file without long repetitions, a mebibyte at a time. */
async function writeLarge(path: string, size: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const block = crypto.getRandomValues(new Uint8Array(2 ** 16));
  const megabyte = new Uint8Array(2 ** 20);
  for (let at = 0; at < 16; at++) megabyte.set(block, at * 2 ** 16);
  for (let i = 0; i < size / 2 ** 20; i++) {
    new DataView(megabyte.buffer).setUint32(0, i);
    await file.write(megabyte);
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(2 ** 20);
  for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) {
    hash.update(buffer.subarray(0, n));
  }
  return hash.digest("hex");
}

async function flip(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0]! ^= 1;
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(byte);
}

async function unmount(path: string): Promise<void> {
  const { success } = await new Deno.Command("fusermount3", { args: ["-u", path] }).output();
  assert.ok(success, "the folder could not be unmounted");
}

async function isThere(program: string): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", `command -v ${program}`],
    stdout: "null",
  }).output();
  return success;
}
