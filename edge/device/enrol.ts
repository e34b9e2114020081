/** Joining a gateway: one session, which binds this device's keys, and then it is remembered. */
import { ChannelError } from "../../core/services/sessions/mod.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import { DeviceError } from "./error.ts";
import { GatewayLink, type LinkOptions } from "./gateway_link.ts";
import type { DeviceHome } from "./home.ts";

export interface EnrolOptions extends LinkOptions {
  readonly enrolment: Enrolment;
  /** Milliseconds: 30,000 unless said. */
  readonly within?: number;
}

/**
 * Joins, and keeps the enrolment in the device's directory: its code stays part of every session. Done
 * again after it was interrupted, it goes on where it was.
 * @throws ChannelError, Refusal, DeviceError "refused": nothing is kept
 */
export async function enrol(
  home: DeviceHome,
  { within = 30_000, ...options }: EnrolOptions,
): Promise<void> {
  await using link = new GatewayLink(home, options);
  try {
    // any call would do: the session itself binds the keys
    await link.rosters({ after: 0, within });
  } catch (error) {
    const { site, expires } = options.enrolment;
    const isLate = error instanceof ChannelError && error.code === "refused" &&
      expires < Date.now();
    if (!isLate) throw error;
    throw new DeviceError("refused", `Refused by the site "${site}": the code has expired`, {
      hint: `at that gateway: \`edgeward admin enrol device ${home.id} --json\``,
      cause: error,
    });
  }
  home.keepGateway(options.enrolment);
}
