/**
 * Checks signatures on other threads for whoever has many to check: it is the dearest part of taking a
 * reading. There are as many as cores but one, which is busy with everything else. A few are checked at
 * once, where they are: a site that has little to do starts no thread and answers sooner. With more
 * waiting, threads start and get them in groups.
 */
import { CodedError } from "../base/errors.ts";
import type { Verifier } from "../trust/crypto.ts";
import { packSignatures, type SignatureToCheck } from "./_verification_message.ts";
import { ThreadPool } from "./_thread_pool.ts";
import type { Log } from "./logging.ts";

export interface Verification {
  /**
   * Whether an Ed25519 signature is right, by the rules of the Suite whose verifier it is.
   * @throws CodedError "overloaded" when too many wait
   */
  verify(key: Verifier, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

interface Waiting extends SignatureToCheck {
  readonly key: Verifier;
  readonly resolve: (verified: boolean) => void;
}

/** So few are not worth the way to another thread and back. */
const fewEnough = 4;
const groupLimit = 64;
const waitingLimit = 16_384;

export class VerificationPool implements Verification, Disposable {
  readonly #pool: ThreadPool<Waiting>;

  /**
   * @param options.threads 0 checks everything where it is; one per core but one unless given
   * @param options.program what the threads run, for tests
   */
  constructor({ log, threads, program }: { log: Log; threads?: number; program?: URL }) {
    this.#pool = new ThreadPool<Waiting>({
      name: "verification",
      program: program ?? new URL("./_verification_thread.ts", import.meta.url),
      threads: threads ?? navigator.hardwareConcurrency - 1,
      log,
      complaint: "checking signatures on other threads failed",
      few: { count: fewEnough, while: "idle" },
      groupLimit,
      pack: packSignatures,
      settle(group, answer) {
        const verdicts = new Uint8Array(answer);
        group.forEach(({ resolve }, i) => resolve(verdicts[i] === 1));
      },
      doHere: ({ key, message, signature, resolve }) => resolve(key.verify(message, signature)),
    });
  }

  verify(key: Verifier, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (signature.length !== 64) return Promise.resolve(false);
    if (!this.#pool.isOpen) return Promise.resolve(key.verify(message, signature));
    if (this.#pool.waiting >= waitingLimit) {
      const message = "Cannot check the signature: too many are waiting";
      return Promise.reject(new CodedError("overloaded", message));
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#pool.push({ key, publicKey: key.publicKey, message, signature, resolve });
    return promise;
  }

  /** Ends the threads; what still waits is checked here. */
  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
  }
}
