/**
 * Work for other threads, whatever it is: it waits in a queue, threads start once it pays, and each
 * gets it in groups, packed into one buffer that changes hands without a copy. Nothing is lost with a
 * thread: what it was given is taken back and done here, as is everything from then on.
 */
import { setImmediate } from "node:timers";
import type { Log } from "./logging.ts";

/** What is done, and how it gets to the threads and back. */
export interface ThreadWork<Task> {
  /** What the threads are called. */
  readonly name: string;
  /** What they run: it answers each message with one, in their order. */
  readonly program: URL;
  /** How many, and four at the most; 0 does everything here. */
  readonly threads: number;
  readonly log: Log;
  /** What the log says when a thread fails. */
  readonly complaint: string;
  /** So many are not worth the way to another thread and back, while the threads are as said. */
  readonly few: { readonly count: number; readonly while: "idle" | "not started" };
  /** In one group at the most. */
  readonly groupLimit: number;
  pack(group: readonly Task[]): ArrayBuffer;
  /** Hands out what a thread has answered to a group. */
  settle(group: readonly Task[], answer: ArrayBuffer): void;
  /** Does one where it is. Must not throw. */
  doHere(task: Task): void;
}

/** One of the threads, and what it was given, oldest first. */
interface Thread<Task> {
  readonly worker: Worker;
  readonly groups: (readonly Task[])[];
}

/** So many keep a thread busy while this one has other things to do than to read an answer. */
const groupsUnderWay = 4;
/** More cores than that are not kept busy by one thread that writes to disk. */
const maxThreads = 4;

export class ThreadPool<Task> implements Disposable {
  readonly #work: ThreadWork<Task>;
  readonly #size: number;
  readonly #threads: Thread<Task>[] = [];
  #queue: Task[] = [];
  #isScheduled = false;
  #isClosed = false;

  constructor(work: ThreadWork<Task>) {
    this.#work = work;
    this.#size = Math.min(work.threads, maxThreads);
  }

  /** Whether it takes any: else whoever has a task does it at once. */
  get isOpen(): boolean {
    return this.#size > 0 && !this.#isClosed;
  }

  /** How many no thread has been given yet. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Takes one, while it is open. */
  push(task: Task): void {
    this.#queue.push(task);
    // a whole group goes at once: threads have work while this one is busy with what has arrived
    if (this.#queue.length % this.#work.groupLimit === 0) this.#distribute();
    else this.#schedule();
  }

  /** Ends the threads; what still waits is done here. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#withdraw();
    this.#doHere(this.#queue.length);
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
    const waiting = this.#queue.length;
    if (waiting === 0) return;
    if (this.#isClosed) {
      // in groups, too: what others have to do here comes in between
      this.#doHere(this.#work.groupLimit);
      if (this.#queue.length > 0) this.#schedule();
      return;
    }
    if (waiting <= this.#work.few.count && this.#stayHere()) return this.#doHere(waiting);
    while (this.#threads.length < this.#size) this.#start();
    const share = Math.min(this.#work.groupLimit, Math.ceil(waiting / this.#threads.length));
    let given = 0;
    for (let round = 0; round < groupsUnderWay; round++) {
      for (const { worker, groups } of this.#threads) {
        if (groups.length > round || given >= waiting) continue;
        const group = this.#queue.slice(given, given + share);
        given += group.length;
        groups.push(group);
        const buffer = this.#work.pack(group);
        worker.postMessage(buffer, [buffer]);
      }
    }
    if (given > 0) this.#queue = this.#queue.slice(given);
  }

  /** Whether the threads are such that a few tasks are better done here. */
  #stayHere(): boolean {
    if (this.#work.few.while === "not started") return this.#threads.length === 0;
    return this.#threads.every(({ groups }) => groups.length === 0);
  }

  #start(): void {
    const { name, program, log, complaint } = this.#work;
    const worker = new Worker(program, { type: "module", name });
    const thread: Thread<Task> = { worker, groups: [] };
    worker.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      this.#work.settle(thread.groups.shift()!, data);
      this.#distribute();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#isClosed) return;
      log.error(complaint, { error: event.message });
      this.#isClosed = true;
      this.#withdraw();
      this.#schedule();
    };
    this.#threads.push(thread);
  }

  /** Takes back what the threads were given, and lets them go. */
  #withdraw(): void {
    for (const { worker, groups } of this.#threads.splice(0)) {
      worker.onmessage = null;
      worker.terminate();
      this.#queue.unshift(...groups.flat());
    }
  }

  /** The oldest ones, so many at the most. */
  #doHere(count: number): void {
    const tasks = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    for (const task of tasks) this.#work.doHere(task);
  }
}
