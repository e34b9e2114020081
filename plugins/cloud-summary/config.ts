/** The table `[plugins.cloud-summary]`. */
import { z } from "zod";

export const config = z.object({
  public_summary: z.boolean().default(false)
    .describe("Answer /summary and the window query to anyone, without a token."),
});

export type Config = z.output<typeof config>;
