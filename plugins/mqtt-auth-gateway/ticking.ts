/** What the gateway does from time to time: who has fallen silent, what is to be written, what is old. */
import type { Host } from "../../core/host/plugin.ts";
import type { Calls } from "./calls.ts";
import type { Directory } from "./directory.ts";
import type { Feed } from "./feed.ts";
import type { Registry } from "./registry.ts";
import type { V1 } from "./v1.ts";

/** Milliseconds between two looks at everything, and how many of them pass before the rarer ones. */
const tick = 1_000;
const flushEvery = 5;
const expireEvery = 3_600;

export function startTicking(
  host: Pick<Host, "defer" | "log" | "metrics">,
  { registry, calls, directory, feed, v1 }: {
    feed: Feed;
    registry: Registry;
    calls: Calls;
    directory: Directory;
    v1: Pick<V1, "expire"> | null;
  },
): void {
  const gauge = host.metrics.gauge("edgeward_rpc_devices", "Devices, by their state");
  let ticks = 0;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    registry.sweep();
    feed.tick();
    await calls.flush();
    if (ticks % flushEvery === 0) {
      await registry.flush();
      for (const [status, n] of Object.entries(directory.counts())) gauge.set(n, { status });
    }
    if (ticks % expireEvery === 0) await v1?.expire();
    ticks++;
  }

  function runNext(): void {
    running ??= run().catch((error) => {
      host.log.error("something regular failed", { error });
    }).finally(() => running = undefined);
  }

  const timer = setInterval(runNext, tick);
  host.defer(async () => {
    clearInterval(timer);
    await running;
    await calls.flush();
    await registry.flush();
  });
}
