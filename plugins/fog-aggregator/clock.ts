/**
 * What time it is, by the best that the fog knows. The host's clock counts as long as nothing speaks
 * against it; a time that the cloud has told counts more, and goes on by a clock that nobody can set.
 * While there is doubt, nothing may be decided by the time: readings wait, windows stay open.
 *
 * What speaks against the host's clock: that it is before a time which this fog has stored, or before
 * this program was written; and meters whose clocks are ahead of it, if they are more than those that
 * agree, or from whose clocks it has jumped away. Every enrolled meter has one voice. Pure: both clocks are arguments.
 */
import type { Clock } from "../../core/base/clock.ts";

/** How far the host's clock may be from the cloud's, in milliseconds, and still be right. */
export const tolerance = 30_000;
/** How far ahead of the fog's clock a meter's may be. */
export const maxAhead = 120_000;

/** Before and after these, a time is a mistake: 2023-01-01 and 2100-01-01. */
const earliest = 1_672_531_200_000;
const latest = 4_102_444_800_000;
/** How far the host's clock may be before the newest time stored: it may have been corrected a bit. */
const backwards = 300_000;
/** How long what a meter said counts, and of how many meters it is kept. */
const memory = 3_600_000;
const meterLimit = 10_000;
/** For how long, and within what, a meter is taken to say the same as before. */
const refresh = 60_000;
const sameTime = 10_000;
/**
 * After a start, meters bring what they have kept meanwhile: readings that seem to agree with a clock
 * which stands where it was switched off. In this time, agreement says nothing.
 */
const settling = 60_000;
/** Meters that must agree with a clock which is before the newest time stored. */
const quorum = 3;
/** What the cloud tells is of use when it is at least this certain. */
const maxUncertainty = 60_000;
/** How far apart two clocks may drift, in parts. */
const drift = 0.0002;
/** How often voices are counted anew when none has changed. */
const recount = 1_000;

/** A time that the cloud told. */
interface Reference {
  readonly t: number;
  /** On the monotonic clock. */
  readonly at: number;
  readonly uncertainty: number;
  /** How far the host's clock was ahead then. */
  readonly lead: number;
}

interface Voice {
  /** What the meter's clock shows when the monotonic one is at 0. */
  readonly base: number;
  /** On the monotonic clock. */
  readonly at: number;
}

/** How many meters' clocks agree with ours, are ahead of it, and have been left behind by it. */
interface Count {
  readonly near: number;
  readonly ahead: number;
  readonly behind: number;
  /** What our clock showed when the monotonic one was at 0: it is constant unless ours jumps. */
  readonly base: number;
  /** When it was counted, on the monotonic clock. */
  readonly at: number;
}

export class FogClock {
  readonly #wall: Clock;
  readonly #monotonic: () => number;
  readonly #began: number;
  readonly #wallAtStart: number;
  readonly #voices = new Map<string, Voice>();
  #newest: number;
  #reference: Reference | undefined;
  #count: Count = { near: 0, ahead: 0, behind: 0, base: 0, at: -Infinity };

