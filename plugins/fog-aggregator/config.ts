/** The table `[plugins.fog-aggregator]`. */
import { z } from "zod";
import { duration, filePath, size } from "../../core/host/config/mod.ts";

export const config = z.object({
  window: duration({ min: "1s", max: "1d" }).prefault("60s")
    .describe("Length of a window; windows are aligned to UTC and filled by event time."),
  grace: duration({ min: "0s", max: "1h" }).prefault("5s")
    .describe("How long after its end a window waits for readings under way."),
  lateness: duration({ min: "0s", max: "365d" }).prefault("7d")
    .describe(
      "How late a reading may be to reopen its window; later ones are kept but not summed.",
    ),
  keep: duration({ min: "0s", max: "3650d" }).prefault("90d")
    .describe("How long readings are kept that are summed up and at the cloud."),
  disk_budget: size({ min: "16MiB", max: "1024TiB" }).prefault("4GiB")
    .describe("What the site's database may take; what is at the cloud goes first."),
  when_full: z.enum(["block", "drop-oldest"]).default("block")
    .describe('When nothing may go, "block" takes no readings and "drop-oldest" loses some.'),
  log_readings: z.boolean().default(true)
    .describe(
      "Put the hash of every batch of readings into the site's log: 67 bytes each, which stay.",
    ),
  max_power_W: z.int().min(1).max(1_000_000_000).default(1_000_000)
    .describe("A reading above this power, in either direction, is refused as implausible."),
  max_voltage_V: z.int().min(1).max(1_000_000).default(1_000)
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
}).superRefine(({ keep, lateness }, context) => {
  if (keep >= lateness) return;
  context.addIssue({
    code: "custom",
    path: ["keep"],
    message: "expected a duration of at least lateness",
    params: { hint: "raise keep or lower lateness: a late reading needs those before it" },
  });
});

export type Config = z.output<typeof config>;
