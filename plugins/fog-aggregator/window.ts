/** Windows of event time: aligned to UTC, half open, `[start, end)`. */

/** The start of the window that holds the instant, Unix milliseconds. */
export function windowStart(t: number, length: number): number {
  return t - (((t % length) + length) % length);
}

/** When a window is summed up for the first time. */
export function closesAt(start: number, options: { window: number; grace: number }): number {
  return start + options.window + options.grace;
}
