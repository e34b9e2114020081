/** Tests of the whole way from a text to a checked configuration, and of every mistake on it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import type { Id } from "../../base/id.ts";
import { fog, head, parsed, plain, refused, registryOf } from "./_fakes.ts";
import { ConfigError, loadConfig, parseConfig } from "./mod.ts";

const table = `${head}[plugins.fog-meter]\ncloud = "https://a.example"\n`;

Deno.test("parseConfig() fills in every default", async () => {
  const { roles, ...host } = await parsed(head);
  const site: Id = host.site;
  assert.equal(site, "kiosk-7");
  assert.deepEqual(host, {
    site,
    data_dir: "/etc/edgeward/data",
    http: { listen: { hostname: "127.0.0.1", port: 8080 } },
    admin: { listen: { hostname: "127.0.0.1", port: 9464 } },
    mqtt: { url: "embedded", listen: { hostname: "127.0.0.1", port: 1883 } },
    db: { url: "file" },
    log: { level: "info" },
  });
  assert.deepEqual(roles, []);
});

Deno.test("parseConfig() gives each role what its own schema made of its table", async () => {
  const text = `${table}window = "5m"\ncode_file = "code"\nretry = { tries = 1 }\n`;
  const { roles } = await parsed(text);
  assert.equal(roles[0]!.plugin, fog);
  assert.deepEqual(roles[0]!.config, {
    window: 300_000,
    cloud: "https://a.example",
    code_file: "/etc/edgeward/code",
    label: "5",
    chats: [],
    share: 0.5,
    dry_run: false,
    limit: 100,
    retry: { tries: 1, spool_dir: "/etc/edgeward/spool" },
    tariffs: {},
    peers: [],
  });
});

Deno.test("parseConfig() imports only the roles that are switched on", async () => {
  const registry = {
    ...registryOf(plain("a")),
    b: () => Promise.reject(new Error("must not be imported")),
  };
  const { roles } = await parsed(`${head}[plugins.a]`, { registry });
  assert.deepEqual(roles.map(({ plugin }) => plugin.name), ["a"]);
});

const mistakes: Record<string, [text: string, message: string, hint?: string]> = {
  "an unknown key": [
    `${table}windo = "60s"`,
    '5:1: unknown key "windo" in [plugins.fog-meter]',
    'did you mean "window"?',
  ],
  "an unknown key of a nested table": [
    `${table}retry.tires = 1`,
    '5:7: unknown key "tires" in [plugins.fog-meter.retry]',
    'did you mean "tries"?',
  ],
  "an unknown key of an array's table": [
    `${table}peers = [\n { url = "https://b.example", wieght = 1 }]`,
    '6:31: unknown key "wieght" in [plugins.fog-meter.peers]',
    'did you mean "weight"?',
  ],
  "an unknown table": [`${head}[htpt]`, '3:1: unknown key "htpt"', 'did you mean "http"?'],
  "a role without plugins": [
    `${head}[fog-meter]`,
    '3:1: unknown key "fog-meter"',
    "did you mean [plugins.fog-meter]?",
  ],
  "an unknown role": [
    `${head}\n[plugins.fogmeter]`,
    '4:1: unknown role "fogmeter"',
    'did you mean "fog-meter"?',
  ],
  "a hostile key": [
    `${head}"\\u001B[31m${"x".repeat(100)}" = 1`,
    `3:1: unknown key "\\u001b[31m${"x".repeat(59)}…"`,
    "known keys: site, data_dir, http, admin, mqtt, db, log, plugins",
  ],
  "the key __proto__": [`${head}__proto__ = 1`, '3:1: unknown key "__proto__"'],
  "__proto__ in a record": [
    `${table}tariffs.__proto__ = 1`,
    '5:9: unknown key "__proto__" in [plugins.fog-meter.tariffs]',
  ],
  "a role named constructor": [
    `${head}[plugins.constructor]\nprototype = 1`,
    '3:1: unknown role "constructor"',
    "known roles: fog-meter",
  ],
  "a wrong type": [
    `${table}window = 60`,
    '5:1: invalid "window" in [plugins.fog-meter]: expected a duration such as "1s", got a number',
    'for example: window = "60s"',
  ],
  "a wrong entry": [
    `${table}chats = [1,\n  "2"]`,
    '6:3: invalid entry 2 of "chats" in [plugins.fog-meter]: expected a number, got a string',
  ],
  "no form of several": [
    `${table}limit = true`,
    '5:1: invalid "limit" in [plugins.fog-meter]: expected "none" or a number, got a boolean',
    "for example: limit = 100",
  ],
  "a value out of bounds": [
    `${table}share = 1.5`,
    '5:1: invalid "share" in [plugins.fog-meter]: expected at most 1',
    "for example: share = 0.5",
  ],
  "a word that is not in the list": [
    `${head}[log]\nlevel = "warn"`,
    '4:1: invalid "level" in [log]: expected "debug", "info", "warning" or "error"',
    'for example: level = "info"',
  ],
  "a value instead of a table": [
    `${head}http = 8080`,
    '3:1: invalid "http": expected a table, got a number',
    "write it as a table",
  ],
  "an array of tables instead of a table": [
    `${head}[[plugins.fog-meter]]`,
    '3:1: invalid "fog-meter" in [plugins]: expected a table, got an array',
  ],
  "a database that is not there yet": [
    `${head}[db]\nurl = "postgres://u:hunter2@h"`,
    '4:1: invalid "url" in [db]: expected "file"',
    "this version keeps its data in a file under data_dir only: remove the key",
  ],
  "a missing key": [
    `${head}\n[plugins.fog-meter]\nwindow = "5s"`,
    '4:1: missing key "cloud" in [plugins.fog-meter]',
    'add cloud = "https://cloud.example"',
  ],
  "nothing": ["", '1:1: missing key "site"', 'add site = "kiosk-7"'],
};

for (const [name, [text, message, hint]] of Object.entries(mistakes)) {
  Deno.test(`parseConfig() refuses ${name}`, async () => {
    const error = await refused(text);
    assert.equal(error.message, `site.toml:${message}`);
    if (hint !== undefined) assert.equal(error.hint, hint);
    assert.equal(error.code, "config_invalid");
    assert.equal(error.file, "site.toml");
    assert.ok(message.startsWith(`${error.line}:${error.column}: `));
  });
}

Deno.test("parseConfig() tells of the first mistake in file order and counts the others", async () => {
  const error = await refused(`datadir = "x"\n[htpt]\n[log]\nlevel = 1\n[plugins.x]\n`);
  assert.equal(error.message, 'site.toml:1:1: missing key "site"');
  assert.equal(error.more, 5);
  const later = await refused(`${head}[log]\nlevel = 1\n[htpt]\n`);
  assert.match(later.message, /^site\.toml:4:1: invalid "level"/);
  assert.equal(later.more, 1);
});

Deno.test("parseConfig() places a syntax error without quoting the text", async () => {
  const error = await refused(`site = "a"\nsecret = hunter2\n`);
  assert.equal(error.code, "config_syntax");
  assert.equal(error.message, "site.toml:2:10: cannot parse TOML: invalid value");
  assert.deepEqual([error.line, error.column], [2, 10]);
  assert.doesNotMatch(`${error.stack}${error.cause}`, /hunter2/);
});

Deno.test("parseConfig() throws nothing but ConfigError, whatever the text", async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...table,
      ..."[]{}=.,#'\"\\\n\t\r",
      "__proto__",
      "[plugins.fog-meter]\n",
      "'''",
    ),
    fc.string(),
  );
  const mutated = fc.tuple(fc.nat(table.length), fc.nat(9), piece).map(([at, count, inserted]) =>
    table.slice(0, at) + inserted + table.slice(at + count)
  );
  const texts = fc.oneof(fc.string(), fc.array(piece).map((list) => list.join("")), mutated);
  const environment = fc.dictionary(
    fc.constantFrom("EDGEWARD_HTTP", "EDGEWARD_PLUGINS__FOG_METER", "EDGEWARD_X", "EDGEWARD_SITE"),
    fc.oneof(fc.string(), fc.json()),
    { maxKeys: 1, noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(texts, environment, async (text, env) => {
      await parsed(text, { env }).catch((error) => assert.ok(error instanceof ConfigError, error));
    }),
    { numRuns: 500 },
  );
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

Deno.test("loadConfig() reads a file, whose folder relative paths start from", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "site.toml");
    await Deno.writeTextFile(path, `\uFEFF${table}code_file = "code"\n`);
    const { data_dir, roles } = await loadConfig({ path, registry: registryOf(fog) });
    assert.equal(data_dir, join(dir, "data"));
    assert.equal((roles[0]!.config as { code_file: string }).code_file, join(dir, "code"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("loadConfig() says why it cannot read a file", async () => {
  const dir = await Deno.makeTempDir();
  async function failure(name: string): Promise<ConfigError> {
    const loading = loadConfig({ path: join(dir, name), registry: registryOf(fog) });
    const error: unknown = await loading.catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ConfigError);
    return error;
  }
  try {
    await Deno.writeFile(join(dir, "large.toml"), new Uint8Array((1 << 20) + 1));
    await Deno.writeFile(join(dir, "binary.toml"), Uint8Array.of(0xff, 0xfe));
    await Deno.mkdir(join(dir, "folder.toml"));
    const missing = await failure("x.toml");
    assert.equal(missing.code, "config_missing");
    const path = join(dir, "x.toml");
    assert.equal(missing.message, `Cannot read the configuration "${path}": there is no such file`);
    assert.equal(missing.hint, `write one with: edgeward init fog-meter > ${path}`);
    for (
      const [name, reason] of [["large", "1 MiB"], ["binary", "UTF-8"], ["folder", "a folder"]]
    ) {
      const error = await failure(`${name}.toml`);
      assert.equal(error.code, "config_unreadable");
      assert.ok(error.message.includes(reason!), error.message);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("parseConfig() works without an environment", async () => {
  const config = await parseConfig(head, { file: "a", dir: "/", registry: {} });
  assert.equal(config.data_dir, "/data");
});
