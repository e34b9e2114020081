/**
 * The peer of `noise_peer.py` as a process that is asked one line and answers one line. It needs
 * Debian's python3-dissononce and python3-cbor2; where they are missing, tests are skipped by name,
 * but in CI they fail.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { toHex } from "../../core/base/bytes.ts";
import { exists, isCi } from "../e2e/program.ts";

const python = "/usr/bin/python3";
const script = fileURLToPath(new URL("noise_peer.py", import.meta.url));
const packages = ["dissononce", "cbor2", "cryptography"]
  .map((name) => `/usr/lib/python3/dist-packages/${name}`);
const missing = [python, ...packages].find((path) => !exists(path));

/** Nothing that is asked takes this long. */
const patience = 60_000;

/** A test that talks to the peer in Python. */
export function interopTest(name: string, fn: () => void | Promise<void>): void {
  const ignore = missing !== undefined && !isCi;
  Deno.test({
    name: ignore ? `${name} (skipped: no ${missing})` : name,
    ignore,
    async fn() {
      assert.equal(missing, undefined);
      await fn();
    },
  });
}

/** Runs the script to its end, for what it can do without being asked. */
export async function runPython(args: readonly string[]): Promise<string> {
  const child = spawn(args);
  await child.stdin.close();
  const [stdout, { code, stderr }] = await Promise.all([
    new Response(child.stdout).text(),
    ended(child),
  ]);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  return stdout;
}

export class PythonPeer implements AsyncDisposable {
  readonly #child: Child;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ended: Promise<{ code: number; stderr: string }>;
  #read = "";
  #failed = false;

  constructor(role: "meter" | "gateway" | "contact") {
    this.#child = spawn([role]);
    this.#ended = collect(this.#child);
    this.#input = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Asks for an operation, bytes as they are, and gives its result, bytes in hexadecimal. */
  async ask<T = unknown>(op: string, args: Record<string, unknown> = {}): Promise<T> {
    const line = JSON.stringify({ op, ...args }, (_, value) => {
      return value instanceof Uint8Array ? toHex(value) : value;
    });
    const timer = setTimeout(() => kill(this.#child), patience);
    try {
      await this.#input.write(new TextEncoder().encode(`${line}\n`));
      return JSON.parse(await this.#line()) as T;
    } catch (cause) {
      this.#failed = true;
      kill(this.#child);
      const { stderr } = await this.#ended;
      throw new Error(`The peer in Python did not answer "${op}": ${stderr}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#read.indexOf("\n");
      if (end >= 0) {
        const line = this.#read.slice(0, end);
        this.#read = this.#read.slice(end + 1);
        return line;
      }
      const { done, value } = await this.#lines.read();
      if (done) throw new Error("its output has ended");
      this.#read += value;
    }
  }

  /** Ends it, and fails when it has complained. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // it may have ended by itself
    await this.#lines.cancel();
    const { code, stderr } = await withDeadline(this.#child, this.#ended);
    if (this.#failed) return;
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
  }
}

type Child = ReturnType<typeof spawn>;

function spawn(args: readonly string[]) {
  return new Deno.Command(python, {
    args: ["-BEs", script, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function ended(child: Child): Promise<{ code: number; stderr: string }> {
  return withDeadline(child, collect(child));
}

async function collect(child: Child): Promise<{ code: number; stderr: string }> {
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  return { code, stderr };
}

async function withDeadline<T>(child: Child, end: Promise<T>): Promise<T> {
  const timer = setTimeout(() => kill(child), patience);
  try {
    return await end;
  } finally {
    clearTimeout(timer);
  }
}

function kill(child: Child): void {
  try {
    child.kill("SIGKILL");
  } catch { /* it has ended by itself */ }
}
