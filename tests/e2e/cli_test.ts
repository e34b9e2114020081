/**
 * The command line as a person or a script meets it: results on standard output and nothing else there;
 * when it fails, a sentence that says what, one that says what next, a status that says of which kind,
 * and never a stack trace.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { parseId } from "../../core/base/id.ts";
import { parseConfig } from "../../core/host/config/mod.ts";
import { definePlugin, type Registry } from "../../core/host/plugin.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { registry } from "../../edge/plugins.ts";
import { qrCode } from "../../edge/qr_code.ts";
import { httpDoor } from "./_doors.ts";
import { type Outcome, run, temporaryFolder } from "./program.ts";
import { RawPeer } from "./_raw_peer.ts";
import { startTestSite } from "./_test_site.ts";

const roles = Object.keys(registry);

Deno.test("edgeward help tells of every command, and of one", async () => {
  for (const args of [["help"], ["--help"], ["-h"]]) {
    const help = succeeded(await run(args));
    const commands = ["demo", "run", "init", "validate", "admin", "peers", "audit", "simulate"];
    for (const command of [...commands, "plugins", "schema", "version"]) {
      assert.match(help, RegExp(`^  ${command} `, "m"));
    }
    assert.match(help, /Exit status: 0 done, 1 it failed, 2 usage/);
  }
  assert.match(succeeded(await run(["help", "validate"])), /--config <file>/);
});

Deno.test("edgeward version says what it is, in words and as JSON", async () => {
  const shown = JSON.parse(succeeded(await run(["version", "--json"])));
  assert.deepEqual(Object.keys(shown), ["version", "deno", "v8", "target", "roles"]);
  assert.match(shown.version, /^\d+\.\d+\.\d+$/);
  assert.equal(shown.target, Deno.build.target);
  assert.deepEqual(shown.roles, roles);
  const words = `edgeward ${shown.version} (deno ${shown.deno}, ${shown.target})\n`;
  assert.equal(succeeded(await run(["version"])), words);
  assert.equal(succeeded(await run(["--version"])), `${shown.version}\n`);
});

Deno.test("edgeward plugins lists the roles, in words and as JSON", async () => {
  const { plugins } = JSON.parse(succeeded(await run(["plugins", "--json"])));
  assert.deepEqual(plugins.map(({ name }: { name: string }) => name), roles);
  const lines = succeeded(await run(["plugins"])).trimEnd().split("\n");
  assert.equal(lines.length, roles.length);
  for (const [i, { name, summary }] of plugins.entries()) {
    assert.ok(lines[i]!.startsWith(name) && lines[i]!.endsWith(summary), lines[i]!);
  }
});

Deno.test("edgeward schema prints a JSON Schema with a table for every role", async () => {
  const schema = JSON.parse(succeeded(await run(["schema"])));
  assert.equal(schema.$schema, "http://json-schema.org/draft-04/schema#");
  assert.deepEqual(schema.required, ["site", "data_dir"]);
  assert.deepEqual(Object.keys(schema.properties.plugins.properties), roles);
  for (const role of roles) {
    const { type, additionalProperties } = schema.properties.plugins.properties[role];
    assert.deepEqual({ type, additionalProperties }, {
      type: "object",
      additionalProperties: false,
    });
  }
});

Deno.test("edgeward init writes what edgeward validate accepts, and neither opens anything", async () => {
  await using folder = await temporaryFolder();
  const cwd = folder.path;
  for (const chosen of [roles, ...roles.map((role) => [role])]) {
    const sample = succeeded(await run(["init", "--site", "kiosk-7", ...chosen], { cwd }));
    await Deno.writeTextFile(join(cwd, "site.toml"), sample);
    const verdict = succeeded(await run(["validate"], { cwd }));
    assert.equal(verdict, `site kiosk-7: ${chosen.join(", ")}\n`);
  }
  assert.deepEqual(Array.from(Deno.readDirSync(cwd), ({ name }) => name), ["site.toml"]);
});

Deno.test("edgeward validate takes keys from the environment", async () => {
  await using folder = await temporaryFolder();
  const cwd = folder.path;
  await Deno.writeTextFile(join(cwd, "site.toml"), `data_dir = "data"\n`);
  const verdict = await run(["validate"], { cwd, env: { EDGEWARD_SITE: "kiosk-9" } });
  assert.equal(succeeded(verdict), "site kiosk-9: no roles\n");
  const wrong = await run(["validate"], { cwd, env: { EDGEWARD_SITE: "a/b" } });
  assert.match(failed(wrong, 2).error, /EDGEWARD_SITE/);
});

Deno.test("edgeward says what is wrong on its command line", async () => {
  const cases: [string[], RegExp][] = [
    [["nonsense"], /unknown command 'nonsense'/],
    [["run", "--nope"], /unknown option '--nope'/],
    [["init"], /missing required argument 'role'/],
    [["init", "toaster"], /there is no role "toaster"/],
    [["demo", "--port", "70000"], /whole number from 0 to 65533/],
    [["demo", "--for", "soon"], /positive number/],
    [["demo", "--port", "0", "--household", "nowhere.txt"], /there is no such file/],
    [["admin", "enrol", "toaster", "t-1"], /no kind of peer "toaster"/],
    [["admin", "enrol", "meter", "a/b"], /identifier/],
    [["admin", "enrol", "meter", "m-1", "--ttl", "soon"], /a duration such as "24h"/],
    [["peers", "list", "--state", "asleep"], /choices are enrolled, approved,/],
    [["peers", "show", "toaster/t-1"], /no kind of peer "toaster"/],
    [["peers", "revoke", "meter/a b"], /identifier/],
    [["peers", "approve", "m-1"], /by what is the device recognised\?/],
    [["peers", "approve", "m-1", "--words", "a", "--code", "b"], /cannot be used with option/],
    [["peers", "approve", "m-1", "--code", "b"], /Cannot read the code/],
    [["simulate", "meters", "--url", "mqtt://127.0.0.1"], /Cannot use --url/],
    [["simulate", "meters", "--without-code", "--url", "ftp://x"], /an address such as mqtt:/],
    [["simulate", "meters", "--without-code", "--site-key", "x"], /the noise_key that/],
  ];
  await using folder = await temporaryFolder();
  const { path: cwd } = await siteIn(folder.path);
  for (const [args, error] of cases) {
    assert.match(failed(await run(args, { cwd }), 2).error, error, args.join(" "));
  }
  // without a command the help is the hint, and it is no result
  const { code, stdout, stderr } = await run([]);
  assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
  assert.match(stderr, /^Usage: edgeward/);
});

Deno.test("edgeward says where a configuration is wrong", async () => {
  await using folder = await temporaryFolder();
  const cwd = folder.path;
  const head = `site = "kiosk-7"\ndata_dir = "data"\n`;
  const cases: [string, RegExp, RegExp?][] = [
    [`${head}[http]\nlisen = "127.0.0.1:0"\n`, /^site\.toml:4:1: unknown key/, /"?listen"?/],
    [`${head}[plugins.fog-aggregator]\nwindo = "60s"\n`, /^site\.toml:4:1: unknown key/, /window/],
    [`${head}[plugins.fog-aggregator]\nwindow = 60\n`, /^site\.toml:4:\d+: invalid "window" in/],
    [`${head}[plugins.cloud-summary]\npublic_summary = "yes"\n`, /^site\.toml:4:\d+: invalid/],
    [`${head}[plugins.fog-agregator]\n`, /^site\.toml:3:\d+: /, /fog-aggregator/],
    [`${head}[plugins.toaster]\n`, /^site\.toml:3:\d+: .*toaster/, /fog-aggregator/],
    [`site = "kiosk 7"\ndata_dir = "data"\n`, /^site\.toml:1:\d+: invalid "site"/],
    [`data_dir = "data"\n`, /^site\.toml:1:1: missing key "site"/],
    [`${head}[http\n`, /^site\.toml:3:\d+: cannot parse TOML/],
    [`${head}site = "twice"\n`, /^site\.toml:3:\d+: cannot parse TOML/],
  ];
  for (const [text, error, hint = /\S/] of cases) {
    await Deno.writeTextFile(join(cwd, "site.toml"), text);
    for (const command of ["validate", "run"]) {
      const complaint = failed(await run([command], { cwd }), 2);
      assert.match(complaint.error, error);
      assert.match(complaint.hint, hint);
    }
  }
  const missing = failed(await run(["run", "-c", "other.toml"], { cwd }), 2);
  assert.match(missing.error, /"other\.toml": there is no such file/);
  assert.match(missing.hint, /edgeward init/);
  assert.deepEqual(Array.from(Deno.readDirSync(cwd), ({ name }) => name), ["site.toml"]);
});

Deno.test("parseConfig() refuses two roles that claim one path", async () => {
  const claiming = (name: string) => {
    const config = z.object({});
    return definePlugin({ name, summary: name, config, claims: ["/summary"], start() {} });
  };
  const fakes: Registry = Object.fromEntries(["one", "two"].map((name) => {
    return [name, () => Promise.resolve({ default: claiming(name) })];
  }));
  const text = `site = "s"\ndata_dir = "d"\n[plugins.one]\n[plugins.two]\n`;
  await assert.rejects(parseConfig(text, { file: "site.toml", dir: "/", registry: fakes }), {
    code: "config_invalid",
    message: /^site\.toml:4:\d+: roles "one" and "two" both claim the path "\/summary"$/,
    hint: "run one of them on another site",
  });
});

Deno.test("edgeward run says which port is busy", async () => {
  await using folder = await temporaryFolder();
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = busy.addr;
  for (const table of ["http", "admin", "mqtt"]) {
    const { path: cwd } = await siteIn(join(folder.path, table), { [table]: port });
    const { error } = failed(await run(["run"], { cwd }), 4);
    assert.match(error, RegExp(`127\\.0\\.0\\.1:${port}: the port is in use`), table);
  }
  const { error } = failed(await run(["demo", "--port", String(port)]), 4);
  assert.match(error, RegExp(`127\\.0\\.0\\.1:${port}: the port is in use`));
});

Deno.test("edgeward run says why it cannot use its data directory", async () => {
  await using folder = await temporaryFolder();
  const { path: cwd } = await siteIn(folder.path);
  // also root cannot make a folder below a file
  await Deno.writeTextFile(join(cwd, "data"), "a file");
  assert.match(failed(await run(["run"], { cwd }), 2).error, /data/);
  await Deno.remove(join(cwd, "data"));
  await Deno.mkdir(join(cwd, "data"));
  for (const damage of ["", "{}", `{"version":1,"noise":"AAAA","sign":"AAAA","seal":"AAAA"}`]) {
    await Deno.writeTextFile(join(cwd, "data", "identity.key"), damage);
    const { error, hint } = failed(await run(["run"], { cwd }), 2);
    assert.match(error, /keys ".*identity\.key": it is damaged/);
    assert.match(hint, /backup/);
    assert.ok(!error.includes("AAAA"));
    assert.equal(await Deno.readTextFile(join(cwd, "data", "identity.key")), damage);
  }
});

Deno.test("edgeward run says that its database is damaged", async () => {
  await using folder = await temporaryFolder();
  const { path: cwd } = await siteIn(folder.path);
  await Deno.mkdir(join(cwd, "data"));
  await Deno.writeTextFile(join(cwd, "data", "edgeward.db"), "no database".repeat(1_000));
  assert.match(failed(await run(["run"], { cwd }), 2).error, /database: the file is damaged/);
});

Deno.test("edgeward run says what is wrong with a fog's code", async () => {
  await using folder = await temporaryFolder();
  const { path: cwd } = await siteIn(folder.path, {}, `code_file = "cloud.json"`);
  assert.match(failed(await run(["run"], { cwd }), 2).error, /Cannot read code_file/);
  const secret = "not-a-code-but-a-secret";
  await Deno.writeTextFile(join(cwd, "cloud.json"), `{"code":"${secret}"}`);
  const { error, hint } = failed(await run(["run"], { cwd }), 2);
  assert.match(error, /enrolment code/);
  assert.ok(!(error + hint).includes(secret));
  const bare = await siteIn(join(folder.path, "bare"), {}, `cloud = "http://127.0.0.1:9"`);
  assert.match(failed(await run(["run"], { cwd: bare.path }), 2).error, /code_file is not set/);
});

Deno.test("edgeward admin, peers and simulate need a site that runs", async () => {
  await using folder = await temporaryFolder();
  const { path: cwd } = await siteIn(folder.path);
  const commands = [
    ["admin", "enrol", "meter", "m-1"],
    ["peers", "list"],
    ["peers", "revoke", "meter/m-1"],
    ["audit", "show"],
    ["simulate", "meters", "--for", "1"],
  ];
  for (const args of commands) {
    const { error, hint } = failed(await run(args, { cwd }), 4);
    assert.match(error, /the site: it does not run here/);
    assert.match(hint, /edgeward run/);
  }
});

Deno.test("edgeward admin enrol gives codes until a peer is bound, and then refuses", async () => {
  await using site = await startTestSite("fog-1", "[plugins.fog-aggregator]");
  // another file for the same data directory, as the command line reads it
  const { path: cwd } = await siteIn(site.folder);
  const args = ["admin", "enrol", "meter", "m-1", "--json"];
  const first = enrolmentFromJson(succeeded(await run(args, { cwd })));
  const second = enrolmentFromJson(succeeded(await run(args, { cwd })));
  assert.notDeepEqual(second.code, first.code);
  const words = succeeded(await run(args.slice(0, -1), { cwd }), /the code is a secret/);
  assert.match(words, /^code {7}[\w-]{22}\nsite {7}fog-1\nurl {8}mqtt:/);

  const id = parseId("m-1");
  const enrolment = { ...second, code: codeIn(words) };
  await using door = await httpDoor(site, "meter", { id, url: enrolment.url });
  const peer = new RawPeer(id, enrolment, { purpose: "meter" });
  const { message1, finish } = peer.begin();
  const session = finish(await door.exchange(message1));
  session.answer(await door.exchange(session.enrol()));

  const { error } = failed(await run(args, { cwd }), 3);
  assert.match(error, /Cannot enrol the meter "m-1": it is approved/);
  // a second process on the same data directory is refused as well
  assert.match(failed(await run(["run"], { cwd }), 4).error, /answers already/);
});

Deno.test("edgeward admin enrol prints its JSON as a QR code, for a terminal or when it is told to", async () => {
  await using site = await startTestSite("fog-1", "[plugins.fog-aggregator]");
  const { path: cwd } = await siteIn(site.folder);
  const args = ["admin", "enrol", "meter", "m-1"];
  for (const colours of [false, true]) {
    const env = { NO_COLOR: colours ? "" : "1" };
    const words = succeeded(await run([...args, "--qr"], { cwd, env }), /the code is a secret/);
    const lines = words.trimEnd().split("\n");
    const fields = lines.splice(0, 5).map((line) => line.split(/ +/));
    assert.deepEqual(lines, qrCode(JSON.stringify(Object.fromEntries(fields)), { colours }).lines);
  }
  for (const more of [[], ["--no-qr"]]) {
    const words = succeeded(await run([...args, ...more], { cwd }), /the code is a secret/);
    assert.equal(words.trimEnd().split("\n").length, 5);
  }
  const json = succeeded(await run([...args, "--json", "--qr"], { cwd }));
  assert.equal(JSON.parse(json).site, "fog-1");
});

/** Checks that a command did what was asked of it, and gives what it printed. */
function succeeded({ code, stdout, stderr }: Outcome, said = /^$/): string {
  assert.equal(code, 0, stderr);
  assert.match(stderr, said);
  return stdout;
}

