/**
 * The base that `deno compile` puts a program behind: the file that `DENORT_BIN` names, else the one
 * that Deno has downloaded and keeps, zipped, in its cache.
 */
import { join } from "node:path";
import { viewOf } from "../../core/base/bytes.ts";

/** Its size in bytes, or undefined when there is neither. */
export async function baseBinarySize(): Promise<number | undefined> {
  const named = Deno.env.get("DENORT_BIN");
  try {
    if (named !== undefined) return (await Deno.stat(named)).size;
    const name = `denort-${Deno.build.target}.zip`;
    const zip = join(await denoDir(), "dl", "release", `v${Deno.version.deno}`, name);
    return unzippedSize(await Deno.readFile(zip));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return (JSON.parse(new TextDecoder().decode(stdout)) as { denoDir: string }).denoDir;
}

/** What the only file of an archive says it unpacks to (APPNOTE 6.3 §4.3.12, §4.3.16). */
function unzippedSize(zip: Uint8Array): number {
  const view = viewOf(zip);
  const end = zip.length - 22; // Deno's archives have no comment behind the last record
  if (view.getUint32(end, true) !== 0x06054b50) throw new Error("The base binary's zip is damaged");
  return view.getUint32(view.getUint32(end + 16, true) + 24, true);
}
