/**
 * XS in a process of its own, seen from Deno: one bundle is loaded, then requests are answered one
 * after another. The worker speaks netstrings, `e…` evaluates and `?…` calls `handleCommand`; it
 * answers `.` and a value, or `!` and an error. Every request has its time, after which the process
 * is killed; what it said on its error output is part of the error.
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { worker } from "./_home.ts";

const megabyte = 2 ** 20;

export class Machine {
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #answers: AsyncIterator<Buffer>;
  #said = "";

  /** Starts XS with a script that defines `handleCommand`. @throws Error when the script throws */
  static async start(script: string): Promise<Machine> {
    const machine = new Machine();
    try {
      await machine.#exchange("e", script, 30_000);
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor() {
    // The names are for `ps`; the kilobytes are the room that XS has for parsing the bundle.
    const args = ["edgeward", "-s", "65536"];
    this.#process = spawn(worker, args, { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
    this.#closed = once(this.#process, "close");
    this.#process.stderr!.on("data", (chunk) => this.#said += chunk);
    this.#input.on("error", () => {}); // a worker that died says so by ending its output
    this.#answers = netstrings(this.#process.stdio[4] as Readable);
  }

  get #input(): Writable {
    return this.#process.stdio[3] as Writable;
  }

  /** What `handleCommand` makes of the request. @throws Error when it throws, hangs or dies */
  request(request: string, options: { milliseconds: number }): Promise<string> {
    return this.#exchange("?", request, options.milliseconds);
  }

  async #exchange(command: "e" | "?", text: string, milliseconds: number): Promise<string> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#process.kill("SIGKILL");
    }, milliseconds);
    try {
      const body = Buffer.from(command + text);
      this.#input.write(Buffer.concat([Buffer.from(`${body.length}:`), body, Buffer.from(",")]));
      const { value: answer, done } = await this.#answers.next();
      if (done) {
        await this.#closed;
        const { exitCode, signalCode } = this.#process;
        const how = late
          ? `no answer in ${milliseconds} ms`
          : `it ended (${signalCode ?? exitCode})`;
        throw new Error(`XS did not answer: ${how}\n${this.#said}`);
      }
      const reply = answer.toString("utf8", 1);
      if (answer[0] !== ".".charCodeAt(0)) throw new Error(`XS threw: ${reply}\n${this.#said}`);
      return reply.slice(reply.indexOf("\x01") + 1); // figures of its meter, 01, the value
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    this.#process.stdio[3]?.destroy();
    await this.#closed;
  }
}

/** Takes a stream apart into the netstrings that it consists of. */
async function* netstrings(stream: Readable): AsyncGenerator<Buffer, undefined> {
  let left = Buffer.alloc(0);
  for await (const chunk of stream) {
    left = Buffer.concat([left, chunk]);
    if (left.length > 16 * megabyte) throw new Error("XS answers more than 16 MiB");
    for (;;) {
      const colon = left.indexOf(":");
      const end = colon + 1 + Number(left.toString("latin1", 0, Math.max(colon, 0)));
      if (colon < 0 || left.length <= end) break;
      yield left.subarray(colon + 1, end);
      left = left.subarray(end + 1);
    }
  }
  return undefined;
}
