/**
 * A site and what surrounds it, as its operator meets them: certificates that are renewed, a broker that
 * goes and comes back or never was there, browsers that speak MQTT, and a key that is changed.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { connectMqtt } from "../../core/services/mqtt/mod.ts";
import { HostProcess } from "./_host_process.ts";
import { steadyPort } from "./site_process.ts";
import { temporaryFolder } from "./program.ts";

const isCi = Deno.env.get("CI") === "true";
const mosquitto = exists("mosquitto") ? "mosquitto" : "/usr/sbin/mosquitto";
const without = (program: string) => !isCi && !exists(program);
const patience = 30_000;

Deno.test({
  name:
    "a site serves a renewed certificate after SIGHUP, and goes on with the old one when it is bad",
  ignore: without("openssl"),
  async fn() {
    await using folder = await temporaryFolder();
    const pem = (name: string) => join(folder.path, name);
    const [first, second] = [await certify(pem("tls")), await certify(pem("next"))];
    await using site = await HostProcess.start(
      folder.path,
      `http.tls_cert_file = "tls.pem"\nhttp.tls_key_file = "tls.key"
[plugins.cloud-summary]\npublic_summary = true`,
    );
    assert.equal(await certificateOf(site), first);

    await Deno.writeTextFile(pem("tls.pem"), "no certificate");
    site.signal("SIGHUP");
    assert.equal(
      (await site.says("a part does not start with its new configuration")).part,
      "http",
    );
    assert.equal(await certificateOf(site), first);

    for (const end of ["pem", "key"]) await Deno.copyFile(pem(`next.${end}`), pem(`tls.${end}`));
    site.signal("SIGHUP");
    await site.says("configuration reloaded");
    assert.equal(await certificateOf(site), second);
    await site.stop();
  },
});

Deno.test({
  name: "a site without its broker says why, and is well again when the broker comes back",
  ignore: without(mosquitto),
  async fn() {
    await using folder = await temporaryFolder();
    const port = steadyPort();
    let broker = startMosquitto(port);
    await using site = await HostProcess.start(
      folder.path,
      `mqtt.url = "mqtt://127.0.0.1:${port}"\n[plugins.fog-aggregator]`,
    );
    await health(site, /^\[\+\]mqtt ok/m);
    for (let round = 0; round < 2; round++) {
      broker.kill("SIGKILL");
      await broker.status;
      await health(site, /^\[~\]mqtt degraded: \S.*\n/m);
      broker = startMosquitto(port);
      await health(site, /^\[\+\]mqtt ok/m);
    }
    await site.stop();
    broker.kill("SIGKILL");
    await broker.status;
  },
});

Deno.test("a site whose broker has no address runs, and says so", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(
    folder.path,
    `mqtt.url = "mqtt://nobody.invalid"\n[plugins.fog-aggregator]`,
  );
  const text = await health(site, /^\[~\]mqtt degraded: .*nobody\.invalid.*\n/m);
  assert.match(text, /^ok$/m);
  await site.stop();
});

Deno.test("a site's broker answers over WebSocket at /mqtt, and confines a client there as elsewhere", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, "[plugins.fog-aggregator]");
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const url = `${site.url.replace("http", "ws")}/mqtt`;
  await using client = await connectMqtt({ url, clientId: "m-1", log });
  const down = "edgeward/meter/down/m-1";
  await client.subscribe(down, () => {});
  await client.publish("edgeward/meter/connect/m-1", new Uint8Array(3));
  await assert.rejects(client.subscribe("edgeward/meter/down/m-2", () => {}), {
    code: "mqtt_refused",
  });
  await site.stop();
});

Deno.test("a fog finds its code in the environment, and keeps it to itself", async () => {
  await using folder = await temporaryFolder();
  const [cloudFolder, fogFolder] = [join(folder.path, "cloud"), join(folder.path, "fog")];
  for (const path of [cloudFolder, fogFolder]) await Deno.mkdir(path);
  await using cloud = await HostProcess.start(cloudFolder, "[plugins.cloud-summary]");
  const { stdout } = await cloud.operate(["admin", "enrol", "fog", "host-1", "--json"]);
  const role = `[plugins.fog-aggregator]\ncode_file = "env:THE_CODE"`;
  const env = { THE_CODE: stdout };
  await using fog = await HostProcess.start(fogFolder, role, { env });
  await health(fog, /^\[\+\]fog-aggregator ok/m);
  assert.ok(!fog.written.join("\n").includes(JSON.parse(stdout).code));
  await fog.stop();
  await cloud.stop();
});

Deno.test("edgeward admin rotate-key seals anew while the site runs, and its peers stay known", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, "[plugins.fog-aggregator]");
  for (const id of ["m-1", "m-2"]) {
    assert.equal((await site.operate(["admin", "enrol", "meter", id, "--json"])).code, 0);
  }
  const before = await Deno.readTextFile(join(site.dataDir, "identity.key"));
  const { code, stdout, stderr } = await site.operate(["admin", "rotate-key", "--json"]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), { version: 2, resealed: 2 });
  assert.notEqual(await Deno.readTextFile(join(site.dataDir, "identity.key")), before);
  const again = await site.operate(["admin", "enrol", "meter", "m-1", "--json"]);
  assert.equal(again.code, 0, again.stderr);
  await site.stop();
});

/** A certificate for localhost that stands for itself. Returns its text. */
async function certify(name: string): Promise<string> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
      ...["-keyout", `${name}.key`, "-out", `${name}.pem`],
    ],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return await Deno.readTextFile(`${name}.pem`);
}

/** The certificate that the site shows to whoever connects, once a request has been answered. */
async function certificateOf(site: HostProcess): Promise<string> {
  const client = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${site.ports.http}`, "-showcerts"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = client.stdin.getWriter();
  await writer.write(
    new TextEncoder().encode(
      "GET /summary HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ),
  );
  const { stdout, stderr } = await client.output();
  await writer.close().catch(() => {});
  const text = new TextDecoder().decode(stdout);
  assert.match(text, /HTTP\/1\.1 200/, new TextDecoder().decode(stderr));
  const shown = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n/.exec(text);
  return shown?.[0] ?? text;
}

/** What `/readyz?verbose` says, once it says this. */
async function health(site: HostProcess, wanted: RegExp): Promise<string> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  let text = "";
  for (const deadline = Date.now() + patience; Date.now() < deadline;) {
    const response = await fetch(`http://127.0.0.1:${site.ports.admin}/readyz?verbose`, { client });
    text = await response.text();
    if (wanted.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`It never said ${wanted}: ${text}`);
}

function startMosquitto(port: number): Deno.ChildProcess {
  return new Deno.Command(mosquitto, {
    args: ["-p", `${port}`],
    stdout: "null",
    stderr: "null",
  }).spawn();
}

function exists(program: string): boolean {
  try {
    new Deno.Command(program, { args: ["-h"], stdout: "null", stderr: "null" }).outputSync();
    return true;
  } catch {
    return false;
  }
}
