/**
 * Brings this site's checkpoints to its witnesses. All are asked for the same one, and for the next
 * when enough have signed it or nobody is left to ask, so that a log which never rests is witnessed
 * nevertheless. A witness has one question at a time; one that fails is left alone for a while, longer
 * each time.
 */
import type { Suite } from "../../trust/crypto.ts";
import { parseCheckpoint } from "../../trust/log/checkpoint.ts";
import { parseNote } from "../../trust/log/note.ts";
import { messageOf } from "../../base/errors.ts";
import type { pause } from "../pause.ts";
import { newestAt, type RemoteWitness, submit } from "./_ask.ts";
import type { Cosignatures, Place } from "./_cosignatures.ts";
import { splitOrigin } from "./_keys.ts";
import type { SiteLog } from "./site_log.ts";

export interface SubmitterOptions {
  readonly suite: Suite;
  readonly witnesses: readonly RemoteWitness[];
  readonly quorum: number;
  readonly log: SiteLog;
  readonly cosignatures: Cosignatures;
  readonly signal: AbortSignal;
  readonly pause: typeof pause;
  readonly random: () => number;
  /** Gets a checkpoint that this site has signed and a witness has, which may contradict the log. */
  readonly onDoubt: (note: string) => void;
  /** Hears of every answer: null, or why there is none. */
  readonly onOutcome: (outcome: { witness: string; trouble: string | null }) => void;
}

/** How a witness is, for people. */
export interface WitnessStatus {
  readonly url: string;
  readonly name: string;
  /** Entries of this log that it has cosigned. */
  readonly size: number;
  /** Why the last question had no answer; null when it had. */
  readonly error: string | null;
}

interface Asked {
  readonly witness: RemoteWitness;
  isBusy: boolean;
  /** Failures one after the other. */
  failures: number;
  error: string | null;
  /** What it says that it has cosigned, where that is not what it signed for this site. */
  claims: Place | null;
}

/** The first and the longest rest after a failure, in milliseconds. */
const firstRest = 1_000;
const longestRest = 300_000;
/** How long the first signature waits for what witnesses remember. */
const hearing = 3_000;

export class Submitter {
  readonly #options: SubmitterOptions;
  readonly #asked: readonly Asked[];
  readonly #working = new Set<Promise<void>>();
  /** The checkpoint that everyone is asked for, signed by the log. */
  #candidate: (Place & { readonly note: string }) | null = null;

