/** Tests that the sample is a valid configuration and that its comments tell the truth. */
import assert from "node:assert/strict";
import { fog, parsed, plain, registryOf } from "./_fakes.ts";
import { sampleConfig } from "./mod.ts";

const plugins = [fog, plain("other")];
const registry = registryOf(...plugins);

Deno.test("sampleConfig() parses as it is", async () => {
  const config = await parsed(sampleConfig(plugins), { registry });
  assert.equal(config.site, "kiosk-7");
  assert.equal(config.data_dir, "/var/lib/edgeward");
  assert.deepEqual(config.roles.map(({ plugin }) => plugin.name), ["fog-meter", "other"]);
  assert.equal((config.roles[0]!.config as { cloud: string }).cloud, "https://cloud.example");
  assert.equal((await parsed(sampleConfig([]), { registry })).roles.length, 0);
});

Deno.test("sampleConfig() comments out the defaults: setting them changes nothing", async () => {
  const sample = sampleConfig(plugins);
  const lines = sample.split("\n");
  const isSample = lines.map((line, i) =>
    lines[i - 1]?.endsWith("Not set by default.") || /^# (\[|key)/.test(line)
  );
  const set = lines.map((line, i) => isSample[i] ? line : line.replace(/^# /, "")).join("\n");
  assert.equal(set.match(/^\w+ = /gm)!.length > 15, true);
  assert.deepEqual(await parsed(set, { registry }), await parsed(sample, { registry }));
});

Deno.test("sampleConfig() offers what may be set", async () => {
  const all = sampleConfig(plugins).replaceAll(/^# /gm, "");
  const { mqtt, roles } = await parsed(all, { registry });
  assert.equal(mqtt.username, "edgeward");
  assert.deepEqual((roles[0]!.config as { witness: unknown }).witness, { key: "AAAA" });
});

Deno.test("sampleConfig() takes the name of the site", async () => {
  const { site } = await parsed(sampleConfig(plugins, { site: "roof-2" }), { registry });
  assert.equal(site, "roof-2");
});

Deno.test("sampleConfig() explains in lines of at most 80 columns", () => {
  for (const line of sampleConfig(plugins).split("\n")) assert.ok(line.length <= 80, line);
});
