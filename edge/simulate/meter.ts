/**
 * A meter played by this program: it measures, signs and sends as a real one would. It promises that
 * no reading is lost: what is measured waits, in order, until the fog has acknowledged it; it is sent
 * again, in the bytes first signed, through any outage. A reading that the fog takes for one from the
 * future is not given up at once, as either clock may be wrong. What has to wait is bounded, and lives
 * in memory only: a meter that is made anew begins at reading 1, so it needs a register of its own.
 */
import type { Clock } from "../../core/base/clock.ts";
import { CodedError } from "../../core/base/errors.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Log } from "../../core/services/logging.ts";
import { pause } from "../../core/services/pause.ts";
import {
  type Channel,
  ChannelError,
  dial,
  Refusal,
  type Remote,
} from "../../core/services/sessions/mod.ts";
import type { KeyPair, Signer, Suite } from "../../core/trust/crypto.ts";
import { signStatement } from "../../core/trust/statement.ts";
import {
  decodeReceipt,
  encodeBatch,
  maxBatch,
  type ReadingRefusal,
  readingsType,
} from "../../core/wire/reading.ts";
import { Backlog, type Batch, newIn, readingsOf, type Settled } from "./backlog.ts";
import { Instrument, type Measured } from "./instrument.ts";
import type { Misbehaviour, Mischief, Misdeeds } from "./misbehaviour.ts";
import type { Load } from "./source.ts";

/** Who the meter is: its site binds both keys to it when it enrols. */
export interface MeterKeys {
  readonly noise: KeyPair;
  readonly signer: Signer;
}

export interface MeterOptions {
  readonly suite: Suite;
  /** An enrolment, or as much of one as the meter knows: without a code it waits for approval. */
  readonly enrolment: Remote;
  readonly id: Id;
  /** Stamps the readings. */
  readonly clock: Clock;
  readonly log: Log;
  /** Hears the words that the meter shows while it waits for approval, and null when it is let in. */
  readonly onApproval?: (words: string | null) => void;
  /** "r1" unless said. */
  readonly register?: Id;
  /** New ones unless given. */
  readonly keys?: MeterKeys;
  /** Readings in one call at the most: 512 unless said, which is also the most. */
  readonly batch?: number;
  /** Readings that may wait: 100,000 unless said. */
  readonly capacity?: number;
  /** In [0, 1): spreads the repetitions of many meters. */
  readonly random?: () => number;
  /** Behaves well unless told. */
  readonly mischief?: Mischief;
  /** Hears of each reading once, when the fog has said that it is safe, or that it will not have it. */
  readonly onSettled?: (measured: Measured, outcome: "accepted" | "refused") => void;
  /** Milliseconds that only ever rise; those of the process unless given. */
  readonly now?: Clock;
}

/** Readings, each counted once. Once nothing waits, `sent` is `accepted` and `refused` together. */
export interface MeterStatistics {
  /** Handed to the wire at least once. */
  readonly sent: number;
  /** Acknowledged by the fog: they are on its disk. */
  readonly accepted: number;
  /** The fog will not have them. */
  readonly refused: number;
}

export class MeterError extends CodedError<"queue_full" | "not_drained" | "meter_stopped"> {
  override readonly name = "MeterError";
}

/** Refusals of a batch as it is: the same bytes would be refused again. */
const final = new Set([
  ...["malformed", "wrong_type", "wrong_algorithm", "wrong_key", "forged", "wrong_meter"],
]);
/** Milliseconds for an answer: then the batch counts as in trouble and is repeated. */
const answerTime = 10_000;
const firstWait = 250;
const longestWait = 30_000;
/** Longer than anything is held back; a new reading or the end of the run wakes the meter earlier. */
const longestRest = 60_000;

