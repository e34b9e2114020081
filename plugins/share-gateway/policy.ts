/**
 * Whether a device gets its answer: one decision from plain facts, in a fixed order, the first "no" is
 * the reason. Known group, epoch and piece; no clone; within the hours; not too often; not too many
 * volumes; approved by a person where that is asked for. Nothing is read or written here, so that the
 * same facts give the same decision, before a transaction and in it.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import type { Boot, DeniedReason } from "../../core/wire/unlock.ts";
import { standingOf } from "./boots.ts";

/** What the site wants of a device. */
export interface Rules {
  /** Of a suspected clone: refuse it until an operator clears it, or raise the alarm and go on. */
  readonly onClone: "deny" | "alarm";
  readonly maxVolumes: number;
}

/** What is asked: an answer for a volume that exists, or that is being made. */
export interface Asked {
  readonly scheme: Scheme;
  readonly group: Uint8Array | null;
  readonly epoch: number;
  readonly seal: boolean;
  /** Null where the way of asking knows of none. */
  readonly boot: Boot | null;
}

/** What is known of who asks. */
export interface Asker {
  readonly lastBoot: Boot | null;
  /** A clone was suspected, and nobody has cleared it since. */
  readonly isSuspended: boolean;
  /** Volumes of the device. */
  readonly volumes: number;
  readonly isOpen: boolean;
  /** Milliseconds until the rate lets it ask again; 0 when it does now. */
  readonly wait: number;
}

export interface KnownVolume {
  readonly scheme: Scheme;
  /** By which start of the device it was made, while that is recent. */
  readonly sealing: Uint8Array | null;
}

export type Approval =
  | "not_needed"
  | "missing"
  | "pending"
  | "approved"
  | "refused"
  /** As many wait as may. */
  | "crowded";

export interface UnlockFacts extends Asker {
  readonly asked: Asked;
  /** The group of this gateway. */
  readonly group: { readonly key: Uint8Array; readonly epoch: number } | null;
  /** Null when the volume is not known here. */
  readonly volume: KnownVolume | null;
  readonly approval: Approval;
}

export interface DepositFacts extends Asker {
  readonly boot: Boot;
  /** Of this volume: nothing, this very piece, or something else. */
  readonly held: "nothing" | "same" | "other";
}

export interface Decision {
  /** Null is a yes. */
  readonly denied: DeniedReason | null;
  /** When asking again makes sense, milliseconds. */
  readonly retry: number | null;
  /** A clone has shown itself now. */
  readonly clone: boolean;
  /** The start has to be remembered: it is new. */
  readonly remember: boolean;
}

/** How long a device whose request waits for a person, or for room, is told to wait. */
const pendingRetry = 2_000;
const crowdedRetry = 30_000;

export function decideUnlock(facts: UnlockFacts, rules: Rules): Decision {
  const unknown = unknownIn(facts);
  if (unknown !== null) return no(unknown);
  return decide(facts, facts.asked.boot, rules, () => {
    const isNew = facts.volume === null;
    if (isNew && facts.volumes >= rules.maxVolumes) return no("quota");
    switch (facts.approval) {
      case "missing":
      case "pending":
        return no("pending", pendingRetry);
      case "crowded":
        return no("quota", crowdedRetry);
      case "refused":
        return no("refused");
      default:
        return yes;
    }
  });
}

/** Nothing leaves the gateway, so neither hours nor people are asked. */
export function decideDeposit(facts: DepositFacts, rules: Rules): Decision {
  if (facts.held === "other") return no("volume_known");
  return decide({ ...facts, isOpen: true }, facts.boot, rules, () => {
    const isNew = facts.held === "nothing";
    return isNew && facts.volumes >= rules.maxVolumes ? no("quota") : yes;
  });
}

function unknownIn({ asked, group, volume }: UnlockFacts): DeniedReason | null {
  const { scheme, seal, boot } = asked;
  if (scheme !== "voprf") {
    if (volume?.scheme !== scheme) return "volume_unknown";
    return seal ? "volume_known" : null;
  }
  if (group === null) return "no_share";
  if (asked.group === null || !equalBytes(group.key, asked.group)) return "group";
  if (asked.epoch !== group.epoch) return "epoch";
  if (!seal || volume === null) return null;
  // its answer may have been lost on the way
  const isAgain = boot !== null && volume.sealing !== null && equalBytes(volume.sealing, boot.id);
  return isAgain && volume.scheme === scheme ? null : "volume_known";
}

/** What is common to all: clone, hours, rate. */
function decide(
  { lastBoot, isSuspended, isOpen, wait }: Asker,
  boot: Boot | null,
  { onClone }: Rules,
  rest: () => Decision,
): Decision {
  const standing = boot === null ? "repeated" : standingOf(boot, lastBoot);
  const isClone = standing === "clone";
  if (onClone === "deny") {
    if (isSuspended) return no("clone");
    if (isClone) return { ...no("clone"), clone: true };
  }
  // what comes too often leaves no trace but its count
  if (wait > 0) return no(isOpen ? "rate" : "hours", isOpen ? wait : null);
  const remember = standing !== "repeated";
  const decision = isOpen ? rest() : no("hours");
  return { ...decision, remember, clone: isClone };
}

const yes: Decision = { denied: null, retry: null, clone: false, remember: false };

function no(denied: DeniedReason, retry: number | null = null): Decision {
  return { ...yes, denied, retry };
}
