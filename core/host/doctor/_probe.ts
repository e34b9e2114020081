/** What the doctor's probes have in common. */
import type { Clock } from "../../base/clock.ts";
import type { SiteConfig } from "../config/mod.ts";
import type { Finding, Services } from "../plugin.ts";
import type { SiteStatus } from "../site.ts";

/** The site that is examined. */
export interface Patient {
  readonly config: SiteConfig;
  /** What it says of itself; null when it does not run, "mute" when it runs and says nothing. */
  readonly running: SiteStatus | "mute" | null;
  readonly clock: Clock;
}

/** Looks at one part. What it throws counts as a finding. */
export type Probe = (patient: Patient) => AsyncIterable<Finding>;

/** Whether a role has need of the service, so that the site opens it. */
export function isNeeded({ roles }: SiteConfig, service: keyof Services): boolean {
  return roles.some(({ plugin }) => plugin.needs?.includes(service));
}
