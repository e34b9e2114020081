/**
 * What every role promises its host, checked on each role of the registry alike: its name, its tables,
 * its configuration, and that it starts and stops and leaves nothing behind. A new role is in here as
 * soon as it is in the registry.
 */
import assert from "node:assert/strict";
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { configSchema, parseConfig, sampleConfig } from "../../core/host/config/mod.ts";
import { type Site, startSite } from "../../core/host/site.ts";
import { responders } from "../../core/wire/peer.ts";
import { registry } from "../../edge/plugins.ts";
import { eventually } from "./_test_site.ts";
import { temporaryFolder } from "./program.ts";

const roles = Object.keys(registry);
const claimed = (await Promise.all(
  Object.values(registry).map(async (load) => {
    return (await load()).default.claims ?? [];
  }),
)).flat();

Deno.test("the registry holds roles", () => {
  assert.ok(roles.length > 0);
});

for (const role of roles) {
  Deno.test(`${role} is what its table in the configuration is called`, async () => {
    const { default: plugin } = await registry[role]!();
    assert.equal(plugin.name, role);
    assert.match(role, /^[a-z]+(-[a-z]+)*$/);
    assert.match(plugin.summary, /^[A-Z][^\n]{9,98}[^\n.]$/);
    for (const claim of plugin.claims ?? []) assert.match(claim, /^\/[a-z]/);
    for (const other of plugin.after ?? []) assert.ok(roles.includes(other), `after ${other}`);
  });

  Deno.test(`${role} runs on its defaults, which its sample shows, and refuses other keys`, async () => {
    const { default: plugin } = await registry[role]!();
    const sample = sampleConfig([plugin], { site: "site-1" });
    const { roles: [enabled] } = await parsed(sample, "/");
    assert.deepEqual(enabled?.config, (await parsed(textOf([role]), "/")).roles[0]!.config);
    const wrong = `${textOf([role])}\nno_such_key = 1\n`;
    await assert.rejects(parsed(wrong, "/"), {
      code: "config_invalid",
      message: /unknown key "no_such_key" in \[plugins\.[a-z-]+\]/,
    });
  });

  Deno.test(`${role} starts, says how it is, and stops, once and again`, async () => {
    await using folder = await temporaryFolder();
    const first = await started([role], folder.path);
    await eventually("the role is well", async () => {
      const { parts } = await statusOf(first);
      return parts.find(({ part, state }) => part === role && isWell(part, state));
    });
    await Promise.all([first[Symbol.asyncDispose](), first[Symbol.asyncDispose]()]);
    await first[Symbol.asyncDispose]();
    for (const port of [first.admin.port, first.http?.port ?? 0]) {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
    }
    // and again on what it has stored
    await using again = await started([role], folder.path);
    assert.ok((await statusOf(again)).ready);
  });

  Deno.test(`${role} keeps to tables of its own name`, async () => {
    await using folder = await temporaryFolder();
    await using _site = await started([role], folder.path);
    const { default: plugin } = await registry[role]!();
    const prefix = `${role.replaceAll("-", "_")}_`;
    const own = await tablesIn(folder.path, (name) => !core.has(name) && !name.startsWith("log_"));
    assert.deepEqual(own.filter((name) => !name.startsWith(prefix)), []);
    assert.equal(own.length > 0, (plugin.migrations ?? []).length > 0);
  });

  Deno.test(`${role} says of every key what it is for`, async () => {
    const { default: plugin } = await registry[role]!();
    const { properties } = configSchema([plugin]) as JsonSchema;
    const table = properties!["plugins"]!.properties![role]!;
    assert.equal(table.description, plugin.summary);
    assert.deepEqual(undescribed(table), []);
  });

  Deno.test(`${role} answers at its claims, below its own name, and nowhere else`, async () => {
    await using folder = await temporaryFolder();
    await using site = await started([role], folder.path);
    const { default: plugin } = await registry[role]!();
    assert.equal(site.http !== undefined, plugin.needs?.includes("http") ?? false);
    if (site.http === undefined) return;
    const claims: readonly string[] = plugin.claims ?? [];
    const unclaimed = claimed.filter((claim) => !claims.includes(claim));
    const others = [...roles, ...Object.values(responders)].filter((other) => other !== role);
    for (const path of ["/", "/nothing", ...unclaimed, ...others.map((o) => `/${o}/session`)]) {
      assert.ok(!await answers(site, path), `${path} is not the role's`);
    }
    for (const claim of claims) assert.ok(await answers(site, claim), `${claim} is not served`);
  });

  Deno.test(`${role} tells the doctor of itself, if at all, in sentences`, async () => {
    await using folder = await temporaryFolder();
    const { roles: [enabled] } = await parsed(textOf([role]), folder.path);
    const findings = await Array.fromAsync(enabled!.plugin.check?.(enabled!.config) ?? []);
    for (const { what, hint = "a hint" } of findings) assert.match(`${what}: ${hint}`, /^\S.*\S$/);
    assert.deepEqual(Array.from(Deno.readDirSync(folder.path)), []);
  });
}

