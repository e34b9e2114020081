/** What gateways say and do, in words for whoever stands in front of the device. */
import { messageOf } from "../../core/base/errors.ts";
import { ShareError, type ShareErrorCode } from "../../core/trust/share/scheme.ts";
import type { Denial, DeniedReason } from "../../core/wire/unlock.ts";
import { GatewaysError } from "./error.ts";
import type { GatewayOutcome, Outcome } from "./gateway_link.ts";

const denials: Record<DeniedReason, string> = {
  pending: "a person has to approve it",
  refused: "it refuses",
  epoch: "it holds the roster of another epoch",
  group: "it is not in this group",
  no_share: "it has no share yet",
  volume_unknown: "it does not know the volume",
  volume_known: "it knows the volume already",
  clone: "it has heard of another start of this device: there may be a clone",
  hours: "not at this hour",
  rate: "it was asked too often",
  quota: "it has opened enough for now",
  unlogged: "it cannot write its log, so it decides nothing",
};

export function denialText({ denied, request }: Denial): string {
  return request === undefined ? denials[denied] : `${denials[denied]}: request ${request}`;
}

const faults: Partial<Record<ShareErrorCode, string>> = {
  bad_proof: "its proof is wrong",
  proof_missing: "it gave no proof",
  bad_point: "its answer is no element of the group",
  bad_piece: "its piece is not the one that was dealt",
  roster_foreign: "the roster that it gave is of another group",
  roster_unsigned: "too few have signed the roster that it gave",
  malformed: "the roster that it gave cannot be read",
};

/** Why an answer, or a roster, is not taken. */
export function faultText(error: unknown): string {
  return error instanceof ShareError ? faults[error.code] ?? error.message : messageOf(error);
}

/** Why too few have given good answers. */
export function failureOf({ good, k, gateways, denials }: {
  good: number;
  k: number;
  gateways: readonly GatewayOutcome[];
  denials: readonly Denial[];
}): GatewaysError {
  const count = (one: Outcome) => gateways.filter(({ outcome }) => outcome === one).length;
  const what = `${good} of ${gateways.length} gave a good answer, and it takes ${k}`;
  // with all of those who were out of reach it could have gone well
  if (good + count("unreachable") >= k) {
    return new GatewaysError("unreachable", `Too few gateways can be reached: ${what}`, {
      ...{ gateways, hint: "are they running, is the network up, is the device enrolled there?" },
    });
  }
  if (count("denied") > 0) {
    return new GatewaysError("refused", `Too few gateways say yes: ${what}`, {
      ...{ gateways, hint: denialHint(denials) },
    });
  }
  return new GatewaysError("answers_bad", `Too few gateways answer as they should: ${what}`, {
    gateways,
    hint: "look at those that are named: they lie, or hold another share than the roster says",
  });
}

/** What to do about those who have said no. */
function denialHint(denials: readonly Denial[]): string {
  const one = (reason: DeniedReason) => denials.find(({ denied }) => denied === reason);
  const waiting = one("pending");
  if (waiting !== undefined) {
    return `at a gateway: \`edgeward share approve ${waiting.request ?? "REQUEST"}\`; ` +
      "then unlock with --same-boot, or wait longer with --deadline";
  }
  if (one("clone") !== undefined) {
    return "if no copy of the device is about: `edgeward share clear DEVICE` at the gateways";
  }
  return "their logs say who decided it, and why";
}

/** One line about one gateway. */
export function outcomeLine({ id, outcome, why }: GatewayOutcome): string {
  return `${id}: ${why ?? outcome}`;
}