  constructor(options: SubmitterOptions) {
    this.#options = options;
    this.#asked = options.witnesses.map((witness) => ({
      ...{ witness, isBusy: false, failures: 0, error: null, claims: null },
    }));
  }

  /**
   * What the witnesses have of this log, the newest first: to be asked before anything is signed. Who
   * does not answer soon is not waited for; a site without a network goes on.
   */
  async remembered(): Promise<string[]> {
    const { suite, log, pause, signal, onOutcome } = this.#options;
    const over = new AbortController();
    const asking = { suite, signal: AbortSignal.any([signal, over.signal]), from: log.generation };
    const answers = Promise.all(this.#asked.map(async (asked) => {
      try {
        return await newestAt(asked.witness, {
          ...asking,
          keyOf: (generation) => log.keyOf(generation),
        });
      } catch (error) {
        asked.error = messageOf(error);
        onOutcome({ witness: asked.witness.key.name, trouble: asked.error });
        return null;
      }
    }));
    void pause(hearing, asking.signal).then(() => over.abort());
    const notes = (await answers).filter((note) => note !== null);
    over.abort();
    const said = notes.map((note) => {
      const { origin, size } = parseCheckpoint(parseNote(note).text);
      return { note, size, generation: splitOrigin(origin).generation };
    });
    // a generation that begins has to be newer than all of them
    said.sort((a, b) => b.generation - a.generation || b.size - a.size);
    return said.map(({ note }) => note);
  }

  /** To be called when there may be something to do, and now and then. */
  turn(): void {
    const { log: { checkpoint }, signal } = this.#options;
    if (checkpoint === null || signal.aborted) return;
    if (this.#candidate === null || this.#isSettled(this.#candidate)) {
      const { origin, size } = parseCheckpoint(parseNote(checkpoint).text);
      this.#candidate = { origin, size, note: checkpoint };
    }
    const candidate = this.#candidate;
    for (const asked of this.#asked) {
      if (asked.isBusy || this.#hasSigned(asked, candidate)) continue;
      asked.isBusy = true;
      const work = this.#ask(asked, candidate).finally(() => {
        asked.isBusy = false;
        this.#working.delete(work);
        this.turn();
      });
      this.#working.add(work);
    }
  }

  status(): WitnessStatus[] {
    const { key } = this.#options.log;
    return this.#asked.map(({ witness, error }) => {
      const last = this.#options.cosignatures.last(witness.key.name);
      const size = last?.origin === key.name ? last.size : 0;
      return { url: witness.url, name: witness.key.name, size, error };
    });
  }

  /** Resolves when no question is open any more; the signal ends them. */
  async ended(): Promise<void> {
    await Promise.all(this.#working);
  }

  /** Enough have signed it, or nobody else can be asked now, or it is of a log that has ended. */
  #isSettled(candidate: Place): boolean {
    const { cosignatures, quorum, log } = this.#options;
    return candidate.origin !== log.key.name || cosignatures.count(candidate) >= quorum ||
      this.#asked.every((asked) =>
        this.#hasSigned(asked, candidate) || (asked.isBusy && asked.failures > 0)
      );
  }

  #hasSigned({ witness }: Asked, { origin, size }: Place): boolean {
    const last = this.#options.cosignatures.last(witness.key.name);
    return last?.origin === origin && last.size >= size;
  }

  /** Asks a witness, and lets it rest where it fails. */
  async #ask(asked: Asked, candidate: Place & { note: string }): Promise<void> {
    const { signal, pause, random, onOutcome } = this.#options;
    const witness = asked.witness.key.name;
    try {
      await this.#submit(asked, candidate);
      asked.failures = 0;
      asked.error = null;
      onOutcome({ witness, trouble: null });
    } catch (error) {
      if (signal.aborted) return;
      asked.error = messageOf(error);
      onOutcome({ witness, trouble: asked.error });
      const ceiling = Math.min(longestRest, firstRest * 2 ** Math.min(asked.failures++, 16));
      this.turn(); // the others need not wait for this one
      await pause(ceiling * (0.5 + random() / 2), signal);
    }
  }

  async #submit(asked: Asked, candidate: Place & { note: string }): Promise<void> {
    const { suite, log, cosignatures, signal, onDoubt } = this.#options;
    const { witness } = asked;
    const { name } = witness.key;
    const { origin, size, note: checkpoint } = candidate;
    const last = [asked.claims, cosignatures.last(name)].find((one) => one?.origin === origin);
    let old = last?.size ?? 0;
    // the second time with the size that it said
    for (const isLast of [false, true]) {
      const proof = await log.consistency(old, size);
      if (origin !== log.key.name) return; // it ended meanwhile, and the proof with it
      const answer = await submit(witness, { suite, signal, old, proof, checkpoint });
      if (answer.kind === "cosigned") {
        asked.claims = null;
        await cosignatures.add(name, answer.signature, checkpoint);
        return;
      }
      if (answer.kind === "size" && answer.size <= size && !isLast) {
        old = answer.size;
        asked.claims = { origin, size: old };
        continue;
      }
      // it has signed more than there is, or something else: what, its own copy says
      const generation = log.generation;
      const keyOf = (generation: number) => log.keyOf(generation);
      const note = await newestAt(witness, { suite, signal, keyOf, from: generation });
      if (note !== null) onDoubt(note);
      throw new Error(
        answer.kind === "size"
          ? `it has cosigned ${answer.size} entries, and this checkpoint has ${size}`
          : "it does not find that the log only grew",
      );
    }
  }
}
