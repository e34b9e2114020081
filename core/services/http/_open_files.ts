/**
 * How many files this process may have open. The listener stays far below: where the runtime's accept
 * fails for want of one, it never accepts again (Deno 2.8.3, seen on a socket).
 */
import { readFileSync } from "node:fs";

/** Infinity where the system does not tell. The runtime has raised its own limit at its start. */
export function openFilesLimit(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? Infinity : Number(limit);
  } catch {
    return Infinity;
  }
}
