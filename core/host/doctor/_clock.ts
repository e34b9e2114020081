/** The clock: windows, codes and certificates go by it, and a small computer may have no battery. */
import { existsSync } from "node:fs";
import type { Finding } from "../plugin.ts";
import type { Patient } from "./_probe.ts";

/** Before this one there was no such program. */
const firstYear = 2025;
const lastYear = 2100;

export async function* clock({ clock }: Patient): AsyncIterable<Finding> {
  const now = new Date(clock());
  const hint = "`timedatectl set-ntp true` switches synchronisation on; chrony does it as well";
  const year = now.getUTCFullYear();
  if (year < firstYear || year > lastYear) {
    return yield { state: "failed", what: `it shows the year ${year}`, hint };
  }
  const time = `${now.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const service = await synchroniser();
  yield service === null
    ? { state: "degraded", what: `${time}; nothing here says that it is synchronised`, hint }
    : { state: "ok", what: `${time}, synchronised by ${service}` };
}

/** Who says that it keeps the clock right; null when nobody does. */
export async function synchroniser(
  { timesync = "/run/systemd/timesync/synchronized", chronyc = "chronyc" } = {},
): Promise<"systemd-timesyncd" | "chrony" | null> {
  if (existsSync(timesync)) return "systemd-timesyncd";
  try {
    const { stdout } = await new Deno.Command(chronyc, {
      // the last of the comma-separated values is the leap status
      args: ["-c", "-n", "tracking"],
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(2_000),
    }).output();
    const status = new TextDecoder().decode(stdout).trim().split(",").at(-1);
    return /^(Normal|Insert second|Delete second)$/.test(status ?? "") ? "chrony" : null;
  } catch {
    return null;
  }
}
