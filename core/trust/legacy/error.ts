/** What profile v1 refuses, and why; outsiders hear none of it. */
import { CodedError } from "../../base/errors.ts";

export type LegacyErrorCode =
  | "malformed" // not in the one strict form that protocols.md §4 gives it
  | "too_large" // what is to be sent is longer than a receiver takes
  | "wrong_device" // it names another device
  | "weak_psk" // not of the 128 random bits that a generated one has
  | "unproven" // a connect without the proof that it comes from who has the psk
  | "low_order" // no secret can be agreed on with this public key
  | "wrong_half" // a counter of the sender's own direction: a reflection, or no v1
  | "forged" // it opens under none of the keys
  | "mismatched" // nonce or timestamp inside are not those outside
  | "wrong_hmac"
  | "stale" // its timestamp is further from now than the site allows
  | "replayed" // its counter is not above the last, and it is not a known message byte for byte
  | "no_keys" // none were agreed on, or all are too old
  | "not_connecting" // an approve that nobody waits for
  | "not_stored" // acting before the state is durable
  | "not_reserved" // the counters that were stored ahead are used up: call `reserve()`
  | "exhausted"; // no counters left under these keys

/** A message, or a use, of profile v1 that must lead to nothing. */
export class LegacyError extends CodedError<LegacyErrorCode> {
  override readonly name = "LegacyError";
}

/** @param what the noun of the sentence, "message" for instance. @param why what is wrong with it */
export function malformed(what: string, why: string): LegacyError {
  return new LegacyError("malformed", `Cannot read the ${what}: ${why}`);
}
