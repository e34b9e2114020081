/** The doctor over real folders, files, ports and brokers: what is well, and what is wrong with it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { nativeSuite } from "../../services/crypto_native.ts";
import { openDatabase } from "../../services/db/mod.ts";
import { openIdentity } from "../../services/identity.ts";
import { hashPassword, openMqtt } from "../../services/mqtt/mod.ts";
import { parseConfig, type SiteConfig } from "../config/mod.ts";
import { type AnyPlugin, definePlugin, type Finding, type Services } from "../plugin.ts";
import type { SiteStatus } from "../site.ts";
import { synchroniser } from "./_clock.ts";
import { type Diagnosis, examine, type Patient } from "./mod.ts";

const quiet = "http.listen = '127.0.0.1:0'\nadmin.listen = '127.0.0.1:0'\n";
const log = { debug() {}, info() {}, warn() {}, error() {} };

Deno.test("a site that never ran is in order, and stays as it is", async () => {
  await using home = await newHome();
  const findings = await home.examined({ text: quiet, role: roleWith({ needs: ["http", "db"] }) });
  assert.deepEqual(lines(findings, "clock"), [
    "[+] site: does not run",
    `[+] data_dir: ${home.data} is made by the first start, `,
    "[+] identity: identity.key is made by the first start",
    "[+] database: edgeward.db is made when a role first needs it",
    "[+] listeners: [http] 127.0.0.1:0: any port",
    "[+] listeners: [admin] 127.0.0.1:0: any port",
  ]);
  assert.deepEqual(Array.from(Deno.readDirSync(home.folder)), []);
});

Deno.test("a data directory has a mode, an owner and room", async () => {
  await using home = await newHome();
  await Deno.mkdir(home.data, { mode: 0o700 });
  const well = await home.examined({ parts: ["data_dir"] });
  assert.match(lines(well)[0]!, /^\[\+\] data_dir: .*, mode 0700, $/);
  await Deno.chmod(home.data, 0o755);
  const [open] = await home.examined({ parts: ["data_dir"] });
  assert.deepEqual([open!.state, open!.hint], ["degraded", `chmod 700 ${home.data}`]);
  await Deno.remove(home.data);
  await Deno.writeTextFile(home.data, "");
  const file = await home.examined({ parts: ["data_dir"] });
  assert.deepEqual(lines(file), [`[-] data_dir: ${home.data} is no folder`]);
  const long = await home.examined({ data: "d".repeat(120), parts: ["data_dir"] });
  assert.match(lines(long)[0]!, /^\[-\] data_dir: its path is \d+ bytes too long for the site's/);
});

Deno.test("the keys are there, whole, and the site's alone", async () => {
  await using home = await newHome();
  openIdentity(nativeSuite(), home.data);
  const file = join(home.data, "identity.key");
  const look = async () => await home.examined({ parts: ["identity"] });
  assert.deepEqual(lines(await look()), ["[+] identity: identity.key is whole"]);
  await Deno.chmod(file, 0o640);
  const [open] = await look();
  assert.deepEqual([open!.state, open!.hint], ["failed", `chmod 600 ${file}`]);
  await Deno.writeTextFile(file, "{}");
  assert.match(lines(await look())[0]!, /^\[-\] identity: .* it is damaged$/);
  await Deno.remove(file);
  await Deno.writeTextFile(join(home.data, "edgeward.db"), "");
  assert.match(lines(await look())[0]!, /^\[-\] identity: identity.key is gone/);
});

Deno.test("a database is read through, and nothing is left beside it", async () => {
  await using home = await newHome();
  await Deno.mkdir(home.data);
  const path = join(home.data, "edgeward.db");
  const look = async () => await home.examined({ parts: ["database"] });
  {
    await using db = await openDatabase({ path });
    await db.write(async (tx) => void await tx.run("CREATE TABLE t (x)"));
    // as a crash leaves it: what is committed is in the log only
    await Deno.mkdir(join(home.folder, "crashed"));
    for (const end of ["", "-wal", "-shm"]) {
      await Deno.copyFile(`${path}${end}`, join(home.folder, "crashed", `edgeward.db${end}`));
    }
  }
  for (const end of ["-wal", "-shm"]) await Deno.remove(`${path}${end}`).catch(() => {});
  const before = await Deno.readFile(path);
  assert.match(lines(await look())[0]!, /^\[\+\] database: edgeward.db is whole, /);
  assert.deepEqual(Array.from(Deno.readDirSync(home.data), ({ name }) => name), ["edgeward.db"]);
  assert.deepEqual(await Deno.readFile(path), before);

  const crashed = await home.examined({ data: "crashed", parts: ["database"] });
  assert.match(lines(crashed)[0]!, /^\[\+\] database: edgeward.db is whole, /);
  assert.ok((await Deno.stat(join(home.folder, "crashed", "edgeward.db-wal"))).size > 0);

  await Deno.writeFile(path, before.fill(7, 100, 600));
  assert.match(lines(await look())[0]!, /^\[-\] database: edgeward.db is damaged or cannot/);
  await Deno.writeTextFile(path, "no database".repeat(1_000));
  assert.match(lines(await look())[0]!, /^\[-\] database: .*file is not a database$/);
});

Deno.test("a port is free, taken, or twice the same", async () => {
  await using home = await newHome();
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = busy.addr;
  const text = `http.listen = "127.0.0.1:${port}"\nadmin.listen = "0.0.0.0:${port}"\n` +
    `mqtt.listen = "192.0.2.1:0"`;
  const role = roleWith({ needs: ["http", "mqtt"] });
  const findings = await home.examined({ text, role, parts: ["listeners"] });
  assert.deepEqual(lines(findings), [
    `[-] listeners: [http] 127.0.0.1:${port}: another program has the port`,
    `[-] listeners: [admin] 0.0.0.0:${port}: [http] has the same address`,
    "[-] listeners: [mqtt] 192.0.2.1:0: this machine does not have the address",
  ]);
  for (const { hint } of findings) assert.match(hint!, /\S/);
});

Deno.test("a site that runs is asked what only it can know", async () => {
  await using home = await newHome();
  const running: SiteStatus = {
    ...{ site: "site-1", version: "1.2.3", started: 0, ready: false },
    http: { hostname: "127.0.0.1", port: 8080 },
    admin: { hostname: "127.0.0.1", port: 9000 },
    ...{ broker: null, database: { bytes: 1_234_567 }, log: null, peers: { waiting: 2 } },
    parts: [
      { part: "fake", state: "failed", detail: "it is gone" },
      { part: "mqtt", state: "degraded", detail: "" },
      { part: "other", state: "ok", detail: "fine" },
    ],
  };
  const role = roleWith({ needs: ["http", "db"] });
  const options = { running, role, parts: ["site", "peers", "database", "listeners"] };
  assert.deepEqual(lines(await home.examined(options)), [
    "[-] site: runs, and is not ready",
    "[-] site: fake failed: it is gone",
    "[~] site: mqtt degraded",
    "[~] peers: 2 wait to be let in",
    "[+] database: left to the site that runs, 1.2 MB",
    "[+] listeners: [http] 127.0.0.1:8080: held by this site",
    "[~] listeners: [admin] 127.0.0.1:9464: the running site still listens on 127.0.0.1:9000",
  ]);
  assert.deepEqual(lines(await home.examined({ ...options, running: "mute" })), [
    "[+] database: left to the site that runs",
  ]);
});

Deno.test("a broker elsewhere answers, or the finding says why not", async () => {
  await using home = await newHome();
  const usersFile = join(home.folder, "users");
  await Deno.writeTextFile(usersFile, "");
  await using mqtt = await openMqtt({
    ...{ url: "embedded", listen: { hostname: "127.0.0.1", port: 0 } },
    ...{ clientId: "edgeward-other", usersFile, log },
  });
  const role = roleWith({ needs: ["mqtt"] });
  const { port } = mqtt.broker!;
  const url = `mqtt.url = "mqtt://127.0.0.1:${port}"\n`;
  const answered = await home.examined({ text: url, role, parts: ["broker"] });
  // a site is no peer of another site's broker: without a user of its own it may do next to nothing
  assert.deepEqual(lines(answered), [
    `[+] broker: connected to mqtt://127.0.0.1:${port}`,
    "[~] broker: it refuses subscriptions with a wildcard below edgeward/",
    "[~] broker: a message below edgeward/ does not come back to its sender",
  ]);
  assert.match(answered[1]!.hint!, /let its user read/);

  await Deno.writeTextFile(join(home.folder, "password"), "correct horse\n");
  await Deno.writeTextFile(usersFile, `site ${await hashPassword("correct horse")} read=# write=#`);
  await mqtt.broker!.reload();
  const user = `${url}mqtt.username = "site"\nmqtt.password_file = "password"\n`;
  assert.deepEqual(lines(await home.examined({ text: user, role, parts: ["broker"] })), [
    `[+] broker: connected to mqtt://127.0.0.1:${port}`,
  ]);
  const wrong = `${url}mqtt.username = "nobody"\nmqtt.password_file = "password"\n`;
  const [refused] = await home.examined({ text: wrong, role, parts: ["broker"] });
  assert.equal(refused!.state, "failed");
  assert.doesNotMatch(refused!.what, /horse/);
  const missing = `${url}mqtt.password_file = "nowhere"\n`;
  const [unread] = await home.examined({ text: missing, role, parts: ["broker"] });
  assert.match(unread!.what, /^Cannot read the secret: /);

  await mqtt[Symbol.asyncDispose]();
  const [away] = await home.examined({ text: url, role, parts: ["broker"] });
  assert.deepEqual([away!.state, /under \[mqtt\]/.test(away!.hint!)], ["failed", true]);
  assert.deepEqual(await home.examined({ text: url, parts: ["broker"] }), []);
});

Deno.test("a clock that nobody has set is found out", async () => {
  await using home = await newHome();
  const [wrong] = await home.examined({ clock: () => 0, parts: ["clock"] });
  assert.deepEqual([wrong!.state, wrong!.what], ["failed", "it shows the year 1970"]);
  const [right] = await home.examined({ clock: () => Date.UTC(2026, 6, 31), parts: ["clock"] });
  assert.match(right!.what, /^2026-07-31 00:00:00 UTC[,;] /);
});

Deno.test("synchroniser() believes systemd's mark, and chrony's leap status", async () => {
  await using home = await newHome();
  const timesync = join(home.folder, "synchronized");
  const chronyc = join(home.folder, "chronyc");
  const none = { timesync, chronyc };
  assert.equal(await synchroniser(none), null);
  const cases = [["Normal", "chrony"], ["Not synchronised", null]] as const;
  for (const [status, expected] of cases) {
    const script =
      `#!/bin/sh\n[ "$*" = "-c -n tracking" ] && echo 'A29FC87B,10.0.0.1,3,${status}'\n`;
    await Deno.writeTextFile(chronyc, script, { mode: 0o700 });
    assert.equal(await synchroniser(none), expected);
  }
  await Deno.writeTextFile(timesync, "");
  assert.equal(await synchroniser(none), "systemd-timesyncd");
});

Deno.test("a secret is readable, and not by everybody", async () => {
  await using home = await newHome();
  const file = join(home.folder, "secret");
  const options = { role: roleWith({}), table: `deep.token_file = "secret"`, parts: ["secrets"] };
  const key = "plugins.fake.deep.token_file";
  const [missing] = await home.examined(options);
  assert.equal(missing!.state, "failed");
  assert.ok(missing!.what.startsWith(`${key}: `));
  await Deno.writeTextFile(file, "s");
  await Deno.chmod(file, 0o644);
  const guarded = [`[+] secrets: ${key} is readable, and not by everybody`];
  // nobody else gets through the folder
  assert.deepEqual(lines(await home.examined(options)), guarded);
  await Deno.chmod(home.folder, 0o755);
  const [open] = await home.examined(options);
  assert.deepEqual([open!.state, open!.hint], ["failed", `chmod 600 ${file}`]);
  await Deno.chmod(file, 0o600);
  assert.deepEqual(lines(await home.examined(options)), guarded);
});

Deno.test("a certificate fits its key and has time left", async () => {
  await using home = await newHome();
  const day = 86_400_000;
  await openssl(home.folder, "req", "-x509", "-subj", "/CN=kiosk", "-days", "30", "-nodes", [
    ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "key", "-out", "cert"],
  ]);
  const made = Date.now();
  await openssl(home.folder, "genpkey", "-algorithm", "ed25519", "-out", "other");
  const look = async (text: string, days = 0) =>
    lines(
      await home.examined({ text, parts: ["tls"], clock: () => made + days * day }),
    ).map((line) => line.replace(/\d{4}-\d\d-\d\d/, "DATE"));
  const good = `http.tls_cert_file = "cert"\nhttp.tls_key_file = "key"\n`;
  const fits = "[+] tls: tls_key_file fits the certificate";
  assert.deepEqual(await look(good), [fits, "[+] tls: tls_cert_file is valid until DATE"]);
  assert.deepEqual(await look(good, 20), [fits, "[~] tls: tls_cert_file expires on DATE"]);
  assert.deepEqual(await look(good, 31), [fits, "[-] tls: tls_cert_file has expired on DATE"]);
  assert.deepEqual(await look(good, -2), [fits, "[-] tls: tls_cert_file is valid from DATE on"]);
  const other = good.replace('"key"', '"other"');
  assert.match((await look(other))[0]!, /^\[-\] tls: tls_key_file is not the key of the cert/);
  const none = good.replace('"key"', '"cert"');
  assert.match((await look(none))[0]!, /^\[-\] tls: tls_key_file holds no private key/);
  const swapped = good.replace('"cert"', '"key"');
  assert.deepEqual(await look(swapped), ["[-] tls: tls_cert_file holds no certificate"]);
  const ca = `${good}http.client_ca_file = "nowhere"\n`;
  assert.equal((await look(ca)).at(-1), "[-] tls: client_ca_file cannot be read");
});

Deno.test("examine() goes on when a role's own probe breaks, or hangs", async () => {
  await using home = await newHome();
  const gate = Promise.withResolvers<void>();
  const tidied: string[] = [];
  const check = async function* ({ how }: { how: string }): AsyncGenerator<Finding> {
    yield { state: "ok", what: "first things first" };
    if (how === "breaks") throw new Error("it broke");
    try {
      await gate.promise;
    } finally {
      tidied.push("hangs");
    }
  };
  const broken = await home.examined({
    role: roleWith({ check }),
    table: `how = "breaks"`,
    parts: ["fake"],
  });
  const first = "[+] fake: first things first";
  assert.deepEqual(lines(broken), [first, "[-] fake: it broke"]);
  const hanging = await home.examined({
    role: roleWith({ check }),
    table: `how = "hangs"`,
    patience: 20,
    parts: ["clock", "fake"],
  });
  assert.deepEqual(lines(hanging, "clock"), [first, "[-] fake: no result within 0.02 s"]);
  gate.resolve();
  await gate.promise;
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(tidied, ["hangs"]);
  const sync = roleWith({
    check() {
      throw new TypeError("at once");
    },
  });
  assert.deepEqual(lines(await home.examined({ role: sync, parts: ["fake"] })), [
    "[-] fake: at once",
  ]);
});

interface Options extends Partial<Patient> {
  /** Of the configuration, before the table of the role. */
  readonly text?: string;
  readonly role?: AnyPlugin;
  /** Lines of the role's table. */
  readonly table?: string;
  /** Name of the data directory. */
  readonly data?: string;
  /** All but these are left out. */
  readonly parts?: readonly string[];
  readonly patience?: number;
}

