/** Options that several commands share, and how their values are read. */
import { existsSync } from "node:fs";
import { Argument, InvalidArgumentError, Option } from "commander";
import { CodedError } from "../core/base/errors.ts";
import { duration, loadConfig, type SiteConfig } from "../core/host/config/mod.ts";
import type { AnyPlugin } from "../core/host/plugin.ts";
import { registry } from "./plugins.ts";

/** Where a configuration is looked for when `-c` does not say. */
const usualPlaces = ["site.toml", "/etc/edgeward/site.toml"];

/** `-c, --config FILE` */
export function configOption(): Option {
  return new Option(
    "-c, --config <file>",
    `configuration of the site (default: ${usualPlaces.join(", else ")})`,
  );
}

/** The file that was named, or the one in its usual place. */
export function configPath(named: string | undefined): string {
  return named ?? usualPlaces.find((place) => existsSync(place)) ?? usualPlaces[0]!;
}

/** Loads the configuration that was named, or the one in its usual place. @throws ConfigError */
export function loadSite(named: string | undefined): Promise<SiteConfig> {
  return loadConfig({ path: configPath(named), env: Deno.env.toObject(), registry });
}

/** An argument that help and completions know the values of; any other value the command refuses. */
export function argumentOf(name: string, what: string, choices: readonly string[]): Argument {
  const argument = new Argument(name, what);
  argument.argChoices = [...choices];
  return argument;
}

/** Every role in this binary, imported. */
export function allPlugins(): Promise<AnyPlugin[]> {
  return Promise.all(Object.values(registry).map(async (load) => (await load()).default));
}

/** A whole number within bounds, for commander. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}.`);
  };
}

/** A positive number, for commander. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("expected a positive number.");
}

/** `--ttl DURATION` of a code, in milliseconds. */
export function ttlOption(description: string): Option {
  return new Option("--ttl <duration>", description).default(24 * 3_600_000, "24h")
    .argParser(durationText);
}

/** A duration of at most ten years in milliseconds, for commander. */
export function durationText(text: string): number {
  const parsed = duration({ min: "1ms", max: "3652d" }).safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError('expected a duration such as "24h", ten years at most.');
}

/** Reads a text file that the command line names. @throws CodedError "household_unreadable" … */
export async function readInput(path: string, what: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : String(error);
    throw new CodedError(`${what}_unreadable`, `Cannot read "${path}": ${why}`, {
      hint: "name a file that exists and that this user may read",
    });
  }
}
