/**
 * A cable to a port on this machine, which can be cut: every connection through it ends at once, and
 * there are no new ones until it has been mended.
 */
import { steadyPort } from "./site_process.ts";

export class Cable implements AsyncDisposable {
  readonly port: number = steadyPort();
  readonly #target: number;
  readonly #ends = new Set<Deno.Conn>();
  readonly #carrying = new Set<Promise<void>>();
  #listener: Deno.Listener | undefined;

  /** @param target the port that it leads to */
  constructor(target: number) {
    this.#target = target;
    this.mend();
  }

  mend(): void {
    const listener = this.#listener = Deno.listen({ hostname: "127.0.0.1", port: this.port });
    this.#track(this.#accept(listener));
  }

  cut(): void {
    this.#listener?.close();
    this.#listener = undefined;
    for (const end of this.#ends) close(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    while (this.#carrying.size > 0) await Promise.all(this.#carrying);
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    try {
      for await (const near of listener) this.#track(this.#carry(near, listener));
    } catch {
      // it was cut while somebody came
    }
  }

  async #carry(near: Deno.Conn, listener: Deno.Listener): Promise<void> {
    this.#ends.add(near);
    let far: Deno.Conn | undefined;
    try {
      far = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
      this.#ends.add(far);
      if (this.#listener !== listener) return; // cut meanwhile
      const there = near.readable.pipeTo(far.writable);
      const back = far.readable.pipeTo(near.writable);
      await Promise.race([there, back]);
      // MQTT says all it has to say before it hangs up: one end is the end of both
      close(near);
      close(far);
      await Promise.allSettled([there, back]);
    } catch {
      // an end was lost, or nobody was there
    } finally {
      for (const end of [near, far]) {
        if (end === undefined) continue;
        close(end);
        this.#ends.delete(end);
      }
    }
  }

  #track(work: Promise<void>): void {
    this.#carrying.add(work);
    void work.finally(() => this.#carrying.delete(work));
  }
}

/** Once or twice. */
function close(end: Deno.Conn): void {
  try {
    end.close();
  } catch {
    // closed already
  }
}
