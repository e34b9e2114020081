/**
 * One script out of TypeScript modules, as the firmware's build makes one: esbuild follows the
 * imports, bare names lead to the packages that were installed (see _home.ts). Modules that need a
 * runtime (`node:crypto`, a package with native code) do not resolve, and the error says who imports
 * them.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { esbuild, isInstalled, packagesFolder } from "./_home.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * @param entry source of a module, whose relative imports start at the root of the repository
 * @throws Error with what esbuild says, or when it is not there
 */
export async function bundle(entry: string): Promise<string> {
  if (!isInstalled()) {
    throw new Error("XS or a package is missing or stale: deno run -A tests/firmware/install.ts");
  }
  const options = [
    ...["--bundle", "--format=iife", "--platform=neutral", "--loader=ts"],
    // XS 13 throws on a static field that makes an instance of a class with fields: lower them
    ...["--target=es2021", "--log-level=warning", "--tsconfig-raw={}"],
  ];
  const child = new Deno.Command(esbuild, {
    args: options,
    cwd: root,
    env: { NODE_PATH: join(packagesFolder, "node_modules") },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const [, { success, stdout, stderr }] = await Promise.all([
    writer.write(new TextEncoder().encode(entry)).then(() => writer.close()),
    child.output(),
  ]);
  const said = new TextDecoder().decode(stderr);
  if (!success || said !== "") throw new Error(`Cannot bundle for XS:\n${said}`);
  return new TextDecoder().decode(stdout);
}
