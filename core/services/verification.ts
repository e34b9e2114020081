/**
 * Checks signatures on other threads, one per core, for whoever has many to check: it is the dearest
 * part of taking a reading. A few are checked at once, where they are: a site that has little to do
 * starts no thread and answers sooner. With more waiting, threads start and get them in groups.
 */
import { setImmediate } from "node:timers";
import { CodedError } from "../base/errors.ts";
import type { Verifier } from "../trust/crypto.ts";
import { packSignatures, type SignatureToCheck } from "./_verification_message.ts";
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

/** One of the threads, and what it was given, oldest first. */
interface Thread {
  readonly worker: Worker;
  readonly groups: (readonly Waiting[])[];
}

/** So few are not worth the way to another thread and back. */
const fewEnough = 4;
/** In one group at the most; two groups keep a thread busy while the answer to one is read. */
const groupLimit = 64;
const groupsUnderWay = 2;
const waitingLimit = 16_384;
/** More cores than that are not kept busy by one thread that writes to disk. */
const maxThreads = 4;

export class VerificationPool implements Verification, Disposable {
  readonly #log: Log;
  readonly #size: number;
  readonly #program: URL;
  readonly #threads: Thread[] = [];
  #queue: Waiting[] = [];
  #isScheduled = false;
  #isClosed = false;

  /**
   * @param options.threads 0 checks everything where it is; one per core unless given
   * @param options.program what the threads run, for tests
   */
  constructor({ log, threads, program }: { log: Log; threads?: number; program?: URL }) {
    this.#log = log;
    this.#program = program ?? new URL("./_verification_thread.ts", import.meta.url);
    const cores = navigator.hardwareConcurrency;
    this.#size = threads ?? (cores > 1 ? Math.min(cores, maxThreads) : 0);
  }

  verify(key: Verifier, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (signature.length !== 64) return Promise.resolve(false);
    if (this.#size === 0 || this.#isClosed) return Promise.resolve(key.verify(message, signature));
    if (this.#queue.length >= waitingLimit) {
      const message = "Cannot check the signature: too many are waiting";
      return Promise.reject(new CodedError("overloaded", message));
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#queue.push({ key, publicKey: key.publicKey, message, signature, resolve });
    this.#schedule();
    return promise;
  }

  /** Ends the threads; what still waits is checked here. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#withdraw();
    this.#checkAllHere();
  }

  /** Waits until whatever has arrived by now has been read: it makes one group. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#distribute();
    });
  }

  #distribute(): void {
    if (this.#queue.length === 0) return;
    if (this.#isClosed) return this.#checkAllHere();
    const isIdle = this.#threads.every(({ groups }) => groups.length === 0);
    if (isIdle && this.#queue.length <= fewEnough) return this.#checkAllHere();
    while (this.#threads.length < this.#size) this.#start();
    const share = Math.min(groupLimit, Math.ceil(this.#queue.length / this.#threads.length));
    let given = 0;
    for (let round = 0; round < groupsUnderWay; round++) {
      for (const { worker, groups } of this.#threads) {
        if (groups.length > round || given >= this.#queue.length) continue;
        const group = this.#queue.slice(given, given + share);
        given += group.length;
        groups.push(group);
        const buffer = packSignatures(group);
        worker.postMessage(buffer, [buffer]);
      }
    }
    if (given > 0) this.#queue = this.#queue.slice(given);
  }

  #start(): void {
    const worker = new Worker(this.#program, { type: "module", name: "verification" });
    const thread: Thread = { worker, groups: [] };
    worker.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const verdicts = new Uint8Array(data);
      thread.groups.shift()!.forEach(({ resolve }, i) => resolve(verdicts[i] === 1));
      this.#distribute();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#isClosed) return;
      this.#log.error("checking signatures on other threads failed", { error: event.message });
      this.#isClosed = true;
      this.#withdraw();
      this.#schedule();
    };
    this.#threads.push(thread);
  }

  /** Takes back what the threads were given, and lets them go. */
  #withdraw(): void {
    for (const { worker, groups } of this.#threads.splice(0)) {
      worker.terminate();
      this.#queue.unshift(...groups.flat());
    }
  }

  #checkAllHere(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const { key, message, signature, resolve } of queue) {
      resolve(key.verify(message, signature));
    }
  }
}