/** Checks the form of a failure, and gives its two sentences. */
function failed({ code, stdout, stderr }: Outcome, expected: number) {
  assert.deepEqual({ code, stdout }, { code: expected, stdout: "" }, stderr);
  assert.doesNotMatch(stderr, /\bat (file:|async |.*:\d+:\d+\)?$)|node_modules|Uncaught/m);
  const error = /^edgeward: error: (.+)$/m.exec(stderr)?.[1];
  const hint = /^edgeward: hint: (.+)$/m.exec(stderr)?.[1];
  assert.ok(error !== undefined && hint !== undefined, `no error or no hint: ${stderr}`);
  return { error, hint };
}

/** A folder with the configuration of a fog; its data is in `data`. */
async function siteIn(
  path: string,
  ports: Record<string, number> = {},
  keys = "",
): Promise<{ path: string }> {
  const { http = 0, admin = 0, mqtt = 0 } = ports;
  await Deno.mkdir(path, { recursive: true });
  await Deno.writeTextFile(
    join(path, "site.toml"),
    `site = "fog-1"
data_dir = "data"
http.listen = "127.0.0.1:${http}"
admin.listen = "127.0.0.1:${admin}"
mqtt.listen = "127.0.0.1:${mqtt}"
[plugins.fog-aggregator]
${keys}
`,
  );
  return { path };
}

function codeIn(words: string): Uint8Array {
  const code = /^code +(\S+)$/m.exec(words)![1]!;
  return Uint8Array.fromBase64(code, { alphabet: "base64url" });
}
