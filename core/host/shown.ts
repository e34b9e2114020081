/** How the facts of a site look wherever a person reads them: marks, amounts, addresses. */
import type { HealthState } from "../services/health.ts";
import type { Listen } from "../services/http/mod.ts";

/** `[+]` well, `[~]` worth a look, `[-]` not working. */
export function markOf(state: HealthState): "[+]" | "[~]" | "[-]" {
  return state === "ok" ? "[+]" : state === "degraded" ? "[~]" : "[-]";
}

const units = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const;

/** Bytes in a unit that suits them, in a few digits: "1.2 MB", "80 GB", "0 kB". */
export function amountText(bytes: number): string {
  const [unit, size] = units.find(([, size]) => bytes >= size) ?? units.at(-1)!;
  const amount = bytes / size;
  return `${amount < 10 ? Math.round(amount * 10) / 10 : Math.round(amount)} ${unit}`;
}

/** "127.0.0.1:8080", "[::1]:8080" */
export function addressText({ hostname, port }: Listen): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
