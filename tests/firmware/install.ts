/**
 * Installs what the tests of this folder need, outside the tree (see _home.ts): half a minute for
 * building XS with cc and make, then nothing more until a version changes. Everything comes from the
 * npm registry; no package's install script runs.
 *
 *     deno run -A tests/firmware/install.ts
 */
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { arePackagesInstalled, engine, packages, packagesFolder, worker } from "./_home.ts";

if (!arePackagesInstalled()) await installPackages();
if (!existsSync(worker)) await buildEngine();

async function installPackages(): Promise<void> {
  await mkdir(packagesFolder, { recursive: true });
  const manifest = { private: true, dependencies: packages };
  await writeFile(join(packagesFolder, "package.json"), JSON.stringify(manifest));
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await run("npm", ["install", "--ignore-scripts", ...quiet], packagesFolder);
}

/** Builds in a folder beside the right one, which therefore is either whole or not there. */
async function buildEngine(): Promise<void> {
  const building = `${engine.folder}.building`;
  await rm(building, { recursive: true, force: true });
  await mkdir(building, { recursive: true });
  const { package: name, version, platform } = engine;
  await run("npm", ["pack", `${name}@${version}`, "--silent", "--loglevel=error"], building);
  const archive = `${name.slice(1).replace("/", "-")}-${version}.tgz`;
  await run("tar", ["-xzf", archive, "--strip-components=1"], building);
  await rm(join(building, archive));

  // What the package's own build does for its release, without its second build for debugging.
  const native = join(building, "xsnap-native/xsnap");
  for (const folder of [`bin/${platform}/release`, `tmp/${platform}/release/xsnap-worker`]) {
    await mkdir(join(native, "build", folder), { recursive: true });
  }
  const settings = {
    GOAL: "release",
    MODDABLE: join(building, "moddable"),
    XSNAP_VERSION: version,
    CC: 'cc -w "-D__has_builtin(x)=1"',
    EXTRA_DEPS: "",
  };
  const assignments = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const makefiles = join(native, "makefiles", platform);
  await run("make", ["-s", "-j2", "-f", "xsnap-worker.mk", ...assignments], makefiles);
  await rm(join(native, "build/tmp"), { recursive: true });
  await rm(engine.folder, { recursive: true, force: true });
  await rename(building, engine.folder);
}

/** @throws Error with what the program has said, when it fails */
async function run(program: string, args: string[], cwd: string): Promise<void> {
  const command = new Deno.Command(program, { args, cwd, stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  if (success) return;
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("").trim();
  throw new Error(`Cannot install XS: ${program} failed in ${cwd}\n${said}`);
}