export class SimulatedMeter implements AsyncDisposable {
  readonly id: Id;
  readonly keys: MeterKeys;
  readonly #options: MeterOptions;
  readonly #channel: Channel;
  readonly #instrument: Instrument;
  readonly #backlog: Backlog;
  readonly #stopping = new AbortController();
  /** There while nothing that waits is due; aborted when that may have changed. */
  #rest: AbortController | undefined;
  /** Resolves with whether nothing waits; there while something does. */
  #sending: Promise<boolean> | undefined;
  #sent = 0;
  #accepted = 0;
  #refused = 0;
  readonly #misdeeds: Partial<Record<Misbehaviour, number>> = {};
  /** Why what is waiting waits. */
  #trouble: unknown;
  #isLetIn = false;
  #isAhead = false;

  /** Nothing is sent before the first reading. @throws ChannelError when the URL is of no known kind */
  constructor(options: MeterOptions) {
    const { suite, enrolment, id, keys, onApproval, register = parseId("r1") } = options;
    this.id = id;
    this.keys = keys ?? { noise: suite.x25519.keyPair(), signer: suite.ed25519.signer() };
    this.#options = options;
    const onMisdeed = (kind: Misbehaviour, count: number) => {
      this.#misdeeds[kind] = (this.#misdeeds[kind] ?? 0) + count;
    };
    this.#instrument = new Instrument({ ...options, register, onMisdeed });
    this.#backlog = new Backlog({ ...options, onMisdeed });
    this.#channel = dial(enrolment, {
      ...options,
      device: id,
      purpose: "meter",
      staticKey: this.keys.noise,
      signKey: this.keys.signer.publicKey,
      onWords(words) {
        if (words !== null) onApproval?.(words);
      },
    });
  }

  get statistics(): MeterStatistics {
    return { sent: this.#sent, accepted: this.#accepted, refused: this.#refused };
  }

  get misdeeds(): Misdeeds {
    return { ...this.#misdeeds };
  }

  /**
   * Takes the next reading, now; it is sent in the background.
   * @throws MeterError "queue_full": the load was not measured, the readings before it are kept;
   * "meter_stopped"
   */
  measure(load: Load): void {
    const { capacity = 100_000 } = this.#options;
    if (this.#stopping.signal.aborted) {
      throw new MeterError("meter_stopped", `Cannot measure: the meter "${this.id}" has stopped`);
    }
    if (this.#backlog.size >= capacity) {
      throw new MeterError(
        "queue_full",
        `Cannot measure: ${capacity} readings of the meter "${this.id}" wait for its site`,
        { hint: "bring the site back; what is waiting will be sent then", cause: this.#trouble },
      );
    }
    this.#backlog.add(this.#instrument.read(load), this.#now());
    this.#sending ??= this.#send();
    this.#rest?.abort();
  }

  /**
   * Resolves when nothing is waiting; until then nothing is held back on purpose.
   * @throws MeterError "not_drained" when the signal aborts before, or the meter is stopped
   */
  async drained(signal: AbortSignal): Promise<void> {
    if (this.#backlog.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<false>();
    const giveUp = () => resolve(false);
    signal.addEventListener("abort", giveUp);
    this.#backlog.flush(this.#now());
    this.#rest?.abort();
    const isDrained = !signal.aborted && await Promise.race([this.#sending, promise]);
    this.#backlog.rest();
    signal.removeEventListener("abort", giveUp);
    if (isDrained) return;
    throw new MeterError(
      "not_drained",
      `Cannot drain the meter "${this.id}": ${this.#backlog.size} readings still wait`,
      {
        hint: this.#mustWait(this.#trouble)
          ? "it waits for approval: `edgeward peers list` at its site, then `edgeward peers approve`"
          : "is its site running, at the address of its enrolment?",
        cause: this.#trouble,
      },
    );
  }

  /** Stops at once; what is waiting is given up, so drain first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#rest?.abort();
    await this.#channel[Symbol.asyncDispose]();
    await this.#sending;
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }

  /** Sends batch after batch until nothing waits. */
  async #send(): Promise<boolean> {
    const { suite, batch: most = maxBatch } = this.#options;
    while (this.#backlog.size > 0 && !this.#stopping.signal.aborted) {
      const batch = this.#backlog.take(this.#now(), Math.min(most, maxBatch));
      if (batch === null) {
        await this.#untilDue();
        continue;
      }
      this.#sent += newIn(batch);
      const { register } = batch[0];
      const payload = encodeBatch({ meter: this.id, register, readings: readingsOf(batch) });
      const statement = signStatement(suite, this.keys.signer, readingsType, payload);
      const refused = await this.#deliver(statement, batch);
      if (refused === null) break;
      this.#account(this.#backlog.settle(batch, refused, this.#now()));
    }
    this.#sending = undefined;
    return this.#backlog.size === 0;
  }

  async #untilDue(): Promise<void> {
    const now = this.#now();
    this.#rest = new AbortController();
    await pause(Math.min(longestRest, this.#backlog.dueAt(now) - now), this.#rest.signal);
    this.#rest = undefined;
  }

  #account({ accepted, refused, postponed }: Settled): void {
    const { log, onSettled } = this.#options;
    this.#accepted += accepted.length;
    this.#refused += refused.length;
    for (const measured of accepted) onSettled?.(measured, "accepted");
    for (const measured of refused) onSettled?.(measured, "refused");
    // one line when it begins, and none while it lasts
    if (postponed > 0 && !this.#isAhead) {
      log.warn("readings kept, to be sent again: they are ahead of the site's clock", {
        meter: this.id,
        readings: postponed,
      });
    }
    if (postponed > 0) this.#isAhead = true;
    else if (accepted.length > 0) this.#isAhead = false;
  }

  /** Repeats a batch until the fog has settled it: what it refuses; null when the meter is stopped. */
  async #deliver(
    statement: Uint8Array,
    batch: Batch,
  ): Promise<ReadonlyMap<number, ReadingRefusal> | null> {
    const { log, random = Math.random, onApproval } = this.#options;
    const { signal } = this.#stopping;
    for (let wait = firstWait;; wait = Math.min(2 * wait, longestWait)) {
      try {
        const answer = await this.#channel.call(statement, { within: answerTime });
        const { accepted, duplicates, refused } = decodeReceipt(answer);
        if (accepted + duplicates + refused.length !== batch.length) {
          throw new CodedError("receipt_short", "The receipt does not account for every reading");
        }
        const final = refused.filter(({ reason }) => reason !== "future");
        if (final.length > 0) log.warn("readings refused", { meter: this.id, refused: final });
        if (this.#trouble !== undefined) log.info("readings flow again", { meter: this.id });
        this.#trouble = undefined;
        if (!this.#isLetIn) onApproval?.(null);
        this.#isLetIn = true;
        return new Map(refused.map(({ seq, reason }) => [seq, reason]));
      } catch (error) {
        if (signal.aborted) return null;
        if (error instanceof Refusal && final.has(error.code)) {
          log.warn("batch refused", { meter: this.id, readings: batch.length, error });
          return new Map(batch.map(({ reading }) => [reading.seq, "implausible"]));
        }
        // one line when the trouble begins is enough, and none for what is as it should be
        const isPatient = this.#mustWait(error);
        const isNews = this.#trouble === undefined && !isPatient;
        log[isNews ? "warn" : "debug"]("readings wait", { meter: this.id, error });
        this.#trouble = error;
        // how long to wait is up to the session then, and it goes on only while it has a call
        if (isPatient) wait = firstWait;
      }
      await pause(wait * (0.5 + random() / 2), signal);
      if (signal.aborted) return null;
    }
  }

  /** Whether a person has to decide first. A site that is known by its key says so by silence, too. */
  #mustWait(trouble: unknown): boolean {
    if (this.#isLetIn || !(trouble instanceof ChannelError)) return false;
    const { code, noiseKey } = this.#options.enrolment;
    const bySilence = code === undefined && noiseKey !== undefined;
    return trouble.code === "pending" || bySilence && trouble.code === "no_answer";
  }
}
