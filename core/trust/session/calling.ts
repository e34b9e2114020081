/** What a calling side is given, and what it gives: the words between a `Caller` and its user. */
import type { Clock } from "../../base/clock.ts";
import type { KeyPair, Suite } from "../crypto.ts";
import type { Request } from "./asked.ts";
import type { ReadRpc } from "./call.ts";
import type { CallOutcome } from "./calls.ts";
import type { Hello } from "./hello.ts";

/** Why a call has no answer. Of a frame that could not be carried, the transport says which it is. */
export type Failure = "no_answer" | "unreachable" | "refused" | "pending";

export type Outcome = CallOutcome<Failure>;

/** What there is to do. */
export interface Advance {
  /** Frames to send: those of one list one after another, since they build on each other. */
  readonly send: readonly (readonly Uint8Array[])[];
  readonly outcomes: readonly Outcome[];
  /** What the site asks: `answer` each, in whatever order. */
  readonly requests: readonly Request[];
  /** When to ask again at the latest, on the caller's clock; Infinity when nothing is under way. */
  readonly due: number;
}

export interface CallerOptions {
  readonly suite: Suite;
  /** Whom it wants to talk to about what; the site is "" when only its address is known. */
  readonly hello: Hello;
  readonly staticKey: KeyPair;
  /** The statement key that the site binds. */
  readonly signKey: Uint8Array;
  /** The site's static key; without it the first contact is made. */
  readonly remoteStatic?: Uint8Array;
  /** There when calls and answers are JSON-RPC, and the site may call too. */
  readonly readRpc?: ReadRpc;
  /** Zeros without a code. */
  readonly psk: Uint8Array;
  /** Whether the site has let it in before: silence is an outage then, and no stranger's lot. */
  readonly isAdmitted?: boolean;
  /** Milliseconds since whenever, never backwards. */
  readonly clock: Clock;
  /** In [0, 1): spreads what many devices do after an outage. */
  readonly random: () => number;
}
