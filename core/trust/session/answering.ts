/** What an answering side is given, and what it gives: the words between an `Answerer` and its user. */
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import type { Opening, Purpose } from "./hello.ts";
import type { Live } from "./live_sessions.ts";

/** What the site knows of a device. */
export interface Credential {
  readonly state: "enrolled" | "approved" | "revoked";
  /** Bound with the first use of the code, or by approval. */
  readonly noiseKey: Uint8Array | null;
  readonly psk: Uint8Array;
  /** When an unused code stops working, Unix milliseconds. */
  readonly codeExpires: number;
}

/** Somebody who is not admitted, or not with this key: a person decides. */
export interface Applicant {
  readonly device: Id;
  readonly key: Uint8Array;
  /** "code": it holds the device's psk; "key": the static key is its own; "none": it may be anyone. */
  readonly proof: "code" | "key" | "none";
  /** Six words to compare, after a first contact without a code. */
  readonly words: string | null;
}

/** A message 1 whose sender must be looked up. */
export interface Knock {
  readonly device: Id;
  readonly opening: Opening & { readonly session: Uint8Array };
  /** Of the whole frame: the same message 1 gets the same message 2. */
  readonly digest: string;
}

export type Step<P, A> =
  | { readonly step: "reply"; readonly frame: Uint8Array }
  | { readonly step: "silence" }
  /** Look the device up, then `admit`. */
  | { readonly step: "knock"; readonly knock: Knock }
  /** A person has to decide; in a session of its own it waits there, and hears "pending". */
  | {
    readonly step: "applicant";
    readonly applicant: Applicant;
    readonly inSession: boolean;
  }
  /** New: act on it, and `remember` the answer. */
  | {
    readonly step: "message";
    readonly live: Live<P, A>;
    readonly seq: number;
    readonly plaintext: Uint8Array;
  }
  /** A repetition: send the same answer, and do nothing. */
  | { readonly step: "again"; readonly answer: A | undefined };

export type RefusedCode =
  | "wrong_purpose"
  | "wrong_site"
  | "wrong_device" // not the one whose topic it came on
  | "wrong_version"
  | "wrong_key" // its name belongs to another key
  | "pending" // a person has to decide
  | "not_invited" // a person may not even be asked
  | "revoked"
  | "code_expired"
  | "session_live" // another session or handshake bears the identifier that this one would get
  | "used_up" // its message 1 has opened a session before
  | "unexpected_frame";

/** Why a frame was not taken: for the log and the counters, not for whoever sent it. */
export class RefusedFrame extends CodedError<RefusedCode> {
  override readonly name = "RefusedFrame";
}

export interface AnswererOptions<P = unknown, A = unknown> {
  readonly suite: Suite;
  readonly site: Id;
  readonly staticKey: KeyPair;
  readonly purpose: Purpose;
  /** Milliseconds since whenever, never backwards: how old handshakes and sessions are. */
  readonly clock: Clock;
  /** The time of day: when a code expires. */
  readonly wallClock: Clock;
  /** Whether a stranger may be noted as waiting for approval now; true unless given. */
  readonly mayApply?: (applicant: Applicant) => boolean;
  /** Hears of each session that ends, but not of those that `close` ends. */
  readonly onEnd?: (live: Live<P, A>) => void;
}
