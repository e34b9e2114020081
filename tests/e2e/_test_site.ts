/**
 * A real site in this process, with all that a test wants to know of it from outside: its counters as
 * an operator sees them, and its database file, read by another client than its own.
 */
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { parseConfig } from "../../core/host/config/mod.ts";
import type { Registry } from "../../core/host/plugin.ts";
import { type Reload, type Site, startSite } from "../../core/host/site.ts";
import { registry } from "../../edge/plugins.ts";
import { temporaryFolder } from "./program.ts";

export interface TestSite extends AsyncDisposable {
  readonly site: Site;
  readonly folder: string;
  /** Where its public listener answers. */
  readonly url: string;
  /** The site's clock: the real time, and what was added to it. */
  readonly clock: () => number;
  advance(milliseconds: number): void;
  /** Goes on with these roles instead. */
  reload(role: string): Promise<Reload>;
  /** A counter's values by the labels that were asked for, joined by spaces. */
  counts(name: string, ...labels: string[]): Promise<Record<string, number>>;
  /** Runs a query on the site's database. */
  rows(sql: string): Promise<Record<string, unknown>[]>;
}

/**
 * Starts a site with this role on free ports and a folder of its own.
 * @param options.roles that the test has beside those of the program
 */
export async function startTestSite(
  name: string,
  role: string,
  { roles = {} }: { roles?: Registry } = {},
): Promise<TestSite> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder()).path;
  const configOf = (role: string) => {
    const text = `
    site = "${name}"
    data_dir = "data"
    http.listen = "127.0.0.1:0"
    admin.listen = "127.0.0.1:0"
    mqtt.listen = "127.0.0.1:0"
    ${role}`;
    const options = { file: "site.toml", dir: folder, registry: { ...registry, ...roles } };
    return parseConfig(text, options);
  };
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const site = stack.use(await startSite(await configOf(role), { version: "0", clock }));
  const client = stack.adopt(
    createClient({ url: `file:${join(folder, "data", "edgeward.db")}` }),
    (client) => client.close(),
  );
  const kept = stack.move();
  return {
    site,
    folder,
    url: `http://127.0.0.1:${site.http!.port}`,
    clock,
    advance: (milliseconds) => void (ahead += milliseconds),
    reload: async (role) => await site.reload(await configOf(role)),
    counts: (name, ...labels) => countsAt(site.admin.port, name, labels),
    async rows(sql) {
      const { columns, rows } = await client.execute(sql);
      return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A site's counter, from its admin listener on this machine. */
export async function countsAt(
  port: number,
  name: string,
  labels: readonly string[],
): Promise<Record<string, number>> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { client })).text();
  const counts: Record<string, number> = {};
  for (const [, set = "", value] of text.matchAll(new RegExp(`^${name}{(.*)} (\\d+)$`, "gm"))) {
    const values = new Map(Array.from(set.matchAll(/(\w+)="([^"]*)"/g), ([, k, v]) => [k!, v!]));
    counts[labels.map((label) => values.get(label)).join(" ")] = Number(value);
  }
  return counts;
}

/** Repeats a question until it is answered with something; fails when it never is. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  patience = 30_000,
): Promise<T> {
  for (const deadline = Date.now() + patience; Date.now() < deadline;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`It never came to pass: ${what}`);
}
