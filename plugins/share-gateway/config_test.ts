/** The role's table in a configuration: defaults, what fits together, and what is said of mistakes. */
import assert from "node:assert/strict";
import { parseConfig } from "../../core/host/config/mod.ts";
import plugin from "./mod.ts";
import { type Config, config, rulesOf } from "./config.ts";
import { device } from "./_test_unlock.ts";

const volume = "00112233445566778899aabbccddeeff";

async function parsed(table: string): Promise<Config> {
  const text = `site = "gw-1"\ndata_dir = "data"\n[plugins.share-gateway]\n${table}\n`;
  const registry = { "share-gateway": () => Promise.resolve({ default: plugin }) };
  const site = await parseConfig(text, { file: "site.toml", dir: "/etc/edgeward", registry });
  return site.roles[0]!.config as Config;
}

Deno.test("the defaults ask nobody, are open always, and refuse clones", async () => {
  const { faces, ...rest } = await parsed("");
  assert.deepEqual(rest, {
    ...{ hours: [], timezone: "UTC", approval: false, approval_ttl: 600_000 },
    ...{ rate: { perSecond: 0.1, burst: 6 }, rate_all: { perSecond: 20, burst: 20 } },
    ...{ on_clone: "deny", mount_within: 120_000, max_volumes: 16, devices: {}, gateways: [] },
  });
  assert.deepEqual(faces, { authorize: false, devices: {} });
});

Deno.test("a device has its own rules where the table says so", () => {
  const all = config.parse({
    ...{ approval: true, hours: ["daily 06:00-22:00"], rate: "10/h" },
    devices: { "kiosk-7": { approval: false, hours: [] }, other: { rate: "1/s" } },
  });
  const { approval, hours, rate } = rulesOf(all, device);
  assert.deepEqual([approval, hours.length, rate.burst], [false, 0, 10]);
  const other = rulesOf(all, "other" as typeof device);
  assert.deepEqual([other.approval, other.hours.length, other.rate], [
    ...[true, 1, { perSecond: 1, burst: 1 }],
  ]);
  // a name is a name, and not what objects inherit
  assert.equal(rulesOf(all, "constructor" as typeof device).approval, true);
});

Deno.test("paths are resolved at every depth, and lists read", async () => {
  const { seal_key_file, gateways, faces, devices } = await parsed(`
    seal_key_file = "token.key"
    gateways = [{ code_file = "gw-2.json" }]
    devices.kiosk-7 = { hours = ["sat,sun 08:00-12:00"] }
    faces = { authorize = true, devices.kiosk-7 = { secret_file = "k.secret", volume = "${volume}" } }`);
  assert.equal(seal_key_file, "/etc/edgeward/token.key");
  assert.equal(gateways[0]!.code_file, "/etc/edgeward/gw-2.json");
  assert.equal(faces.devices["kiosk-7"]!.secret_file, "/etc/edgeward/k.secret");
  assert.equal(devices["kiosk-7"]!.hours!.length, 1);
});

Deno.test("what is wrong in the table is told at its place, with the next step", async () => {
  const face = `faces.devices.x.volume = "${volume}"`;
  const cases: [table: string, message: RegExp, hint: RegExp][] = [
    ['hours = ["mon"]', /5?:?10: invalid entry 1 of "hours".*such as "mon-fri/, /days are "mon"/],
    ['timezone = "Mars/Base"', /invalid "timezone".*name of a time zone/, /Europe\/Berlin/],
    ['rate = "6"', /invalid "rate".*a rate such as "6\/m"/, /how many per s, m or h/],
    ['rate = "0/m"', /invalid "rate"/, /how many/],
    ["devices.k.aproval = true", /unknown key "aproval" in \[.*devices\.k\]/, /"approval"/],
    ['devices."a b" = {}', /"a b".*identifier of a device/, /letters, digits/],
    ["devices.k = 3", /invalid "k".*expected a table/, /as a table/],
    ["faces.authorise = true", /unknown key "authorise"/, /"authorize"/],
    [`faces.authorize = true\n${face}`, /secret_file for "x"/, /name the file/],
    ['faces.fragment_token_file = "t"', /"fragment_device".*devices below/, /whose piece/],
    ['gateways = [{ file = "x" }]', /missing key "code_file"/, /code_file/],
    ['on_clone = "den"', /"deny" or "alarm"/, /"deny"/],
    ['approval_ttl = "1s"', /at least "10s"/, /"10m"/],
    ["max_volumes = 0", /at least 1/, /16/],
  ];
  for (const [table, message, hint] of cases) {
    await assert.rejects(parsed(table), (error: Error & { hint?: string }) => {
      assert.match(error.message, message, table);
      assert.match(error.hint ?? "", hint, table);
      return true;
    });
  }
  const fragment = `faces.fragment_token_file = "t"`;
  const two = `faces.devices.y.volume = "${volume}"`;
  await parsed(`${fragment}\n${face}`);
  await assert.rejects(parsed(`${fragment}\n${face}\n${two}`));
  await parsed(`${fragment}\nfaces.fragment_device = "y"\n${face}\n${two}`);
});
