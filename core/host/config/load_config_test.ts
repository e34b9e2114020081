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
    mqtt: {
      url: "embedded",
      listen: { hostname: "127.0.0.1", port: 1883 },
      max_clients: 1_000,
      max_clients_per_address: 256,
      prefix: "",
    },
    peers: { join: "closed" },
    db: { url: "file" },
    log: { level: "info", public: false, witnesses: [], witness_of: [] },
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

Deno.test("parseConfig() finds certificate and key beside the file", async () => {
  const text = `${head}[http]\ntls_cert_file = "tls/a.crt"\ntls_key_file = "/run/a.key"\n`;
  const { http } = await parsed(text);
  assert.equal(http.tls_cert_file, "/etc/edgeward/tls/a.crt");
  assert.equal(http.tls_key_file, "/run/a.key");
  const env = { EDGEWARD_HTTP__TLS_KEY_FILE: "b.key" };
  assert.equal((await parsed(text, { env })).http.tls_key_file, "/etc/edgeward/b.key");
});

Deno.test("parseConfig() finds the files of the broker beside the file", async () => {
  const text = `${head}[mqtt]\nurl = "mqtts://b.example"\nca_file = "ca.pem"\n` +
    'cert_file = "c.pem"\nkey_file = "/run/k.pem"\n';
  const { mqtt } = await parsed(text);
  assert.deepEqual(
    [mqtt.ca_file, mqtt.cert_file, mqtt.key_file],
    ["/etc/edgeward/ca.pem", "/etc/edgeward/c.pem", "/run/k.pem"],
  );
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
    "known keys: site, data_dir, http, admin, mqtt, peers, db, log, plugins",
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
  "a certificate without its key": [
    `${head}[http]\ntls_cert_file = "a.crt"`,
    '4:1: invalid "tls_cert_file" in [http]: expected tls_key_file beside it',
    "set tls_cert_file and tls_key_file, or neither",
  ],
  "a key without its certificate": [
    `${head}[http]\nlisten = "127.0.0.1:1"\ntls_key_file = "a.key"`,
    '5:1: invalid "tls_key_file" in [http]: expected tls_cert_file beside it',
  ],
  "client certificates without TLS": [
    `${head}[http]\nclient_ca_file = "ca.crt"`,
    '4:1: invalid "client_ca_file" in [http]: expected tls_cert_file beside it',
  ],
  "users of a broker elsewhere": [
    `${head}[mqtt]\nurl = "mqtts://b.example"\nusers_file = "users"`,
    '5:1: invalid "users_file" in [mqtt]: expected only with the embedded broker',
  ],
  "an authority without TLS": [
    `${head}[mqtt]\nurl = "mqtt://b.example"\nca_file = "ca.pem"`,
    '5:1: invalid "ca_file" in [mqtt]: expected only with mqtts:// or wss://',
  ],
  "a broker's certificate without its key": [
    `${head}[mqtt]\nurl = "wss://b.example"\ncert_file = "c.pem"`,
    '5:1: invalid "cert_file" in [mqtt]: expected key_file beside it',
  ],
  "a prefix that begins with a slash": [
    `${head}[mqtt]\nprefix = "/plant"`,
    '4:1: invalid "prefix" in [mqtt]: expected at most 64 letters, digits, hyphens and underscores ' +
    'in levels: "plant/hall-2"',
  ],
  "a prefix in the wrong place": [
    `${head}[mqtt]\nurl = "mqtt://b.example#plant"`,
    '4:1: invalid "url" in [mqtt]: expected a URL without a fragment',
    'give the levels before all topics by the key "prefix"',
  ],
  "no clients": [
    `${head}[mqtt]\nmax_clients = 0`,
    '4:1: invalid "max_clients" in [mqtt]: expected at least 1',
  ],
  "a proxy by its name": [
    `${head}[http]\ntrusted_proxies = ["::1", "proxy.example"]`,
    '4:27: invalid entry 2 of "trusted_proxies" in [http]: expected an address or a network',
    'write it as "192.0.2.1" or "10.0.0.0/8"',
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

Deno.test("parseConfig() takes the keys of the log and its witnesses", async () => {
  const witness = "edgeward/fog-2/witness+925166da+BMQkHBOLSoI0mEodGjLiPp0/NgkruNwP+iIicDehlqyo";
  const log = "edgeward/fog-2/5030d178/1+580dd37e+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
  const url = "https://fog-2.example/log";
  const one = `{ url = "${url}", key = "${witness}" }`;
  const read = await parsed(`${head}[log]\nwitnesses = [${one}]\nwitness_of = ["${log}"]`);
  assert.deepEqual(read.log.witnesses, [{ url, key: witness }]);
  assert.deepEqual(read.log.witness_of, [log]);
  for (
    const [text, problem] of [
      [`witnesses = [${one}, ${one}]`, /"key" in \[log.witnesses\]: expected each witness once/],
      [
        `witnesses = [${one}]\nquorum = 2`,
        /"quorum" in \[log\]: expected at most 1, as there are witnesses/,
      ],
      [`witnesses = [${one.replace(witness, log)}]`, /expected NAME\+ID\+KEY/],
      [`witness_of = ["${witness}"]`, /expected NAME\+ID\+KEY/],
      [`witness_of = ["${log.replace("580d", "590d")}"]`, /expected NAME\+ID\+KEY/],
    ] as const
  ) {
    assert.match((await refused(`${head}[log]\n${text}`)).message, problem);
  }
});
