/**
 * The address to which a site posts calls with an effect, in the process of the test, where nobody is
 * killed: it counts how often each effect has happened, by what the call says of itself.
 */
import { pause } from "../../core/services/pause.ts";

export class Relays implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();
  /** How often each has happened, by device and number. */
  readonly #runs = new Map<string, Map<number, number>>();

  /** @param hesitation milliseconds between an effect and its answer: time enough to be killed in */
  constructor({ hesitation = 20 }: { hesitation?: number } = {}) {
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(options, async (request) => {
      const { device, params } = await request.json();
      // what a device says of itself must be what the gateway knows of it
      if (params.device !== device) return new Response(null, { status: 403 });
      const runs = this.of(device);
      runs.set(params.n, (runs.get(params.n) ?? 0) + 1);
      await pause(hesitation, this.#stop.signal);
      return Response.json(params);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/relay`;
  }

  /** How often each effect of a device has happened, by its number. */
  of(device: string): Map<number, number> {
    let runs = this.#runs.get(device);
    if (runs === undefined) this.#runs.set(device, runs = new Map());
    return runs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.shutdown();
  }
}
