/** Devices in a process of their own, which can be taken away at any moment, and what they have heard. */
import { fileURLToPath } from "node:url";
import type { Line, Order } from "./_rpc_device.ts";
import { type Program, source, spawn } from "./program.ts";

const program: Program = {
  path: source.path,
  leading: ["run", "--frozen", "-A", fileURLToPath(new URL("./_rpc_device.ts", import.meta.url))],
};

export class DeviceProcess implements AsyncDisposable {
  readonly #order: Order;
  /** The calls that were answered with a result, by device. */
  readonly #answered = new Map<string, Set<number>>();
  /** What each shows to be let in; null once it is. */
  readonly #shown = new Map<string, string | null>();
  /** All that it has written, for whoever wonders what has happened. */
  readonly written: string[] = [];
  #child: Deno.ChildProcess | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(order: Order) {
    this.#order = order;
  }

  /** It grows as the device hears more. */
  answered(id: string): ReadonlySet<number> {
    return this.#answers(id);
  }

  /** What a device shows to be let in. */
  shown(id: string): string | null {
    return this.#shown.get(id) ?? null;
  }

  /** Returns before it has got anywhere. */
  start(): void {
    const child = this.#child = spawn([JSON.stringify(this.#order)], { program });
    this.#reading = this.#read(child.stderr);
  }

  async kill(): Promise<void> {
    const { signal } = await this.#end();
    if (signal !== "SIGKILL") throw new Error(`The devices have ended: ${this.written.join("\n")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await this.#end();
  }

  async #end(): Promise<Deno.CommandStatus> {
    const child = this.#child!;
    this.#child = undefined;
    try {
      child.kill("SIGKILL");
    } catch {
      // it has ended by itself
    }
    const status = await child.status;
    await this.#reading;
    return status;
  }

  async #read(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#hear(line);
    }
  }

  #hear(text: string): void {
    this.written.push(text);
    if (!text.startsWith("{")) return;
    const line = JSON.parse(text) as Line;
    if ("shows" in line) this.#shown.set(line.id, line.shows);
    if ("answered" in line) this.#answers(line.id).add(line.answered);
  }

  #answers(id: string): Set<number> {
    let answered = this.#answered.get(id);
    if (answered === undefined) this.#answered.set(id, answered = new Set());
    return answered;
  }
}
