/**
 * The starts of a device, by their counters. A device stores a start's counter and its random id before
 * it asks for anything, and never uses a counter twice: who comes with a lower one, or with the same one
 * and another id, has a copy of the device's flash, or is the device that was copied.
 *
 * A copy that starts first and keeps its lead is not told from the original by this: the original is.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Boot } from "../../core/wire/unlock.ts";

/** How a start stands to the last one that was seen. */
export type BootStanding = "first" | "new" | "repeated" | "clone";

/** @param last null when none was seen, or an operator has cleared the device */
export function standingOf(boot: Boot, last: Boot | null): BootStanding {
  if (last === null) return "first";
  if (boot.counter > last.counter) return "new";
  const isSame = boot.counter === last.counter && equalBytes(boot.id, last.id);
  return isSame ? "repeated" : "clone";
}
