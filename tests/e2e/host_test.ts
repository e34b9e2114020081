/**
 * A site as its machine sees it: signals, a configuration that changes under it, the messages to
 * systemd, and what `edgeward status` and `edgeward doctor` tell of one that is well and of one that is not.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { HostProcess, type LogLine } from "./_host_process.ts";
import { exists, run, temporaryFolder } from "./program.ts";

const cloud = "[plugins.cloud-summary]";
const fog = (keys = "") => `[plugins.fog-aggregator]\n${keys}`;

Deno.test("SIGHUP with a bad file keeps the old configuration, and says where it is bad", async () => {
  await using folder = await temporaryFolder();
  await using systemd = listenAsSystemd(folder.path);
  await using site = await HostProcess.start(folder.path, cloud, { env: systemd.env });
  await systemd.hears("READY=1");
  const bad = ["[plugins.cloud-summary", "[plugins.toaster]", `${cloud}\npublic = true`];
  for (const tables of bad) {
    await site.configure(tables);
    site.signal("SIGHUP");
    assert.match(await systemd.hears("RELOADING=1"), /^MONOTONIC_USEC=[1-9]\d+$/m);
    const { level, error, hint } = await site.says(
      "configuration not reloaded: the site goes on with the old one",
    );
    assert.deepEqual([level, typeof hint], ["error", "string"]);
    assert.match(String(error), /^ConfigError: .*site\.toml:\d+:\d+: /);
    assert.match(await systemd.hears("READY=1"), /with the configuration of its start: .*site\.t/);
    assert.equal(await readiness(site), "ok\n");
  }
  await site.configure(cloud);
  site.signal("SIGHUP");
  assert.deepEqual(changesIn(await site.says("configuration reloaded")), [[], [], []]);
  assert.match(await systemd.hears("READY=1"), /is ready$/);
  await site.stop();
});

Deno.test("SIGHUP with a good file restarts only the role that changed", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, `${cloud}\n${fog()}`);
  const before = (await status(site)).shown;
  await site.configure(`${cloud}\n${fog('window = "10s"')}`);
  site.signal("SIGHUP");
  const from = site.written.length;
  const reloaded = await site.says("configuration reloaded");
  assert.deepEqual(changesIn(reloaded), [[], ["fog-aggregator"], []]);
  const moved = site.written.slice(from).map((line): LogLine => JSON.parse(line))
    .filter(({ message }) => message === "health changed").map(({ detail: _, ...line }) => line);
  assert.deepEqual([...new Set(moved.map((line) => line["part"]))], ["fog-aggregator"]);
  const { started, ready } = (await status(site)).shown;
  assert.deepEqual([started, ready], [before.started, true]);

  await site.configure(`log.level = "debug"\n${cloud}`);
  site.signal("SIGHUP");
  assert.deepEqual(changesIn(await site.says("configuration reloaded")), [
    ...[[], [], ["fog-aggregator"]],
  ]);
  assert.deepEqual(
    (await status(site)).shown.parts.map(({ part }) => part).includes("fog-aggregator"),
    false,
  );
  await site.stop();
});

Deno.test("SIGTERM lets a request under way end, and tells systemd", async () => {
  await using folder = await temporaryFolder();
  await using systemd = listenAsSystemd(folder.path);
  await using site = await HostProcess.start(folder.path, cloud, { env: systemd.env });
  await systemd.hears("WATCHDOG=1");
  await using request = await beginRequest(site);
  site.signal("SIGTERM");
  await site.says("stopping");
  assert.match(await systemd.hears("STOPPING=1"), /^STATUS=stopping$/m);
  assert.match(await request.finish(), /^HTTP\/1\.1 4\d\d .*"code":"/s);
  assert.equal(await site.ended(), 0);
  assert.equal(messageOf(site.written.at(-1)!), "stopped");
  assert.ok(!exists(join(site.dataDir, "edgeward.sock")));
});

Deno.test("a second SIGTERM ends a site at once that still drains", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, cloud);
  await using _request = await beginRequest(site);
  site.signal("SIGTERM");
  await site.says("stopping");
  site.signal("SIGTERM");
  assert.equal(await site.ended(), 1);
  assert.notEqual(messageOf(site.written.at(-1)!), "stopped");
});

Deno.test("edgeward status tells of a site that is well, that has failed, and that is gone", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, `${cloud}\n${fog()}`);
  const { http, admin, mqtt } = site.ports;
  const well = await site.operate(["status"]);
  assert.deepEqual([well.code, well.stderr], [0, ""]);
  const [part, gap] = ["(fog-aggregator|cloud-summary|mqtt|database|log)", " {2,}"];
  assert.match(
    well.stdout,
    RegExp(`^site      host-1, ready
version   \\d+\\.\\d+\\.\\d+
since     \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC, \\d+ (s|min) ago
http      127\\.0\\.0\\.1:${http}
admin     127\\.0\\.0\\.1:${admin}
broker    127\\.0\\.0\\.1:${mqtt}
database  \\d[\\d.]* [kM]B
log       \\d+ entr(y|ies), no witnesses
peers     nobody waits
(\\[\\+\\] ${part}${gap}ok(${gap}\\S.*)?\n){5}$`),
  );
  await site.configure(`${cloud}\n${fog('code_file = "nowhere.json"')}`);
  site.signal("SIGHUP");
  await site.says("configuration reloaded");
  const troubled = await site.operate(["status"]);
  assert.equal(troubled.code, 0, "it goes on as before");
  assert.match(
    troubled.stdout,
    /^\[~\] configuration {3}degraded {2}fog-aggregator goes on as before: Cannot read code/m,
  );

  await site.configure(cloud);
  site.signal("SIGHUP");
  await site.says("configuration reloaded");
  await site.configure(`${cloud}\n${fog('code_file = "nowhere.json"')}`);
  site.signal("SIGHUP");
  await site.says("configuration reloaded");
  const failed = await status(site);
  assert.equal(failed.code, 1);
  assert.equal(failed.shown.ready, false);
  assert.match(failed.stderr, /error: The site "host-1" is not ready: fog-aggregator failed$/m);
  const sick = await site.operate(["doctor"]);
  assert.equal(sick.code, 1);
  assert.match(sick.stdout, /^\[-\] site +fog-aggregator failed: Cannot read code_file/m);
  assert.match(sick.stdout, /^\[-\] fog-aggregator +Cannot read code_file/m);
  await site.stop();

  const gone = await site.operate(["status", "--json"]);
  assert.deepEqual([gone.code, gone.stdout], [4, ""]);
  assert.match(gone.stderr, /hint: start it with `edgeward run/);
});

Deno.test("edgeward doctor tells of a site that is well, and that is not, and changes nothing", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, `${cloud}\n${fog()}`);
  const running = await doctor(site);
  assert.deepEqual([running.code, running.shown.ok], [0, true], running.stderr);
  assert.ok(running.has("site", "ok", /^runs, and is ready$/));
  assert.ok(running.has("listeners", "ok", /^\[mqtt\] .*: held by this site$/));
  assert.ok(running.has("database", "ok", /^left to the site that runs, /));
  await site.stop();

  const before = await filesIn(site.dataDir);
  const resting = await doctor(site);
  assert.deepEqual([resting.code, resting.shown.ok], [0, true], resting.stderr);
  assert.ok(resting.has("listeners", "ok", /^\[http\] .*: free$/));
  assert.ok(resting.has("database", "ok", /^edgeward\.db is whole, /));
  assert.deepEqual(await filesIn(site.dataDir), before);

  await Deno.chmod(join(site.dataDir, "identity.key"), 0o644);
  await Deno.writeTextFile(join(site.dataDir, "edgeward.db"), "no database".repeat(1_000));
  await Deno.writeTextFile(join(folder.path, "code.json"), `{"code":"not-to-be-shown"}`);
  await site.configure(`${cloud}\n${fog('code_file = "code.json"')}`);
  using _busy = Deno.listen({ hostname: "127.0.0.1", port: site.ports.http });
  const broken = await doctor(site);
  assert.deepEqual([broken.code, broken.shown.ok], [1, false]);
  assert.match(broken.stderr, /wrong with: identity, database, listeners, fog-aggregator$/m);
  assert.ok(broken.has("identity", "failed", /mode 0644/, /^chmod 600 /));
  assert.ok(broken.has("database", "failed", /not a database/, /backup/));
  assert.ok(broken.has("listeners", "failed", /another program has the port/, /^`ss /));
  assert.ok(broken.has("fog-aggregator", "failed", /enrolment code/, /admin enrol/));
  assert.ok(!(broken.stdout + broken.stderr).includes("not-to-be-shown"));

  await site.configure("[plugins.toaster]");
  const worse = await doctor(site);
  assert.equal(worse.code, 1);
  assert.deepEqual(worse.shown.findings.map(({ part }) => part), ["configuration"]);
});

Deno.test("edgeward doctor says whether a fog's cloud is there, and whether the clocks agree", async () => {
  await using folder = await temporaryFolder();
  let ahead = 0;
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    const date = new Date(Date.now() + ahead).toUTCString();
    return new Response(null, { status: 404, headers: { date } });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const code = { code: "A".repeat(22), site: "cloud", url, noise_key: "A".repeat(43) };
  const enrolment = JSON.stringify({ ...code, expires: "2026-01-01T00:00:00.000Z" });
  await Deno.writeTextFile(join(folder.path, "code.json"), enrolment, { mode: 0o600 });
  const listeners = ["http", "admin", "mqtt"].map((table) => `${table}.listen = "127.0.0.1:0"\n`);
  const text = `site = "fog-1"\ndata_dir = "data"\n${listeners.join("")}`;
  await Deno.writeTextFile(
    join(folder.path, "site.toml"),
    text + fog('code_file = "code.json"'),
  );
  const look = async () => {
    const { code, stdout } = await run(["doctor"], { cwd: folder.path });
    const lines = stdout.split("\n").filter((line) => line.includes("] fog-aggregator"));
    return [code, ...lines.map((line) => line.replace(/ {2,}/, " "))];
  };
  const joined =
    '[+] fog-aggregator code_file: a code of the site "cloud", expired, which matters only to a fog that has not joined';
  const there = `[+] fog-aggregator ${url} answers`;
  assert.deepEqual(await look(), [0, joined, there, "[+] fog-aggregator the clocks agree"]);
  ahead = 3_600_000;
  const [, , , skewed] = await look();
  assert.match(String(skewed), /^\[~\] fog-aggregator this clock is 3[56]\d\d s behind the clo/);
  await server.shutdown();
  const [healthy, , away] = await look();
  assert.equal(healthy, 0);
  assert.match(String(away), /^\[~\] fog-aggregator http:.* does not answer: /);
});

interface Status {
  readonly started: number;
  readonly ready: boolean;
  readonly parts: readonly { readonly part: string }[];
}

async function status(site: HostProcess) {
  const { code, stdout, stderr } = await site.operate(["status", "--json"]);
  return { code, stderr, shown: JSON.parse(stdout) as Status };
}

interface Finding {
  readonly part: string;
  readonly state: string;
  readonly what: string;
  readonly hint?: string;
}

async function doctor(site: HostProcess) {
  const outcome = await site.operate(["doctor", "--json"]);
  const shown = JSON.parse(outcome.stdout) as { ok: boolean; findings: Finding[] };
  return {
    ...outcome,
    shown,
    has: (part: string, state: string, what: RegExp, hint = /^/) =>
      shown.findings.some((finding) =>
        finding.part === part && finding.state === state && what.test(finding.what) &&
        hint.test(finding.hint ?? "")
      ),
  };
}

async function readiness({ ports }: HostProcess): Promise<string> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  return await (await fetch(`http://127.0.0.1:${ports.admin}/readyz`, { client })).text();
}

function changesIn({ started, restarted, stopped }: LogLine): unknown[] {
  return [started, restarted, stopped];
}

function messageOf(line: string): string {
  return (JSON.parse(line) as LogLine).message;
}

/** The names and contents of the files of a folder. */
async function filesIn(folder: string): Promise<Record<string, string>> {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  const digests = names.map(async (name) => {
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(join(folder, name)));
    return [name, new Uint8Array(digest).toHex()];
  });
  return Object.fromEntries(await Promise.all(digests));
}

