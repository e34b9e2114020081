/** The table `[plugins.cloud-summary]`. */
import { z } from "zod";
import { duration } from "../../core/host/config/mod.ts";

export const config = z.object({
  public_summary: z.boolean().default(false)
    .describe("Answer /summary and the queries to anyone, without a token."),
  keep: duration({ min: "1d" }).prefault("400d")
    .describe("How long the signed summaries are kept."),
  keep_windows: duration({ min: "1d" }).prefault("3650d")
    .describe("How long the figures of windows are kept."),
});

export type Config = z.output<typeof config>;
