/**
 * How often devices may ask: each by its own rate, all together by another. Who is remembered has shown
 * its key first. Asking again whether a person has decided, and reporting, have rates of their own, so
 * that neither takes the place of an unlock.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Id } from "../../core/base/id.ts";
import { type Buckets, buckets, type Rate } from "../../core/services/token_bucket.ts";
import { type Config, rulesOf } from "./config.ts";

export type Errand = "ask" | "poll" | "report";

/** More devices than a site has; beyond, the one that was away longest begins with a full bucket. */
const most = 100_000;
/** A device that waits for a person asks every two seconds. */
const polls: Rate = { perSecond: 1, burst: 10 };
/** Of one unlock there are three or four reports. */
const reportsPerUnlock = 4;

export class Limits {
  readonly #config: Config;
  readonly #monotonic: Clock;
  readonly #everybody: Buckets;
  readonly #polls = buckets(polls, { most });
  /** By rate: most devices have the same. */
  readonly #byRate = new Map<string, Buckets>();

  /** @param monotonic milliseconds that never go backwards */
  constructor(config: Config, monotonic: Clock) {
    this.#config = config;
    this.#monotonic = monotonic;
    this.#everybody = buckets(config.rate_all, { most: 1 });
  }

  /** Gives 0, or the milliseconds after which the device may come again. */
  take(device: Id, errand: Errand): number {
    const now = this.#monotonic();
    if (errand === "poll") return this.#polls.take(device, now);
    const { rate: { perSecond, burst } } = rulesOf(this.#config, device);
    const times = errand === "report" ? reportsPerUnlock : 1;
    const own = this.#bucketsOf(errand, { perSecond: perSecond * times, burst: burst * times });
    return own.take(device, now) || (errand === "ask" ? this.#everybody.take("", now) : 0);
  }

  #bucketsOf(errand: Errand, rate: Rate): Buckets {
    const key = `${errand} ${rate.perSecond} ${rate.burst}`;
    let all = this.#byRate.get(key);
    if (all === undefined) this.#byRate.set(key, all = buckets(rate, { most }));
    return all;
  }
}
