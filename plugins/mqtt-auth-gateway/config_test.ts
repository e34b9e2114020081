/** Tests of the role's table: what it means, and what it does not take. */
import assert from "node:assert/strict";
import { parseConfig, sampleConfig } from "../../core/host/config/mod.ts";
import { definePlugin } from "../../core/host/plugin.ts";
import { type Config, config } from "./config.ts";

const plugin = definePlugin({ name: "mqtt-auth-gateway", summary: "A", config, start() {} });
const registry = { "mqtt-auth-gateway": () => Promise.resolve({ default: plugin }) };

async function parsed(table: string): Promise<Config> {
  const text = `site = "site-1"\ndata_dir = "data"\n[plugins.mqtt-auth-gateway]\n${table}`;
  const { roles } = await parseConfig(text, { file: "site.toml", dir: "/etc", registry });
  return roles[0]!.config as Config;
}

Deno.test("the defaults let devices do what harms nobody, by the newest protocol", async () => {
  assert.deepEqual(await parsed(""), {
    profiles: ["v2"],
    silence: 60_000,
    allow: ["time", "echo", "config.get", "telemetry.push"],
    calls_per_second: 10,
    calls_kept: 50,
    ...{ routes: [], v1_hooks: [], config: {}, devices: {} },
  });
});

Deno.test("the sample is the defaults", async () => {
  const text = sampleConfig([plugin], { site: "site-1" });
  const { roles } = await parseConfig(text, { file: "site.toml", dir: "/etc", registry });
  assert.deepEqual(roles[0]!.config, await parsed(""));
});

Deno.test("routes, and what single devices have of their own, are read", async () => {
  const { routes, devices } = await parsed(`
    routes = [
      { method = "relay.*", url = "https://home.example/relay", token_file = "relay.token" },
      { method = "door.opened", event = true },
    ]
    [plugins.mqtt-auth-gateway.devices.pump-7]
    silence = "10m"
    config = { sample_every = 60, unit = { name = "bar" } }
  `);
  assert.deepEqual(routes, [
    {
      ...{ method: "relay.*", url: "https://home.example/relay", timeout: 5_000 },
      token_file: "/etc/relay.token",
    },
    { method: "door.opened", event: true, timeout: 5_000 },
  ]);
  assert.deepEqual(devices["pump-7"], {
    silence: 600_000,
    config: { sample_every: 60, unit: { name: "bar" } },
  });
});

Deno.test("what cannot work, or is not safe, is refused with a place and a hint", async () => {
  const bad: [string, RegExp][] = [
    ['profiles = ["v1"]', /v1 is never alone/],
    ["profiles = []", /profiles/],
    ['allow = ["a*"]', /expected a method/],
    ['routes = [{ method = "a.*" }]', /leads nowhere/],
    ['routes = [{ method = "a", url = "http://home.example/" }]', /https:\/\//],
    ['routes = [{ method = "a", url = "https://u:p@home.example/" }]', /https:\/\//],
    ['routes = [{ method = "a", url = "file:///etc/passwd" }]', /https:\/\//],
    ['routes = [{ method = "a", url = "https://a.example/", event = true }]', /already/],
    ['routes = [{ method = "a", event = true, token_file = "t" }]', /no url/],
    ['routes = [{ method = "a", event = true, colour = 1 }]', /unknown key "colour"/],
    ['v1_hooks = ["relay.on"]', /no route takes/],
    ['v1_hooks = ["relay.*"]', /name of a method/],
    ['[plugins.mqtt-auth-gateway.devices."a/b"]', /id of a device/],
    [`config = { a = "${"x".repeat(17_000)}" }`, /16384 bytes/],
    ["config = { when = 2024-01-01 }", /when/],
  ];
  for (const [table, message] of bad) {
    await assert.rejects(parsed(table), { code: "config_invalid", message }, table);
  }
});

Deno.test("a hook on this machine needs no TLS", async () => {
  for (const host of ["127.0.0.1:80", "localhost", "[::1]:8080"]) {
    const { routes } = await parsed(`routes = [{ method = "a", url = "http://${host}/x" }]`);
    assert.equal(routes.length, 1);
  }
});
