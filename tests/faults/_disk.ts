/**
 * Disks to spoil: file systems of their own, mounted for one test. Mounting takes root's rights; where
 * they are missing the tests are skipped by name, but in CI they fail.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { exists, isCi } from "../e2e/program.ts";

export interface Disk extends AsyncDisposable {
  /** Leaves no room. */
  fill(): Promise<void>;
  /** Makes the room again. */
  free(): Promise<void>;
  /** Mounts it once more with these options: "ro". */
  remount(options: string): Promise<void>;
}

/** A test that mounts; `missing` says why it cannot. */
export function diskTest(name: string, fn: () => Promise<void>): void {
  const ignore = missing !== null && !isCi;
  Deno.test({
    name: ignore ? `${name} (skipped: cannot mount)` : name,
    ignore,
    async fn() {
      assert.equal(missing, null);
      await fn();
    },
  });
}

/** A disk in memory at this folder, which it makes. */
export async function memoryDisk(path: string, size: string): Promise<Disk> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  await mount(["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", path]);
  return disk(path);
}

/** A disk in an image beside the folder, which it makes at the first time, and which stays. */
export async function imageDisk(path: string): Promise<Disk> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  const image = `${path}.img`;
  if (!exists(image)) {
    await Deno.writeFile(image, new Uint8Array());
    await Deno.truncate(image, 16 * 1024 * 1024);
    await run("mkfs.ext4", ["-q", image]);
  }
  await mount(["-o", "loop", image, path]);
  return disk(path);
}

function disk(path: string): Disk {
  const ballast = join(path, "ballast");
  return {
    async fill() {
      using file = await Deno.open(ballast, { write: true, create: true, append: true });
      for (let size = 1024 * 1024; size >= 1;) {
        try {
          await file.write(new Uint8Array(size));
        } catch (error) {
          assert.equal((error as { code?: string }).code, "ENOSPC");
          size = Math.floor(size / 2);
        }
      }
    },
    free: () => Deno.remove(ballast),
    remount: (options) => run("mount", ["-o", `remount,${options}`, path]),
    // whoever looked into a database may hold its file until the next garbage collection
    [Symbol.asyncDispose]: () => run("umount", ["--lazy", path]),
  };
}

const mount = (args: readonly string[]) => run("mount", args);

async function run(command: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(command, {
    args: [...args],
    stdout: "null",
    env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin` },
  }).output();
  if (code !== 0) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
}

/** Why nothing can be mounted here. */
const missing: string | null = await (async () => {
  const path = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await using _ = await imageDisk(join(path, "disk"));
    return null;
  } catch (error) {
    return String(error);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
})();
