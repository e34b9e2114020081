/** How the facts of a site look wherever a person reads them: marks, amounts, addresses. */
import type { HealthState } from "../services/health.ts";
import type { Listen } from "../services/http/mod.ts";
import type { TlogStatus } from "../services/tlog/mod.ts";
import type { PeerStatus } from "../wire/peer_status.ts";

/** What the proof of a key that waits is worth. */
export const proofs = {
  code: "it holds the code of this name, and another key than before",
  key: "the key is its own; whose it is, only a look at the device can tell",
  none: "it says that it has this key, and anybody could: only its code lets it in",
} as const satisfies Record<NonNullable<PeerStatus["proof"]>, string>;

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

/** "12 entries, 10 witnessed" */
export function logText({ size, witnessed, witnesses }: TlogStatus): string {
  const entries = `${size} ${size === 1 ? "entry" : "entries"}`;
  return witnesses.length === 0 ? `${entries}, no witnesses` : `${entries}, ${witnessed} witnessed`;
}