Deno.test("all roles run at one site", async () => {
  await using folder = await temporaryFolder();
  await using site = await started(roles, folder.path);
  await eventually("every role is well", async () => {
    const { parts } = await statusOf(site);
    const well = parts.filter(({ part, state }) => isWell(part, state)).map(({ part }) => part);
    return roles.every((role) => well.includes(role)) || undefined;
  });
});

Deno.test("all roles run at two sites of one process", async () => {
  await using folder = await temporaryFolder();
  const one = await started(roles, join(folder.path, "one"));
  await using two = await started(roles, join(folder.path, "two"));
  await one[Symbol.asyncDispose]();
  assert.ok((await statusOf(two)).ready);
});

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

/** The keys without a description, at any depth. */
function undescribed({ properties = {} }: JsonSchema): string[] {
  return Object.entries(properties).flatMap(([key, schema]) => [
    ...(/^[A-Z].*\.$/s.test(schema.description ?? "") ? [] : [key]),
    ...undescribed(schema),
  ]);
}

/** Whether anything is at the path, whatever it says to a stranger. */
async function answers({ http }: Site, path: string): Promise<boolean> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://127.0.0.1:${http!.port}${path.replace(/\{\w+\}|:\w+|\*/g, "x")}`;
  for (const method of ["GET", "POST"]) {
    const response = await fetch(url, { method, client });
    const text = await response.text();
    if (response.status !== 404 || JSON.parse(text).code !== "not_found") return true;
  }
  return false;
}

/** Tables that belong to no role. */
const core = new Set(["audit", "calls", "migrations", "peer_bans", "peers", "secrets", "tokens"]);

function textOf(names: readonly string[]): string {
  return `site = "site-1"
data_dir = "data"
http.listen = "127.0.0.1:0"
admin.listen = "127.0.0.1:0"
mqtt.listen = "127.0.0.1:0"
${names.map((name) => `[plugins.${name}]`).join("\n")}`;
}

function parsed(text: string, dir: string) {
  return parseConfig(text, { file: "site.toml", dir, registry });
}

async function started(names: readonly string[], dir: string): Promise<Site> {
  return await startSite(await parsed(textOf(names), dir), { version: "0" });
}

interface Status {
  readonly ready: boolean;
  readonly parts: readonly { readonly part: string; readonly state: string }[];
}

/** What lacks something that no default can be says so, and is as well as it can be: a group, a token. */
function isWell(part: string, state: string): boolean {
  return state === "ok" ||
    ["share-gateway", "telegram-notifier"].includes(part) && state === "degraded";
}

async function statusOf({ admin }: Site): Promise<Status> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(`http://127.0.0.1:${admin.port}/site`, { client });
  return await response.json();
}

async function tablesIn(dir: string, wanted: (name: string) => boolean): Promise<string[]> {
  const client = createClient({ url: `file:${join(dir, "data", "edgeward.db")}` });
  try {
    const { rows } = await client.execute("SELECT name FROM sqlite_master WHERE type = 'table'");
    return rows.map(({ name }) => String(name)).filter((name) => !name.startsWith("sqlite_"))
      .filter(wanted);
  } finally {
    client.close();
  }
}
