/** Telling the gateways what has become of a start, from a script that does the mounting itself. */
import { signStatement } from "../../core/trust/statement.ts";
import { type BootEventName, bootEventType, encodeBootEvent } from "../../core/wire/boot_event.ts";
import { encodeUnlockCall } from "../../core/wire/unlock.ts";
import { DeviceError } from "./error.ts";
import { GatewayLink, type GatewayOutcome, type LinkOptions, outcomeOf } from "./gateway_link.ts";
import type { DeviceHome } from "./home.ts";

export interface ReportOptions extends LinkOptions {
  readonly event: BootEventName;
  /** Milliseconds: 5,000 unless said. */
  readonly within?: number;
}

/**
 * Reports an event of the latest start to every gateway, about the volume that it unlocked last.
 * @throws DeviceError "usage" when the device has not started yet, or is enrolled nowhere
 */
export async function report(
  home: DeviceHome,
  { event, within = 5_000, ...options }: ReportOptions,
): Promise<GatewayOutcome[]> {
  const { suite } = options;
  const start = home.start();
  const enrolments = [...home.gateways().values()];
  if (start === null || enrolments.length === 0) {
    const why = start === null
      ? "it has not unlocked anything yet"
      : "it is enrolled at no gateway";
    throw new DeviceError("usage", `Cannot report for this device: ${why}`, {
      hint: "`edgeward device unlock` begins a start; `edgeward device enrol` adds a gateway",
    });
  }
  const payload = encodeBootEvent({ event, device: home.id, ...start, t: Date.now() });
  const statement = signStatement(suite, home.signer, bootEventType, payload);
  const call = encodeUnlockCall({ call: "report", statement });
  const started = performance.now();
  return await Promise.all(enrolments.map(async (enrolment): Promise<GatewayOutcome> => {
    await using link = new GatewayLink(home, { ...options, enrolment });
    const ms = () => Math.round(performance.now() - started);
    try {
      await link.call(call, within);
      return { id: link.id, outcome: "good", why: null, ms: ms() };
    } catch (error) {
      return { id: link.id, ...outcomeOf(error), ms: ms() };
    }
  }));
}
