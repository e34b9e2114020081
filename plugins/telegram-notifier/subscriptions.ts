/** Whether a chat wants to hear of an event: by role, by severity, and by what was muted for a while. */
import { type Event, type EventType, eventTypes } from "../../core/wire/event.ts";
import type { ChatConfig } from "./config.ts";

/** What goes on all the time while all is well. */
const routine: ReadonlySet<EventType> = new Set([
  ...["fog.window_closed", "cloud.summary_stored", "device.telemetry"] as const,
]);

const ranks = { info: 0, warning: 1, alarm: 2 } as const;

export function wants(
  chat: Pick<ChatConfig, "roles" | "severity" | "routine">,
  { role, severity, type }: Pick<Event, "role" | "severity" | "type">,
): boolean {
  if (ranks[severity] < ranks[chat.severity]) return false;
  if (severity === "info" && routine.has(type) && !chat.routine) return false;
  return chat.roles.includes("*") || chat.roles.includes(role);
}

/** What is not told in a chat for a while. */
export interface Mute {
  /** A type of event, its first half, a role, or "*": everything but alarms. */
  readonly what: string;
  /** Unix milliseconds. */
  readonly until: number;
}

export function isMuted(
  mutes: Iterable<Mute>,
  { type, role, severity }: Pick<Event, "role" | "severity" | "type">,
  now: number,
): boolean {
  for (const { what, until } of mutes) {
    if (now >= until) continue;
    if (what === "*" ? severity !== "alarm" : [type, type.split(".")[0], role].includes(what)) {
      return true;
    }
  }
  return false;
}

/** Whether something could be muted under this name. */
export function isMutable(what: string): boolean {
  return what === "*" || /^[a-z]+(-[a-z]+)*$/.test(what) ||
    (eventTypes as readonly string[]).includes(what);
}
