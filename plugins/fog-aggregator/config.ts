/** The table `[plugins.fog-aggregator]`. */
import { z } from "zod";
import { duration, filePath } from "../../core/host/config/mod.ts";

export const config = z.object({
  window: duration({ min: "1s", max: "1d" }).prefault("60s")
    .describe("Length of a window; windows are aligned to UTC and filled by event time."),
  grace: duration({ min: "0s", max: "1h" }).prefault("5s")
    .describe("How long after its end a window waits for readings under way."),
  lateness: duration({ min: "0s", max: "365d" }).prefault("7d")
    .describe(
      "How late a reading may be to reopen its window; later ones are kept but not summed.",
    ),
  max_power_W: z.int().min(1).default(1_000_000)
    .describe("A reading above this power, in either direction, is refused as implausible."),
  max_voltage_V: z.int().min(1).default(1_000)
    .describe("A reading above this voltage is refused as implausible."),
  code_file: filePath().optional()
    .describe(
      "File with what `edgeward admin enrol fog ID --json` printed at the cloud, or env:NAME.",
    )
    .meta({ example: "/etc/edgeward/cloud.json" }),
  cloud: z.url({ protocol: /^(https?|mqtts?|wss?)$/, error: "expected the URL of the cloud" })
    .optional()
    .describe("Address of the cloud, where it is not the one in code_file.")
    .meta({ example: "https://cloud.example" }),
  cloud_key: z.string().optional()
    .describe("The cloud's noise_key; when given, code_file must hold the same."),
});

export type Config = z.output<typeof config>;
