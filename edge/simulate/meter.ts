/**
 * A meter played by this program: it measures, signs and sends as a real one would. It promises that
 * no reading is lost: what is measured waits, in order, until the fog has acknowledged it; it is sent
 * again, in the bytes first signed, through any outage. What has to wait is bounded, and lives in
 * memory only: a meter that is made anew begins at reading 1, so it needs a register of its own.
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
  type Reading,
  readingsType,
} from "../../core/wire/reading.ts";
import { EnergyRegister } from "./energy.ts";
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

export class SimulatedMeter implements AsyncDisposable {
  readonly id: Id;
  readonly keys: MeterKeys;
  readonly #options: MeterOptions;
  readonly #channel: Channel;
  readonly #energy = new EnergyRegister();
  readonly #stopping = new AbortController();
  /** Measured and not yet settled; the batch under way stays at its head. */
  readonly #waiting: Reading[] = [];
  /** Resolves with whether nothing waits; there while something does. */
  #sending: Promise<boolean> | undefined;
  #seq = 0;
  #sent = 0;
  #accepted = 0;
  #refused = 0;
  /** Why what is waiting waits. */
  #trouble: unknown;
  #isLetIn = false;

  /** Nothing is sent before the first reading. @throws ChannelError when the URL is of no known kind */
  constructor(options: MeterOptions) {
    const { suite, enrolment, id, keys, onApproval } = options;
    this.id = id;
    this.keys = keys ?? { noise: suite.x25519.keyPair(), signer: suite.ed25519.signer() };
    this.#options = options;
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

  /**
   * Takes the next reading, now; it is sent in the background.
   * @throws MeterError "queue_full": the load was not measured, the readings before it are kept;
   * "meter_stopped"
   */
  measure({ power_W, voltage_mV }: Load): void {
    const { clock, capacity = 100_000 } = this.#options;
    if (this.#stopping.signal.aborted) {
      throw new MeterError("meter_stopped", `Cannot measure: the meter "${this.id}" has stopped`);
    }
    if (this.#waiting.length >= capacity) {
      throw new MeterError(
        "queue_full",
        `Cannot measure: ${capacity} readings of the meter "${this.id}" wait for its site`,
        { hint: "bring the site back; what is waiting will be sent then", cause: this.#trouble },
      );
    }
    const t = clock();
    const energy_Wh = this.#energy.advance(t, power_W);
    this.#waiting.push({ seq: ++this.#seq, t, energy_Wh, power_W, voltage_mV, flags: 0 });
    this.#sending ??= this.#send();
  }

  /**
   * Resolves when nothing is waiting.
   * @throws MeterError "not_drained" when the signal aborts before, or the meter is stopped
   */
  async drained(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0) return;
    const { promise, resolve } = Promise.withResolvers<false>();
    const giveUp = () => resolve(false);
    signal.addEventListener("abort", giveUp);
    const isDrained = !signal.aborted && await Promise.race([this.#sending, promise]);
    signal.removeEventListener("abort", giveUp);
    if (isDrained) return;
    throw new MeterError(
      "not_drained",
      `Cannot drain the meter "${this.id}": ${this.#waiting.length} readings still wait`,
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
    await this.#channel[Symbol.asyncDispose]();
    await this.#sending;
  }

  /** Sends batch after batch until nothing waits. */
  async #send(): Promise<boolean> {
    const { suite, register = parseId("r1"), batch = maxBatch } = this.#options;
    while (this.#waiting.length > 0) {
      const readings = this.#waiting.slice(0, Math.min(batch, maxBatch));
      this.#sent += readings.length;
      const payload = encodeBatch({ meter: this.id, register, readings });
      const statement = signStatement(suite, this.keys.signer, readingsType, payload);
      const settled = await this.#deliver(statement, readings.length);
      if (settled === null) break;
      this.#accepted += settled.accepted;
      this.#refused += settled.refused;
      this.#waiting.splice(0, readings.length);
    }
    this.#sending = undefined;
    return this.#waiting.length === 0;
  }

  /** Repeats a batch until the fog has settled it; null when the meter is stopped before. */
  async #deliver(
    statement: Uint8Array,
    count: number,
  ): Promise<Omit<MeterStatistics, "sent"> | null> {
    const { log, random = Math.random, onApproval } = this.#options;
    const { signal } = this.#stopping;
    for (let wait = firstWait;; wait = Math.min(2 * wait, longestWait)) {
      try {
        const answer = await this.#channel.call(statement, { within: answerTime });
        const { accepted, duplicates, refused } = decodeReceipt(answer);
        if (accepted + duplicates + refused.length !== count) {
          throw new CodedError("receipt_short", "The receipt does not account for every reading");
        }
        if (refused.length > 0) log.warn("readings refused", { meter: this.id, refused });
        if (this.#trouble !== undefined) log.info("readings flow again", { meter: this.id });
        this.#trouble = undefined;
        if (!this.#isLetIn) onApproval?.(null);
        this.#isLetIn = true;
        return { accepted: accepted + duplicates, refused: refused.length };
      } catch (error) {
        if (signal.aborted) return null;
        if (error instanceof Refusal && final.has(error.code)) {
          log.warn("batch refused", { meter: this.id, readings: count, error });
          return { accepted: 0, refused: count };
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
