/** What can go wrong when a group is founded: with whom and why, for the person who does it. */
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { Refusal } from "../../core/services/sessions/mod.ts";
import type { CeremonyRefusal } from "../../core/wire/ceremony.ts";

export type CeremonyErrorCode =
  | "bad_request"
  | "group_exists"
  | "group_unknown"
  | "plan_unknown"
  | "plan_differs"
  | "deal_running"
  | "code_unusable"
  | "member_failed"
  | "interrupted";

export class CeremonyError extends CodedError<CeremonyErrorCode> {
  override readonly name = "CeremonyError";
}

/** That a member has failed, and why. */
export function memberFailed(member: string, why: string): CeremonyError {
  return new CeremonyError("member_failed", `Cannot deal: ${member}: ${why}`, {
    hint: "nothing has changed anywhere; `edgeward share deal` tries again",
  });
}

const refusals: Readonly<Record<CeremonyRefusal, string>> = {
  malformed: "it cannot read what this gateway says: do both run the same version?",
  not_a_member: "it knows this gateway under other keys: enrol this gateway there again",
  group_exists: "it belongs to a group already",
  roster_wrong: "it is not what the roster says of it: plan again with `edgeward share init`",
  share_wrong: "its share is not on the polynomial that this gateway committed to",
  nonce_reused: "it knows this deal already, with another share",
  no_candidate: "it has no share for this roster any more",
  roster_unsigned: "a signature of the roster is missing or wrong",
  too_many: "it has been offered too many shares: wait a minute",
};

/** Why a call to a member failed, in words that go behind its name. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Refusal)) return messageOf(error);
  return refusals[error.code as CeremonyRefusal] ?? `it refuses: ${error.code}`;
}
