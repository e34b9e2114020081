/**
 * Lets go of what is old: signed summaries behind the heads, then figures of windows. It works in
 * slices with rest between them, so that what comes in is not kept waiting.
 */
import { messageOf } from "../../core/base/errors.ts";
import type { Host } from "../../core/host/plugin.ts";
import { pause } from "../../core/services/pause.ts";
import type { Config } from "./config.ts";
import type { SummaryStore } from "./store.ts";

/** Rows of each kind in one transaction. */
const slice = 200;
/** Milliseconds between slices, and between two times that there was nothing to do. */
const rest = 200;
const nap = 3_600_000;

/** Runs until the role stops. */
export function startRetention(
  host: Pick<Host, "clock" | "defer" | "log">,
  config: Pick<Config, "keep" | "keep_windows">,
  options: { store: SummaryStore; pause?: typeof pause },
): void {
  const wait = options.pause ?? pause;
  const stopping = new AbortController();
  const running = run(stopping.signal);
  host.defer(async () => {
    stopping.abort();
    await running;
  });

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const rows = await step();
      await wait(rows > 0 ? rest : nap, signal);
    }
  }

  async function step(): Promise<number> {
    const now = host.clock();
    const horizon = { statements: now - config.keep, windows: now - config.keep_windows };
    try {
      return await options.store.prune({ ...horizon, limit: slice });
    } catch (error) {
      host.log.warn("old summaries could not be deleted", { error: messageOf(error) });
      return 0;
    }
  }
}
