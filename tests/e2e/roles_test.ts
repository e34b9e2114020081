/**
 * What every role promises its host, checked on each role of the registry alike: its name, its tables,
 * its configuration, and that it starts and stops and leaves nothing behind. A new role is in here as
 * soon as it is in the registry.
 */
import assert from "node:assert/strict";
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { parseConfig, sampleConfig } from "../../core/host/config/mod.ts";
import { type Site, startSite } from "../../core/host/site.ts";
import { registry } from "../../edge/plugins.ts";
import { eventually } from "./_test_site.ts";
import { temporaryFolder } from "./program.ts";

const roles = Object.keys(registry);

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
      return parts.find(({ part, state }) => part === role && state === "ok");
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
    const own = await tablesIn(folder.path, (name) => !core.has(name));
    assert.deepEqual(own.filter((name) => !name.startsWith(prefix)), []);
    assert.equal(own.length > 0, (plugin.migrations ?? []).length > 0);
  });
}

Deno.test("all roles run at one site", async () => {
  await using folder = await temporaryFolder();
  await using site = await started(roles, folder.path);
  await eventually("every role is well", async () => {
    const { parts } = await statusOf(site);
    const well = parts.filter(({ state }) => state === "ok").map(({ part }) => part);
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

/** Tables that belong to no role. */
const core = new Set(["audit", "migrations", "peers"]);

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