/** A socket like systemd's, and the environment that names it. What comes is read at once, as there. */
function listenAsSystemd(folder: string) {
  const path = join(folder, "notify");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  const messages: string[] = [];
  let wake = () => {};
  const reading = (async () => {
    for await (const [bytes] of socket) {
      messages.push(new TextDecoder().decode(bytes));
      wake();
    }
  })();
  return {
    env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "200000" },
    /** Resolves with the next message that has the line; skips others. */
    async hears(line: string): Promise<string> {
      for (;;) {
        for (let next = messages.shift(); next !== undefined; next = messages.shift()) {
          if (next.split("\n").includes(line)) return next;
        }
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await reading;
    },
  };
}

/** A request of which the site has the head, and waits for the body. */
async function beginRequest(site: HostProcess) {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: site.ports.http });
  const write = (text: string) => connection.write(new TextEncoder().encode(text));
  const read = async () => {
    const buffer = new Uint8Array(4_096);
    const count = await connection.read(buffer);
    return count === null ? "" : new TextDecoder().decode(buffer.subarray(0, count));
  };
  await write(
    "POST /cloud-summary/session HTTP/1.1\r\nHost: here\r\nConnection: close\r\n" +
      "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
  );
  assert.match(await read(), /^HTTP\/1\.1 100 /);
  return {
    async finish(): Promise<string> {
      await write("late");
      let text = "";
      for (let part = await read(); part !== ""; part = await read()) text += part;
      return text;
    },
    [Symbol.asyncDispose]() {
      connection.close();
      return Promise.resolve();
    },
  };
}
