/** What people and programs hear of decisions: events, counters, the log of the program. */
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { BootEventName } from "../../core/wire/boot_event.ts";
import type { EventType, Severity } from "../../core/wire/event.ts";
import type { Boot, DeniedReason } from "../../core/wire/unlock.ts";
import type { RequestRow } from "./approvals.ts";
import type { DenialCount } from "./denials.ts";
import type { Release, ReleaseRow } from "./releases.ts";

type Needs = Pick<Host, "bus" | "log" | "metrics">;

/** Outcomes of a call that are no denial. */
export type Outcome = DeniedReason | "released" | "sealed" | "deposited";

export class Tidings {
  readonly #host: Needs;
  readonly #outcomes;
  readonly #reports;
  readonly #gauges;

  constructor(host: Needs) {
    this.#host = host;
    const { metrics } = host;
    this.#outcomes = metrics.counter(
      "edgeward_unlock_total",
      "Requests of devices for their volumes, by outcome",
    );
    this.#reports = metrics.counter(
      "edgeward_unlock_reports_total",
      "Boot events that devices have reported, by outcome",
    );
    this.#gauges = {
      pending: metrics.gauge("edgeward_unlock_pending", "Requests that wait for a person"),
      awaited: metrics.gauge("edgeward_unlock_awaited", "Releases whose report is awaited"),
      suspended: metrics.gauge(
        "edgeward_unlock_suspended",
        "Devices that are refused because a clone is suspected",
      ),
    };
  }

  /** Counts every answer. */
  count(outcome: Outcome): void {
    this.#outcomes.add(1, { outcome });
  }

  released({ device, volume, scheme, epoch, seal }: Release): void {
    const detail = { volume: toHex(volume), scheme, epoch, seal };
    this.#say("unlock.released", device, { severity: "info", detail });
  }

  denied({ device, reason, count }: DenialCount): void {
    this.#host.log.warn("a device was denied", { device, reason, count });
    this.#say("unlock.denied", device, { severity: "warning", detail: { reason, count } });
  }

  pending({ device, id, volume, scheme, seal }: Pick<
    RequestRow,
    "device" | "id" | "volume" | "scheme" | "seal"
  >): void {
    const detail = { request: id, volume, scheme, seal };
    this.#say("unlock.pending", device, { severity: "warning", detail });
  }

  clone(device: Id, { boot, last }: { boot: Boot; last: Boot }): void {
    const detail = { boot: boot.counter, last: last.counter };
    this.#host.log.error("a device seems to exist twice", { device, ...detail });
    this.#say("unlock.clone_suspected", device, { severity: "alarm", detail });
  }

  reported(device: Id, event: BootEventName, detail: Readonly<Record<string, unknown>>): void {
    this.#reports.add(1, { outcome: event.toLowerCase() });
    if (event === "AUTH_OK") return;
    const type = `unlock.${event.toLowerCase()}` as EventType;
    this.#say(type, device, { severity: event === "MOUNT_FAIL" ? "warning" : "info", detail });
  }

  unconfirmed({ device, volume, boot, released }: ReleaseRow): void {
    const detail = { volume, boot, released };
    this.#host.log.error("a device got its answer and has not reported that it mounted", {
      device,
      ...detail,
    });
    this.#say("unlock.unconfirmed", device, { severity: "alarm", detail });
  }

  show(counts: { pending: number; awaited: number; suspended: number }): void {
    this.#gauges.pending.set(counts.pending);
    this.#gauges.awaited.set(counts.awaited);
    this.#gauges.suspended.set(counts.suspended);
  }

  #say(
    type: EventType,
    subject: string,
    { severity, detail }: { severity: Severity; detail: Readonly<Record<string, unknown>> },
  ): void {
    this.#host.bus.emit({ type, severity, subject, detail });
  }
}
