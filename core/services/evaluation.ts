/**
 * Evaluates with a gateway's share on other threads: it is the dearest part of opening a volume, and
 * after a blackout every device asks at once. A single one is evaluated where it is while no thread
 * runs, so that a gateway with one device starts none.
 *
 * Shares are wiped wherever this puts them: the copies that wait here, and the messages in the threads.
 * Not so with a thread that is ended while it works: what it holds then goes back to the system as it
 * is, and so do the big integers that the arithmetic leaves behind.
 */
import { CodedError } from "../base/errors.ts";
import type { Suite } from "../trust/crypto.ts";
import type { Answer } from "../trust/share/scheme.ts";
import { evaluate } from "../trust/share/voprf.ts";
import {
  type EvaluationTask,
  isSendable,
  packEvaluations,
  unpackAnswers,
} from "./_evaluation_message.ts";
import { ThreadPool } from "./_thread_pool.ts";
import type { Log } from "./logging.ts";

export interface Evaluation {
  /**
   * What `evaluate` of core/trust/share answers. The share may be wiped as soon as this returns.
   * @throws ShareError as `evaluate` does; CodedError "overloaded" when too many wait
   */
  evaluate(task: {
    share: Uint8Array;
    publicShare: Uint8Array;
    input: Uint8Array;
    proof: boolean;
  }): Promise<Answer>;
}

interface Waiting extends EvaluationTask {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A group is answered as one, so the first of it waits for the last: 13 ms on a fast machine. */
const groupLimit = 8;
const waitingLimit = 1_024;

export class EvaluationPool implements Evaluation, Disposable {
  readonly #suite: Suite;
  readonly #pool: ThreadPool<Waiting>;

  /**
   * @param options.suite for what is evaluated here
   * @param options.threads 0 evaluates everything where it is; one per core unless given
   * @param options.program what the threads run, for tests
   */
  constructor({ log, suite, threads, program }: {
    log: Log;
    suite: Suite;
    threads?: number;
    program?: URL;
  }) {
    const cores = navigator.hardwareConcurrency;
    this.#suite = suite;
    this.#pool = new ThreadPool<Waiting>({
      name: "evaluation",
      program: program ?? new URL("./_evaluation_thread.ts", import.meta.url),
      threads: threads ?? (cores > 1 ? cores : 0),
      log,
      complaint: "evaluating on other threads failed",
      few: { count: 1, while: "not started" },
      groupLimit,
      pack: packEvaluations,
      settle: (group, message) => {
        const answers = unpackAnswers(message);
        group.forEach((waiting, i) => {
          const answer = answers[i] ?? null;
          // what failed there fails here, too, with the error itself
          if (answer === null) return this.#evaluateHere(waiting);
          waiting.share.fill(0);
          waiting.resolve(answer);
        });
      },
      doHere: (waiting) => this.#evaluateHere(waiting),
    });
  }

  // async, so that whatever is thrown rejects
  async evaluate(task: EvaluationTask): Promise<Answer> {
    if (!this.#pool.isOpen || !isSendable(task)) return evaluate(this.#suite, task);
    if (this.#pool.waiting >= waitingLimit) {
      throw new CodedError("overloaded", "Cannot evaluate: too many are waiting");
    }
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const { share, publicShare, input, proof } = task;
    this.#pool.push({ share: share.slice(), publicShare, input, proof, resolve, reject });
    return await promise;
  }

  /** Ends the threads; what still waits is evaluated here. */
  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
  }

  #evaluateHere(waiting: Waiting): void {
    try {
      waiting.resolve(evaluate(this.#suite, waiting));
    } catch (error) {
      waiting.reject(error);
    } finally {
      waiting.share.fill(0);
    }
  }
}
