/** Options that several commands share, and how their values are read. */
import { existsSync } from "node:fs";
import { InvalidArgumentError, Option } from "commander";
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

/** Loads the configuration that was named, or the one in its usual place. @throws ConfigError */
export function loadSite(path: string | undefined): Promise<SiteConfig> {
  const found = path ?? usualPlaces.find((place) => existsSync(place)) ?? usualPlaces[0]!;
  return loadConfig({ path: found, env: Deno.env.toObject(), registry });
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

/** A duration with a unit as milliseconds, for commander. */
export function durationOption(text: string): number {
  const parsed = duration().safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError('expected a duration such as "24h".');
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
