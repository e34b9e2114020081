/** Roles made up for the tests of this folder, and the two ways in which the tests parse. */
import { z } from "zod";
import { type AnyPlugin, definePlugin, type Registry } from "../plugin.ts";
import { ConfigError, duration, filePath, parseConfig, type SiteConfig } from "./mod.ts";

/** A role with keys of every kind. */
export const fog = definePlugin({
  name: "fog-meter",
  summary: "Averages what meters report.",
  config: z.object({
    window: duration({ min: "1s", max: "1h" }).prefault("60s")
      .describe("How long a window is."),
    cloud: z.url().describe("Where summaries go.").meta({ example: "https://cloud.example" }),
    code_file: filePath().optional().describe("File that holds the enrolment code.")
      .meta({ example: "/run/credentials/edgeward.service/code" }),
    label: z.string().default("5").describe("What the console calls this fog."),
    chats: z.array(z.int()).default([]).describe("Who is told."),
    share: z.number().min(0).max(1).default(0.5).describe("Which part is sent on."),
    dry_run: z.boolean().default(false).describe("Whether nothing is sent."),
    limit: z.union([z.literal("none"), z.int()]).default(100).describe("Readings per window."),
    retry: z.object({
      tries: z.int().min(1).default(3).describe("How often to try again."),
      spool_dir: filePath().prefault("spool").describe("Folder of what waits."),
    }).prefault({}).describe("What happens when the cloud is away."),
    witness: z.object({
      key: z.string().describe("The witness's public key.").meta({ example: "AAAA" }),
    }).optional().describe("Someone who signs along."),
    tariffs: z.record(z.string(), z.int()).default({}).describe("Prices by name."),
    peers: z.array(z.object({ url: z.url(), weight: z.int().default(1) })).default([])
      .describe("Other fogs."),
  }),
  start() {},
});

/** A role that asks for nothing. */
export function plain(
  name: string,
  traits: { after?: readonly string[]; claims?: readonly string[] } = {},
): AnyPlugin {
  return definePlugin({
    name,
    summary: `Plays ${name}.`,
    config: z.object({}),
    ...traits,
    start() {},
  });
}

export function registryOf(...plugins: AnyPlugin[]): Registry {
  return Object.fromEntries(
    plugins.map((plugin) => [plugin.name, () => Promise.resolve({ default: plugin })]),
  );
}

/** What every configuration needs: two lines, so that what a test adds begins at line 3. */
export const head = `site = "kiosk-7"\ndata_dir = "data"\n`;

interface Options {
  readonly env?: Record<string, string>;
  readonly registry?: Registry;
}

export function parsed(text: string, options: Options = {}): Promise<SiteConfig> {
  const { env = {}, registry = registryOf(fog) } = options;
  return parseConfig(text, { file: "site.toml", dir: "/etc/edgeward", env, registry });
}

/** Parses what must be refused. */
export async function refused(text: string, options: Options = {}): Promise<ConfigError> {
  try {
    await parsed(text, options);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("Expected a ConfigError: the configuration was accepted");
}