async function newHome() {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  return {
    folder,
    data: join(folder, "data"),
    async examined({ parts, patience, running = null, clock = Date.now, ...rest }: Options) {
      const config = await configIn(folder, rest);
      const options = patience === undefined ? {} : { patience };
      const findings = await Array.fromAsync(examine({ config, running, clock }, options));
      return findings.filter(({ part }) => parts?.includes(part) ?? true);
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

function configIn(
  dir: string,
  { text = "", role = roleWith({}), table = "", data = "data" }: Options,
): Promise<SiteConfig> {
  const registry = { fake: () => Promise.resolve({ default: role }) };
  const whole = `site = "site-1"\ndata_dir = "${data}"\n${text}\n[plugins.fake]\n${table}\n`;
  return parseConfig(whole, { file: "site.toml", dir, registry });
}

function roleWith(
  traits: {
    needs?: readonly (keyof Services)[];
    check?: (config: { how: string }) => AsyncIterable<Finding>;
  },
): AnyPlugin {
  const { needs = [], check } = traits;
  const plugin = definePlugin({
    ...{ name: "fake", summary: "fake", needs, start() {} },
    config: z.object({
      how: z.string().default(""),
      deep: z.object({ token_file: z.string() }).optional(),
    }),
  });
  return check === undefined ? plugin : { ...plugin, check };
}

/** As they are printed, without free space, which is not the test's business. */
function lines(findings: readonly Diagnosis[], without?: string): string[] {
  const marks = { ok: "[+]", degraded: "[~]", failed: "[-]" };
  return findings.filter(({ part }) => part !== without)
    .map(({ part, state, what }) =>
      `${marks[state]} ${part}: ${what.replace(/[\d.]+ .B free/, "")}`
    );
}

async function openssl(cwd: string, ...args: (string | string[])[]): Promise<void> {
  const command = new Deno.Command("openssl", { args: args.flat(), cwd, stderr: "piped" });
  const { success, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
