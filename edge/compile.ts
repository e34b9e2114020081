/**
 * `deno task compile [--target TRIPLE] [--site site.toml]`: one binary in `dist/`. Types are the
 * gate's business, so they are not checked here; the stack is enlarged because `deno compile` walks
 * the package graph recursively. With `--site` the binary holds just the roles of that file.
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import { CodedError } from "../core/base/errors.ts";
import { reportError } from "./exit_status.ts";
import { registry } from "./plugins.ts";
import { warnLine } from "./terminal.ts";

/** What threads run: nothing imports it. */
const threads = [
  "core/services/_evaluation_thread.ts",
  "core/services/_verification_thread.ts",
  "core/services/db/_writer_thread.ts",
];

const root = fileURLToPath(new URL("..", import.meta.url));

async function main(): Promise<void> {
  const { values: { target, site } } = parseArgs({
    options: { target: { type: "string" }, site: { type: "string" } },
  });
  const name = `dist/edgeward${target === undefined ? "" : `-${target}`}`;
  await Deno.mkdir(join(root, "dist"), { recursive: true });
  await using tree = site === undefined ? null : await treeFor(site);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--no-check",
      "--allow-all",
      ...(target === undefined ? [] : ["--target", target]),
      ...["--output", join(root, name)],
      ...threads.flatMap((program) => ["--include", program]),
      "edge/main.ts",
    ],
    cwd: tree?.path ?? root,
    env: { RUST_MIN_STACK: String(64 * 1024 * 1024), DENO_TLS_CA_STORE: "system" },
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0) throw new CodedError("compile_failed", "Cannot build the binary");
  const { size } = await Deno.stat(join(root, name));
  warnLine(`${name}, ${(size / 1e6).toFixed(1)} MB`);
}

/** A copy of the sources whose registry has the roles of one site only. */
async function treeFor(site: string): Promise<{ path: string } & AsyncDisposable> {
  const { plugins = {} } = parse(await Deno.readTextFile(site)) as { plugins?: object };
  const roles = Object.keys(plugins);
  const unknown = roles.find((role) => !Object.hasOwn(registry, role));
  if (unknown !== undefined) {
    throw new CodedError("usage", `Cannot build for ${site}: there is no role "${unknown}"`, {
      hint: `the roles are ${Object.keys(registry).join(", ")}`,
    });
  }
  const path = await Deno.makeTempDir({ prefix: "edgeward-compile-" });
  const parts = [
    "deno.json",
    "deno.lock",
    "core",
    "edge",
    ...roles.map((role) => `plugins/${role}`),
  ];
  for (const part of parts) cpSync(join(root, part), join(path, part), { recursive: true });
  const entries = roles.map((role) => `  "${role}": () => import("../plugins/${role}/mod.ts"),\n`);
  await Deno.writeTextFile(
    join(path, "edge/plugins.ts"),
    `export const registry = {\n${entries.join("")}};\n`,
  );
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

try {
  await main();
} catch (error) {
  Deno.exit(reportError(error));
}
