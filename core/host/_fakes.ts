/**
 * Roles made up for the tests of this folder, and a site of them on free ports in a folder of its own.
 */
import { join } from "node:path";
import { z } from "zod";
import type { AnyPlugin, Host, Plugin, Registry, Services } from "./plugin.ts";
import { parseConfig, type SiteConfig } from "./config/mod.ts";
import { type Site, startSite } from "./site.ts";

type Start = (host: Host & Services) => void | Promise<void>;

/** A role that does what the test says. */
export function fake(
  name: string,
  start: Start = () => {},
  traits: Partial<Pick<Plugin, "after" | "claims" | "migrations">> & {
    needs?: readonly (keyof Services)[];
  } = {},
): AnyPlugin {
  return {
    name,
    summary: name,
    config: z.object({ key: z.string().optional() }),
    ...traits,
    start,
  };
}

export interface Options {
  readonly site?: string;
  readonly folder: string;
  readonly ports?: { readonly http?: number; readonly admin?: number };
  /** Whether strangers may apply: "closed" unless given. */
  readonly join?: "open" | "closed";
}

/** Starts a site that plays all these roles. */
export async function startFakes(plugins: readonly AnyPlugin[], options: Options): Promise<Site> {
  return await startSite(await fakeConfig(plugins, options), { version: "1.2.3" });
}

/** The configuration of a site that plays all these roles, each with the keys that it is given. */
export async function fakeConfig(
  plugins: readonly AnyPlugin[],
  options: Options & { readonly keys?: Readonly<Record<string, string>> },
): Promise<SiteConfig> {
  const { site = "site-1", folder, ports: { http = 0, admin = 0 } = {}, keys = {} } = options;
  const { join = "closed" } = options;
  const registry: Registry = Object.fromEntries(
    plugins.map((plugin) => [plugin.name, () => Promise.resolve({ default: plugin })]),
  );
  const text = `
    site = "${site}"
    data_dir = "${site}"
    http.listen = "127.0.0.1:${http}"
    admin.listen = "127.0.0.1:${admin}"
    mqtt.listen = "127.0.0.1:0"
    peers.join = "${join}"
    ${plugins.map(({ name }) => `[plugins.${name}]\n${keys[name] ?? ""}`).join("\n")}`;
  return await parseConfig(text, { file: "site.toml", dir: folder, registry });
}

export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Asks the admin listener, over TCP or over the unix socket of the data directory. */
export async function ask(
  site: Site | { readonly socket: string },
  path: string,
  init: RequestInit = {},
): Promise<Answer> {
  using client = "socket" in site
    ? Deno.createHttpClient({ proxy: { transport: "unix", path: site.socket } })
    : Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const origin = "socket" in site ? "http://edgeward" : `http://127.0.0.1:${site.admin.port}`;
  const response = await fetch(`${origin}${path}`, { ...init, client });
  return { status: response.status, text: await response.text() };
}

/** The admin socket of a site that was started in the folder. */
export function socketIn(folder: string, site = "site-1"): { readonly socket: string } {
  return { socket: join(folder, site, "edgeward.sock") };
}

/** Repeats a question until its answer is yes; fails when it never is. */
export async function eventually(what: string, ask: () => Promise<boolean> | boolean) {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline;) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`It never came to pass: ${what}`);
}

/** Whether nobody listens on the port. */
export function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
