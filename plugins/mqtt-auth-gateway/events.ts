/** What the gateway tells the site: devices that come and go, and what they have to say. */
import type { Bus } from "../../core/services/bus.ts";
import type { Event } from "../../core/wire/event.ts";

/** Types that the gateway emits. */
type GatewayEvent =
  | "device.authorized"
  | "device.offline"
  | "device.conflict"
  | "device.telemetry"
  | "device.event"
  | "policy.changed";

export type Emit = (
  type: GatewayEvent,
  subject: string,
  detail?: Event["detail"],
  severity?: Event["severity"],
) => void;

export function emitterOf(bus: Bus): Emit {
  return (type, subject, detail = {}, severity = "info") =>
    bus.emit({ type, severity, subject, detail });
}
