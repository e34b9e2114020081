/**
 * Who stands at the door: keys that came under a name and wait for a person's decision. The list lives
 * in memory only, since anybody can write to it; whoever waits repeats itself. It is bounded for each
 * name and in all, for each kind of proof apart: anybody can make keys, so however many of them come,
 * they never push out who holds a code; nor do those that prove nothing push out a proven key.
 */
import { equalBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { Applicant } from "../../trust/session/answerer.ts";
import type { PeerKind } from "../../wire/peer.ts";
import { type Name, PeerError } from "./_states.ts";

export interface Waiting extends Applicant {
  readonly kind: PeerKind;
  /** Unix milliseconds. */
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** How a person names the key: by what the device shows. */
export type Recognition = { readonly words: string } | { readonly fingerprint: string };

const limits = { code: 256, key: 256, none: 64 };
const perName = 4;
/** Who waits comes back every 10 minutes at the least. */
const patience = 15 * 60_000;
const wordsAge = 10 * 60_000;

export class Applicants {
  readonly #clock: Clock;
  readonly #fingerprint: (key: Uint8Array) => string;
  /** Whoever was heard last is last. */
  #waiting: Waiting[] = [];

  /** @param options.fingerprint gives a key as people see it */
  constructor(options: { clock: Clock; fingerprint: (key: Uint8Array) => string }) {
    this.#clock = options.clock;
    this.#fingerprint = options.fingerprint;
  }

  /** Notes that somebody has come. Returns whether they are new. */
  note(kind: PeerKind, applicant: Applicant): boolean {
    const now = this.#clock();
    this.#dropWhere((one) => this.#age(one) > patience);
    const isSame = (one: Waiting) =>
      one.kind === kind && one.device === applicant.device && equalBytes(one.key, applicant.key);
    const before = this.#waiting.find(isSame);
    // a proof that was given stays given, and the newest words are those that the device shows
    if (before !== undefined && isProven(before) && !isProven(applicant)) return false;
    this.#dropWhere(isSame);
    this.#waiting.push({ ...applicant, kind, firstSeen: before?.firstSeen ?? now, lastSeen: now });
    const alike = this.#waiting.filter(({ proof }) => proof === applicant.proof);
    const mine = alike.filter((one) => one.kind === kind && one.device === applicant.device);
    if (mine.length > perName) this.#dropWhere((one) => one === mine[0]);
    else if (alike.length > limits[applicant.proof]) this.#dropWhere((one) => one === alike[0]);
    return before === undefined;
  }

  /** Whether this key waits under this name. */
  has(kind: PeerKind, { device, key }: Applicant): boolean {
    return this.of({ kind, id: device }).some((one) => equalBytes(one.key, key));
  }

  /** Everybody who was heard lately: better proofs first, then who came first. */
  list(): readonly Waiting[] {
    return this.#waiting.filter((one) => this.#age(one) <= patience)
      .sort((a, b) => rank[a.proof] - rank[b.proof] || a.firstSeen - b.firstSeen);
  }

  of({ kind, id }: Name): readonly Waiting[] {
    return this.list().filter((one) => one.kind === kind && one.device === id);
  }

  /** Finds the one whom a person means. @throws PeerError, with what to do instead */
  recognise(name: Name, by: Recognition): Waiting {
    const here = this.of(name);
    if (here.length === 0) {
      throw new PeerError("applicant_unknown", `Nobody waits as ${name.kind} "${name.id}"`, {
        hint: "`edgeward peers list` shows who waits; while the site is open to them " +
          "(`edgeward peers open`), devices come back within 10 minutes",
      });
    }
    const found = here.find((one) =>
      "words" in by
        ? one.words !== null && one.words === plainWords(by.words)
        : isFingerprint(by.fingerprint, this.#fingerprint(one.key))
    );
    if (found === undefined) {
      const what = "words" in by ? "these words" : "this fingerprint";
      throw new PeerError("words_differ", `Nobody who waits as "${name.id}" shows ${what}`, {
        hint: "if the device shows exactly this, somebody may sit in between: do not approve it",
      });
    }
    if (!isProven(found)) {
      throw new PeerError("applicant_unproven", "The key is not proven: it may be anybody's", {
        hint: "approve the device by its install code: --code CODE",
      });
    }
    if ("words" in by && this.#age(found) > wordsAge) {
      throw new PeerError("words_expired", "The words are older than 10 minutes", {
        hint: "the device will show new ones: compare those",
      });
    }
    return found;
  }

  forget({ kind, id }: Name): void {
    this.#dropWhere((one) => one.kind === kind && one.device === id);
  }

  /** The names under which a key waits. */
  namesOf(key: Uint8Array): readonly Name[] {
    return this.list().filter((one) => equalBytes(one.key, key))
      .map(({ kind, device }) => ({ kind, id: device }));
  }

  forgetKey(key: Uint8Array): void {
    this.#dropWhere((one) => equalBytes(one.key, key));
  }

  /** Milliseconds since somebody was heard, or that the clock was set back by since then. */
  #age({ lastSeen }: Waiting): number {
    return Math.abs(this.#clock() - lastSeen);
  }

  #dropWhere(is: (one: Waiting) => boolean): void {
    this.#waiting = this.#waiting.filter((one) => !is(one));
  }
}

const rank = { code: 0, key: 1, none: 2 };

export function isProven({ proof }: Applicant): boolean {
  return proof !== "none";
}

/** However people have typed them. */
function plainWords(text: string): string {
  return text.toLowerCase().split(/[^a-z]+/).filter((word) => word !== "").join(" ");
}

/** Whether a fingerprint as typed is the one that was shown: separators and case do not matter. */
export function isFingerprint(typed: string, shown: string): boolean {
  const plain = (text: string) => text.toLowerCase().replace(/[^0-9a-z]/g, "");
  return plain(typed) === plain(shown);
}