  /**
   * @param wall the host's clock
   * @param options.newest the newest time that the fog has stored
   * @param options.monotonic milliseconds from any beginning, that only grow
   */
  constructor(
    wall: Clock,
    { newest = 0, monotonic = () => performance.now() }: {
      newest?: number;
      monotonic?: () => number;
    } = {},
  ) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#newest = newest;
    this.#began = monotonic();
    this.#wallAtStart = wall();
  }

  /** Unix milliseconds by best knowledge, whole. */
  now(): number {
    const wall = this.#wall();
    const told = this.#told();
    if (told === undefined || this.#agrees(wall, told)) return wall;
    return Math.round(told.now);
  }

  /** How far `now` is from the host's clock. */
  get offset(): number {
    return this.now() - this.#wall();
  }

  /**
   * A time that passes evenly from the start of this process on, whatever becomes of the clocks: what
   * has it on record can be dated later, by how far it is from `now` then.
   */
  steady(): number {
    return Math.round(this.#wallAtStart + this.#monotonic() - this.#began);
  }

  /** Why the time cannot be relied on, or null. */
  get doubt(): string | null {
    const wall = this.#wall();
    const told = this.#told();
    if (told !== undefined) {
      // what the cloud saw of the host's clock still holds: no meter knows better
      if (this.#agrees(wall, told) || this.#isAsSeen(wall, told)) return null;
      return this.#meters(told.now);
    }
    if (wall < earliest) return "this host's clock has not been set since it was switched on";
    const meters = this.#meters(wall);
    if (meters !== null) return meters;
    if (wall < this.#newest - backwards && !this.#haveMetersAgreed()) {
      const behind = seconds(this.#newest - wall);
      return `this host's clock is ${behind} before the newest reading that this fog has stored`;
    }
    if (wall > this.#newest) this.#newest = wall;
    return null;
  }

  /** What an operator should know although the time can be relied on, or null. */
  get trouble(): string | null {
    const wall = this.#wall();
    const told = this.#told();
    if (told === undefined || this.#agrees(wall, told)) return null;
    const apart = Math.round(wall - told.now);
    const side = apart < 0 ? "behind" : "ahead of";
    return `this clock is ${
      seconds(Math.abs(apart))
    } ${side} the cloud's; the cloud's time is used`;
  }

  /**
   * The cloud has told its time over an authenticated session. @param t its clock when it answered
   * @param uncertainty half of the time that the call took, in milliseconds
   */
  learn(t: number, uncertainty: number): void {
    if (!(t >= earliest && t <= latest && uncertainty >= 0 && uncertainty <= maxUncertainty)) {
      return;
    }
    const middle = t + uncertainty;
    this.#reference = {
      t: middle,
      at: this.#monotonic(),
      uncertainty,
      lead: this.#wall() - middle,
    };
  }

  /** An authenticated meter has measured now, it says. What is long past says nothing. */
  hear(meter: string, t: number): void {
    if (t < earliest || t > latest) return;
    const at = this.#monotonic();
    const base = t - at;
    const before = this.#voices.get(meter);
    // every batch comes by here: what changes nothing is not written down
    const isSame = before !== undefined && Math.abs(before.base - base) < sameTime;
    if (isSame && at - before.at < refresh) return;
    const lead = t - this.now();
    if (!isSame && lead < -maxAhead) return;
    this.#voices.delete(meter);
    this.#voices.set(meter, { base, at });
    if (this.#voices.size > meterLimit) this.#voices.delete(this.#voices.keys().next().value!);
    // doubt begins at once, everything else with the next count
    if (lead > maxAhead) {
      const was = before === undefined ? -Infinity : lead + before.base - base;
      const { near, ahead } = this.#count;
      this.#count = {
        ...this.#count,
        ahead: was > maxAhead ? ahead : ahead + 1,
        near: was >= -maxAhead && was <= maxAhead ? Math.max(0, near - 1) : near,
      };
    }
  }

  /** What the cloud's clock shows now, and how far it may be off. */
  #told(): { now: number; within: number; lead: number } | undefined {
    if (this.#reference === undefined) return undefined;
    const { t, at, uncertainty, lead } = this.#reference;
    const elapsed = this.#monotonic() - at;
    return { now: t + elapsed, within: tolerance + uncertainty + drift * elapsed, lead };
  }

  #agrees(wall: number, told: { now: number; within: number }): boolean {
    return Math.abs(wall - told.now) <= told.within;
  }

  #isAsSeen(wall: number, told: { now: number; within: number; lead: number }): boolean {
    return Math.abs(wall - told.now - told.lead) <= told.within;
  }

  #meters(now: number): string | null {
    const { near, ahead, behind } = this.#counted(now);
    const all = near + ahead + behind;
    if (ahead > 0 && (!this.#isSettled() || ahead > near)) {
      return `this host's clock is behind those of ${ahead} of ${all} meters`;
    }
    // meters that agreed or were ahead are behind now: it was our clock that jumped
    if (this.#isSettled() && behind > near) {
      return `this host's clock has jumped ahead of those of ${behind} of ${all} meters`;
    }
    return null;
  }

  #haveMetersAgreed(): boolean {
    return this.#isSettled() && this.#count.near >= quorum;
  }

  #isSettled(): boolean {
    return this.#monotonic() - this.#began >= settling;
  }

  #counted(now: number): Count {
    const at = this.#monotonic();
    const base = now - at;
    const last = this.#count;
    if (at - last.at < recount && Math.abs(base - last.base) < sameTime) return last;
    let near = 0, ahead = 0, behind = 0;
    for (const [meter, voice] of this.#voices) {
      if (at - voice.at > memory) {
        this.#voices.delete(meter);
        continue;
      }
      const lead = voice.base - base;
      if (lead > maxAhead) ahead++;
      else if (lead >= -maxAhead) near++;
      else behind++;
    }
    return this.#count = { near, ahead, behind, base, at };
  }
}

function seconds(milliseconds: number): string {
  const whole = Math.round(milliseconds / 1_000);
  return `${whole.toLocaleString("en")} s`;
}
