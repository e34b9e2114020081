/** What listeners to the feed hear of devices, and of events that concern them. */
import type { Event } from "../../core/wire/event.ts";
import type { Message } from "./feed.ts";
import type { Entry } from "./registry.ts";
import { rowOfEntry, shownRow } from "./shown.ts";

/** `{type: "device", id, device}`: what it is now; null when it is gone. Bans are told as events. */
export function deviceMessage(id: string, entry: Entry | null): Message {
  const device = entry?.device ?? null;
  if (device === null) return { type: "device", id, device: null };
  const { ban: _, ...shown } = shownRow(rowOfEntry({ ...entry!, device }), null);
  return { type: "device", id, device: shown };
}

/**
 * What devices say comes as "telemetry" and "said", so that a flood of it pushes nothing else out, and
 * what happens to them as "event"; null for events of others.
 */
export function eventMessage(event: Event): Message | null {
  const { subject, detail } = event;
  const type: string = event.type;
  if (type === "device.telemetry") return { type: "telemetry", id: subject, ...detail };
  if (type === "device.event") return { type: "said", id: subject, ...detail };
  const isMine = type.startsWith("device.") || type === "policy.changed" || type === "broker.rival";
  return isMine ? { type: "event", event } : null;
}
