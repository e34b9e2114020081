/**
 * Where the tests of this folder find XS, esbuild and the packages of the PURE floors: outside the
 * tree, where `XS_HOME` says or in the user's cache. Versions of packages are those of deno.json,
 * so that XS runs what Deno runs. Where something is missing, or is of another version, the tests are
 * skipped by name, but in CI they fail.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import config from "../../deno.json" with { type: "json" };

const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(homedir(), ".cache");
export const home = resolve(Deno.env.get("XS_HOME") ?? join(cache, "edgeward-xs"));

/** XS, as Agoric packs it: the sources of the engine and of a worker that evaluates what it is sent. */
export const engine = {
  package: "@agoric/xsnap",
  version: "0.15.0",
  folder: join(home, "xsnap-0.15.0"),
  platform: Deno.build.os === "darwin" ? "mac" : "lin",
} as const;

/** Reads commands from its descriptor 3 and answers on descriptor 4. */
export const worker = join(
  engine.folder,
  `xsnap-native/xsnap/build/bin/${engine.platform}/release/xsnap-worker`,
);

/** Folder of an npm project that depends on `packages` and nothing else. */
export const packagesFolder = join(home, "packages");

/** The program itself: the package's own starter would add a stack trace to what it says. */
export const esbuild = join(
  packagesFolder,
  `node_modules/@esbuild/${Deno.build.os}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`,
  "bin/esbuild",
);

/** Exact versions by name. */
export const packages: Readonly<Record<string, string>> = {
  "esbuild": "0.28.2",
  ...purePackages(config.imports),
};

/** Whether everything is there in its version. */
export function isInstalled(): boolean {
  return existsSync(worker) && arePackagesInstalled();
}

export function arePackagesInstalled(): boolean {
  return Object.entries(packages).every(([name, version]) => versionOf(name) === version);
}

/** Whether a test that needs XS must be skipped here. */
export const missing = !isInstalled() && Deno.env.get("CI") !== "true";

/** What deno.json maps the packages to that the lint rule "pure" allows. */
function purePackages(imports: Record<string, string>): Record<string, string> {
  const target = /^npm:\/?((?:@noble|@scure)\/[^@]+|cborg|shamir-secret-sharing)@([^/]+)\/?$/;
  const found: Record<string, string> = {};
  for (const specifier of Object.values(imports)) {
    const [, name, version] = target.exec(specifier) ?? [];
    if (name !== undefined && version !== undefined) found[name] = version;
  }
  return found;
}

function versionOf(name: string): string | undefined {
  const file = join(packagesFolder, "node_modules", name, "package.json");
  if (!existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
