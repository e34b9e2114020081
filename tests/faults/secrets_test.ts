/**
 * Secrets stay where they belong. Two sites live a hard life with their logs at the loudest: peers join
 * with right and wrong codes, people mistype, brokers refuse passwords, configurations hold secrets in
 * the wrong places, everything is shown that can be shown. Of all that leaves them, prints, answers,
 * files, nothing gives a secret away.
 */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { fromBase64url, toBase64url, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { configSchema } from "../../core/host/config/mod.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { hkdf } from "../../core/trust/hkdf.ts";
import { pskFromCode } from "../../core/trust/session/handshake.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { allPlugins } from "../../edge/options.ts";
import { loadModel } from "../../edge/simulate/load_model.ts";
import { SimulatedMeter } from "../../edge/simulate/meter.ts";
import { temporaryFolder } from "../e2e/program.ts";
import { Hunt } from "./_hunt.ts";
import { watched, WatchedSite } from "./_watched_site.ts";

const suite = nativeSuite();

/** A secret of the kind that people choose, new for each purpose. */
function madeUp(hunt: Hunt, name: string): string {
  const text = `hunter2-${toBase64url(suite.randomBytes(15))}`;
  hunt.secret(name, text);
  return text;
}

/** The keys of a site, from the one file that may hold them, and what is derived from them. */
function keysOf(hunt: Hunt, site: WatchedSite): string {
  const file = join(site.dataDir, "identity.key");
  assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
  const text = Deno.readTextFileSync(file);
  const { noise, sign, seal } = JSON.parse(text);
  const sealing = fromBase64url(seal[0].key);
  hunt.secret(`noise key of ${site.name}`, fromBase64url(noise));
  hunt.secret(`signing key of ${site.name}`, fromBase64url(sign));
  hunt.secret(`sealing key of ${site.name}`, sealing);
  const derived = hkdf(suite, { ikm: sealing, salt: "edgeward/seal", info: "v1" });
  hunt.secret(`derived sealing key of ${site.name}`, derived);
  return text;
}

/** Enrols a peer by the command; its code, and what follows from it, are secrets from then on. */
async function enrol(hunt: Hunt, site: WatchedSite, kind: string, id: string) {
  const { stdout, code, stderr } = await watched(
    hunt,
    ["admin", "enrol", kind, id, "--json", "-c", site.config],
    { shows: true },
  );
  assert.equal(code, 0, stderr);
  const enrolment = enrolmentFromJson(stdout);
  hunt.secret(`code of ${id}`, enrolment.code);
  hunt.secret(`psk of ${id}`, pskFromCode(suite, enrolment.code, { site: site.name, device: id }));
  return { enrolment, printed: stdout };
}

/** A broker that answers every login with a refusal. */
async function rudeBroker() {
  let logins = 0;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      logins++;
      socket.end(new Uint8Array([0x20, 2, 0, 5]));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    get logins() {
      return logins;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** Two at a time, as many as there are processors. */
async function inPairs<T>(things: readonly T[], act: (thing: T) => Promise<unknown>) {
  for (let i = 0; i < things.length; i += 2) await Promise.all(things.slice(i, i + 2).map(act));
}

Deno.test("no secret leaves a site, whatever is done to it", async () => {
  const hunt = new Hunt();
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryFolder());
  const cloud = stack.use(
    new WatchedSite({ hunt, folder: path, name: "cloud", config: "[plugins.cloud-summary]" }),
  );
  await cloud.start();
  const keyFile = keysOf(hunt, cloud);

  // a fog that first comes with a code that somebody has mistyped
  const { enrolment, printed } = await enrol(hunt, cloud, "fog", "fog-1");
  const mistyped = suite.randomBytes(16);
  hunt.secret("mistyped code of fog-1", mistyped);
  const codeFile = join(path, "cloud.json");
  Deno.writeTextFileSync(
    codeFile,
    printed.replace(toBase64url(enrolment.code), toBase64url(mistyped)),
  );
  const fogConfig = `[plugins.fog-aggregator]
window = "1s"
grace = "100ms"
code_file = "cloud.json"`;
  const fog = stack.use(new WatchedSite({ hunt, folder: path, name: "fog-1", config: fogConfig }));
  await fog.start();
  keysOf(hunt, fog);
  const uplink = async (state: string) => {
    const health = await (await fog.get("admin", "/readyz?verbose")).text();
    return health.includes(`fog-aggregator ${state}`);
  };
  await fog.until(() => uplink("degraded"), "refused by the cloud");
  await fog.end();
  Deno.writeTextFileSync(codeFile, printed);
  await fog.start();

  // meters with the right code, with a wrong one, and with one that was used
  const log = (message: string, properties?: Record<string, unknown>) =>
    hunt.saw("the log of a meter", `${message} ${Deno.inspect(properties, { depth: 9 })}`);
  const logs = { debug: log, info: log, warn: log, error: log };
  const { enrolment: meterCode } = await enrol(hunt, fog, "meter", "m-1");
  const wrongCode = suite.randomBytes(16);
  hunt.secret("wrong code of m-1", wrongCode);
  const source = loadModel(1);
  for (const [i, code] of [wrongCode, meterCode.code, meterCode.code].entries()) {
    const id = parseId("m-1");
    await using meter = new SimulatedMeter({
      ...{ suite, id, clock: Date.now, log: logs, enrolment: { ...meterCode, code } },
    });
    hunt.secret(`noise key of meter ${i}`, meter.keys.noise.secretKey);
    hunt.secret(`signing key of meter ${i}`, meter.keys.signer.seed);
    for (let step = 0; step < 5; step++) meter.measure(source(0, step)!);
    await meter.drained(AbortSignal.timeout(i === 1 ? 60_000 : 1_500)).catch(
      log.bind(null, "drain"),
    );
    if (i === 1) assert.equal(meter.statistics.accepted, 5);
  }
  await fog.until(() => uplink("ok"), "let in by the cloud");

  // tokens: a good one, everything that looks like one, and none
  const made = await watched(
    hunt,
    ["admin", "token", "add", "--role", "viewer", "--json", "-c", cloud.config],
    { shows: true },
  );
  assert.equal(made.code, 0, made.stderr);
  const { id, token } = JSON.parse(made.stdout);
  hunt.secret("API token", fromBase64url(token.slice(-43)));
  hunt.secret("API token as text", token.slice(-43));
  const guess = `edgeward_${id}_${toBase64url(suite.randomBytes(32))}`;
  hunt.secret("guessed API token", guess.slice(-43));
  const bearer = (text: string) => ({ headers: { authorization: `Bearer ${text}` } });
  const basic = { headers: { authorization: `Basic ${btoa(`admin:${token}`)}` } };
  for (const where of ["/summary", "/cloud-summary/windows", "/peers", "/tokens"]) {
    for (const init of [bearer(token), bearer(guess), bearer(`${token}x`), basic, {}]) {
      await cloud.get("http", where, init);
      await cloud.get("admin", where, init);
    }
    await cloud.get("http", `${where}?token=${token}&from=${token}&access_token=${guess}`);
    await cloud.get("http", `${where}/${token}`, { headers: { cookie: `session=${token}` } });
  }
  assert.equal((await cloud.get("http", "/summary", bearer(token))).status, 200);
  assert.equal((await cloud.get("http", "/summary", bearer(guess))).status, 401);
  for (const path of ["/cloud-summary/session", "/peers/meter/m-2/approve", "/enrol", "/tokens"]) {
    await cloud.get("http", path, { method: "POST", body: printed });
    await cloud.get("http", path, { method: "POST", body: `{"code": "${toBase64url(mistyped)}` });
  }

  // a broker elsewhere that refuses the password
  await using broker = await rudeBroker();
  const password = madeUp(hunt, "password of the broker");
  Deno.writeTextFileSync(join(path, "password"), `${password}\n`, { mode: 0o600 });
  const external = `mqtt.url = "mqtt://127.0.0.1:${broker.port}"
mqtt.username = "edgeward"
mqtt.password_file = "password"
[plugins.fog-aggregator]`;
  const far = stack.use(new WatchedSite({ hunt, folder: path, name: "far", config: external }));
  await far.start();
  keysOf(hunt, far);
  await far.until(() => Promise.resolve(broker.logins >= 2), "refused twice by its broker");

  // configurations with a secret in the wrong place: nothing starts, and a running site goes on
  const misplaced = madeUp(hunt, "misplaced secret");
  const wrong = [
    `mqtt.password = "${misplaced}"\n[plugins.fog-aggregator]`,
    `mqtt.url = "mqtt://edgeward:${misplaced}@127.0.0.1"\n[plugins.fog-aggregator]`,
    `mqtt.username = ["${misplaced}"]\n[plugins.fog-aggregator]`,
    `db.url = "postgres://edgeward:${misplaced}@127.0.0.1/x"\n[plugins.fog-aggregator]`,
    `http.public_url = "ftp://edgeward:${misplaced}@127.0.0.1"\n[plugins.fog-aggregator]`,
    `[plugins.fog-aggregator]\nwindow = "${misplaced}"`,
    `[plugins.fog-aggregator]\ncode = "${misplaced}"`,
    `[plugins.fog-aggregator]\ncode_file = { code = "${misplaced}" }`,
    `[plugins.fog-aggregator]\ncloud = "https://${misplaced}@cloud example"`,
    `[plugins.fog-aggregator]\ncloud_key = "${misplaced}"\ncode_file = "cloud.json"`,
    `[plugins.fog-aggregator]\ncloud_key = "${misplaced}`,
    `[plugins.fog-aggregator]\npassword ${misplaced} = 1`,
  ];
  for (const config of wrong) {
    fog.configure(config);
    fog.reload();
    await inPairs(["validate", "doctor"], (command) => watched(hunt, [command, "-c", fog.config]));
  }
  fog.configure(fogConfig);
  await inPairs(["MQTT__PASSWORD", "MQTT__URL", "HTTP__LISTEN", "CODE"], async (name) => {
    const env = { [`EDGEWARD_${name}`]: misplaced };
    const { code } = await watched(hunt, ["validate", "-c", fog.config], { env });
    assert.equal(code, 2, name);
  });

  // files that are damaged, and files in each other's place
  const others = new WatchedSite({ hunt, folder: path, name: "other", config: fogConfig });
  Deno.mkdirSync(others.dataDir);
  const damaged = [keyFile.slice(0, -9), keyFile.replace('"seal"', '"sael"'), printed, password];
  for (const text of damaged) {
    Deno.writeTextFileSync(join(others.dataDir, "identity.key"), text);
    const { code, stderr } = await watched(hunt, ["run", "-c", others.config]);
    assert.equal(code, 2, stderr);
  }
  await watched(hunt, ["doctor", "-c", others.config]);
  Deno.removeSync(join(others.dataDir, "identity.key"));
  for (
    const text of [printed.slice(0, -20), printed.replace('"code"', '"cod"'), keyFile, password]
  ) {
    Deno.writeTextFileSync(join(path, "damaged.json"), text);
    others.configure(fogConfig.replace("cloud.json", "damaged.json"));
    const { code, stderr } = await watched(hunt, ["run", "-c", others.config]);
    assert.notEqual(code, 0, stderr);
  }
  await watched(hunt, ["doctor", "-c", others.config]);

  // people who mistype, and everything that can be shown
  const typed = toBase64url(wrongCode);
  for (const site of [cloud, fog, far]) {
    const commands = [
      ["peers", "approve", "meter/m-1", "--code", typed],
      ["admin", "token", "revoke", guess],
      ["status", "--json"],
      ["status"],
      ["doctor"],
      ["peers", "list", "--json"],
      ["peers", "show", site === cloud ? "fog/fog-1" : "meter/m-1", "--json"],
      ["admin", "token", "list", "--json"],
    ];
    await inPairs(commands, (command) => watched(hunt, [...command, "-c", site.config]));
    await watched(hunt, ["peers", "approve", "meter/m-9", "--code", "-", "-c", site.config], {
      stdin: `${typed.slice(0, -1)}\n`,
    });
    for (const page of ["/metrics", "/site", "/readyz?verbose", "/livez", `/${typed}`]) {
      await site.get("admin", page);
      await site.get("http", page);
    }
    site.files("while it runs");
  }
  await fog.end("SIGKILL");
  fog.files("after a crash");
  for (const site of [cloud, far]) {
    await site.end();
    site.files("at rest");
  }

  assert.deepEqual(hunt.findings(), []);
  // nor did anybody try to log one: the net under the log is empty
  assert.doesNotMatch(hunt.text("the log"), /\[redacted\]/);
  // it was no silence that was searched
  assert.match(hunt.text("the log of fog-1"), /"level":"debug"/);
  assert.match(hunt.text("the log of fog-1"), /configuration not reloaded/);
  assert.match(hunt.text("the log of far"), /MQTT disconnected/);
  assert.match(hunt.text("an answer of cloud"), /total_packets/);
  assert.match(hunt.text("an answer of cloud"), /token_invalid/);
  assert.match(hunt.text("edgeward.db"), /peer\.enrolled/);
  assert.match(hunt.text("edgeward.db-wal of fog-1 after a crash"), /device\.approved/);
  assert.match(hunt.text("stdout of status"), /fog-aggregator +ok/);
  assert.match(hunt.text("stderr of validate"), /unknown key "password"/);
  // and what was searched for is there where it belongs
  assert.deepEqual(hunt.namesIn(keyFile), [
    ...["noise key of cloud", "signing key of cloud", "sealing key of cloud"],
  ]);
  assert.deepEqual(hunt.namesIn(printed), ["code of fog-1"]);
  assert.deepEqual(hunt.namesIn(Deno.readFileSync(join(path, "password"))), [
    "password of the broker",
  ]);
});

Deno.test("the hunt finds a secret in every form, at every place, in whatever it lies", () => {
  const secret = suite.randomBytes(32);
  const hunt = new Hunt();
  hunt.secret("planted", secret);
  const around = (length: number) => suite.randomBytes(length);
  for (let before = 0; before < 7; before++) {
    const long = new Uint8Array([...around(before), ...secret, ...around(5)]);
    const base64 = btoa(String.fromCharCode(...long));
    const forms: Record<string, Uint8Array | string> = {
      raw: long,
      hex: `x${long.toHex()}x`,
      "upper hex": long.toHex().toUpperCase(),
      base64: `"${base64}"`,
      base64url: toBase64url(long),
      "JSON of bytes": JSON.stringify({ key: [...long] }),
      "JSON of a view": JSON.stringify({ key: new Uint8Array(secret) }),
      "the runtime's print": Deno.inspect([...long], { breakLength: Infinity, iterableLimit: 99 }),
    };
    for (const [form, text] of Object.entries(forms)) {
      assert.deepEqual(hunt.namesIn(text), ["planted"], `${form} after ${before} bytes`);
    }
    hunt.saw(`place ${before}`, utf8(base64));
  }
  hunt.saw("an empty place", around(100));
  assert.equal(hunt.findings().length, 7);
  assert.equal(hunt.findings()[0], "planted in place 0");
});

Deno.test("no key of the configuration takes a secret itself", async () => {
  const schema = configSchema(await allPlugins()) as Table;
  const keys = keysIn(schema);
  assert.ok(keys.includes("mqtt.password_file"), keys.join());
  const suspicious = /pass|secret|token|psk|credential|private|code|seed|pin$|key$/i;
  const publicKeys = ["plugins.fog-aggregator.cloud_key"];
  assert.deepEqual(
    keys.filter((key) => suspicious.test(key) && !/_file$/.test(key) && !publicKeys.includes(key)),
    [],
  );
});

interface Table {
  readonly properties?: Readonly<Record<string, Table>>;
}

function keysIn({ properties = {} }: Table): string[] {
  return Object.entries(properties).flatMap((
    [key, table],
  ) => [key, ...keysIn(table).map((inner) => `${key}.${inner}`)]);
}
