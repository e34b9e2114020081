/** Instants as people read them: how long ago for glances, to the second in UTC for records. */

const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]] as const;

/** A span of milliseconds in its largest unit, rounded down: "3 min". */
export function spanText(milliseconds: number): string {
  const [unit, length] = units.find(([, length]) => milliseconds >= length) ?? units.at(-1)!;
  return `${Math.max(0, Math.floor(milliseconds / length))} ${unit}`;
}

/** How far an instant is away: "3 min ago", "in 2 h". Both are Unix milliseconds. */
export function awayText(t: number, now: number): string {
  return t > now ? `in ${spanText(t - now)}` : `${spanText(now - t)} ago`;
}

/** An RFC 3339 instant, and how far it is away: "2026-07-31 14:03:12 UTC, 3 min ago". */
export function instantText(instant: string, now: number): string {
  const t = Date.parse(instant);
  return `${new Date(t).toISOString().slice(0, 19).replace("T", " ")} UTC, ${awayText(t, now)}`;
}
