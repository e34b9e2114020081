/**
 * Simulated sensors as processes, at a real site with its own broker. What a call did is counted by a hook
 * here in the test, which nobody can talk out of it: each call has a number, and none may come twice.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { Log } from "../../core/services/logging.ts";
import { Sensor } from "../../edge/simulate/sensor.ts";
import { memoryFlash } from "../../edge/simulate/sensor_flash.ts";
import { sensorSite } from "../../edge/simulate/sensor_site.ts";
import { askSite } from "../../edge/admin_client.ts";
import { spawn, temporaryFolder } from "./program.ts";
import { decide } from "./_person.ts";
import { SiteProcess } from "./site_process.ts";
import { eventually } from "./_test_site.ts";

const suite = nativeSuite();
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const profiles = ["v2", "v1"] as const;

interface Report {
  readonly devices: number;
  readonly authorized: number;
  readonly calls_sent: number;
  readonly calls_done: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly unknown: number;
  readonly calls_from_site: number;
  readonly duplicates_run: number;
  readonly unanswered: number;
  readonly misdeeds?: Readonly<Record<string, number>>;
}

for (const profile of profiles) {
  Deno.test(`sensors of ${profile} that are killed go on as the same devices, and nothing runs twice`, async () => {
    await using place = await Place.open();
    const { site, effects } = place;
    const args = ["--id", "pump", "--count", "2", "--dir", join(place.folder, "devices")];
    args.push("--profile", profile, "--calls", "relay.on", "--every", "100ms");
    for (let life = 1; life <= 3; life++) {
      await using devices = place.simulate(args);
      const before = effects.count;
      await devices.said(/^edgeward: pump-1 is authorized$/m);
      await devices.said(/^edgeward: pump-2 is authorized$/m);
      await eventually("they call", () => effects.count > before + 10 || undefined);
      const state = await place.call("pump-1", "relay.set", { on: life % 2 === 1 });
      assert.deepEqual(state, { relay: life % 2 === 1, switched: life }, "it has lost its memory");
    } // and each life ends with SIGKILL
    const report = await place.report([...args, "--for", "2s"]);
    assert.deepEqual([report.devices, report.authorized, report.unanswered], [2, 2, 0]);
    assert.equal(report.duplicates_run, 0);
    assert.deepEqual(effects.twice, []);
    const peers = await site.peers();
    assert.deepEqual(peers.map(({ id, state }) => `${id} ${state}`), [
      ...["pump-1 approved", "pump-2 approved"],
    ]);
    // by v1 nobody knows what became of a call that was under way; by v2 its id tells
    if (profile === "v1") return;
    assert.equal(report.unknown, 0);
    for (const id of ["pump-1", "pump-2"]) assert.deepEqual(effects.missing(id), [], id);
  });

  Deno.test(`a sensor of ${profile} that reboots while its call runs does not make it twice`, async () => {
    await using place = await Place.open();
    const { effects, site } = place;
    await using sensor = await place.sensor("pump-7", profile);
    await sensor.start();
    const released = effects.hold();
    const acting = sensor.act("relay.on", { device: sensor.id, n: 1 }).catch((error) => error.code);
    await eventually("the call runs", () => effects.count === 1 || undefined);
    await sensor.reboot();
    const echo = sensor.call("echo", { n: 2 });
    released();
    assert.deepEqual({ ...await echo as object }, { n: 2 });
    const end = await acting;
    // by v1 its answer is lost with the power: the message was all that it had
    if (profile === "v1") assert.equal(end, "outcome_unknown");
    else assert.deepEqual({ ...end }, { done: true });
    await sensor.act("relay.on", { device: sensor.id, n: 2 });
    assert.deepEqual([effects.count, effects.twice], [2, []]);
    assert.deepEqual(await site.peers().then(([{ state } = { state: null }]) => state), "approved");
  });

  Deno.test(`sensors of ${profile} come back when their site does, with every call answered`, async () => {
    await using place = await Place.open();
    const { site, effects } = place;
    const args = ["--count", "3", "--profile", profile, "--calls", "relay.on", "--every", "100ms"];
    const running = place.report([...args, "--for", "30s"]);
    await eventually("they call", () => effects.count > 10 || undefined);
    await site.kill();
    const before = effects.count;
    await site.start();
    await eventually("they call again", () => effects.count > before || undefined, 60_000);
    const report = await running;
    assert.deepEqual([report.authorized, report.unanswered], [3, 0]);
    assert.ok(report.unknown <= 3, `${report.unknown} unknown: one of each was under way at most`);
    assert.deepEqual(effects.twice, []);
  });

  Deno.test(`sensors of ${profile} misbehave as they are told, and nothing runs twice for that`, async () => {
    await using place = await Place.open();
    const told = ["duplicate", "replay", "reorder", "reboot", "flood", "garbage", "spoof"];
    const args = ["--count", "3", "--profile", profile, "--calls", "relay.on", "--every", "500ms"];
    const report = await place.report([
      // with this seed each of them comes in the first two rounds
      ...[...args, "--for", "8s", "--seed", "1"],
      ...["--misbehave", `${told.join(",")},retain`],
    ]);
    const { retain: _, ...misdeeds } = report.misdeeds!; // some brokers keep nothing
    assert.deepEqual(Object.keys(misdeeds).sort(), told.toSorted());
    for (const [kind, count] of Object.entries(misdeeds)) assert.ok(count > 0, kind);
    assert.deepEqual([report.authorized, report.unanswered, report.duplicates_run], [3, 0, 0]);
    assert.deepEqual(place.effects.twice, []);
    assert.ok(place.effects.count > 0);
    assert.equal(await place.ready(), 200);
  });
}

Deno.test("simulated sensors without a code wait for a person, as those of v1 do with --wait", async () => {
  await using place = await Place.open();
  const { site } = place;
  await askSite(site.dataDir, "/peers/join", { method: "POST", body: { for_ms: 3_600_000 } });
  const { noiseKey } = await site.enrol("other", "device");
  const key = noiseKey.toBase64({ alphabet: "base64url", omitPadding: true });
  const cases: [string, string[]][] = [
    ["words", ["--without-code"]],
    ["fingerprint", ["--without-code", "--site-key", key]],
    ["fingerprint", ["--profile", "v1", "--wait"]],
  ];
  for (const [by, args] of cases) {
    await using device = place.simulate([...args, "--every", "200ms"]);
    const [, id, shown] = await device.said(/^edgeward: (\S+) waits for approval: (.+)$/m);
    const waiting = await eventually("it waits", async () => {
      return (await site.peers()).find((peer) => peer.id === id);
    });
    assert.equal(waiting.state, "pending");
    const evidence = by === "words" ? waiting.words : `fingerprint ${waiting.fingerprint}`;
    assert.equal(shown, evidence);
    await decide(site, "approve", id!, `--${by}`, shown!.replace("fingerprint ", ""));
    await device.said(/^edgeward: (\S+) is let in$/m);
    assert.deepEqual(await place.call(id!, "echo", { n: 1 }), { n: 1 });
  }
});

Deno.test("simulate sensor says what cannot be, and fails when a device is not let in", async () => {
  await using place = await Place.open();
  const strange = await place.run(["--profile", "v1", "--without-code"]);
  assert.equal(strange.code, 2);
  assert.match(strange.stderr, /error: Cannot play devices of v1 as strangers: they need a psk/);
  const closed = await place.run(["--without-code", "--for", "1s", "--json"]);
  assert.equal(closed.code, 1);
  assert.match(closed.stderr, /error: 1 of 1 were not let in/);
  assert.equal((JSON.parse(closed.stdout) as Report).authorized, 0);
});

/** Who called which number how often: the only witness. */
class Effects {
  readonly #numbers = new Map<string, number[]>();
  count = 0;
  #held: Promise<void> = Promise.resolve();

  /** From now on nobody gets an answer, until what this gives is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return resolve;
  }

  get held(): Promise<void> {
    return this.#held;
  }

  add(device: string, n: number): void {
    this.count++;
    const numbers = this.#numbers.get(device) ?? [];
    this.#numbers.set(device, [...numbers, n]);
  }

  get twice(): string[] {
    return [...this.#numbers].flatMap(([device, numbers]) =>
      numbers.filter((n, i) => numbers.indexOf(n) < i).map((n) => `${device} ${n}`)
    );
  }

  /** Numbers below the highest that never came. */
  missing(device: string): number[] {
    const numbers = new Set(this.#numbers.get(device));
    const all = Array.from({ length: Math.max(...numbers) }, (_, i) => i + 1);
    return all.filter((n) => !numbers.has(n));
  }
}

/** A site whose devices may switch relays, behind a hook of the test's. */
class Place implements AsyncDisposable {
  readonly effects = new Effects();
  readonly folder: string;
  readonly #stack = new AsyncDisposableStack();
  #site: SiteProcess | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Place> {
    const { path, ...folder } = await temporaryFolder();
    const place = new Place(path);
    const stack = place.#stack;
    stack.use(folder);
    const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      const { device, params } = await request.json();
      assert.equal(params.device, device, "the gateway tells who it was, whatever the call says");
      place.effects.add(device, params.n);
      await place.effects.held;
      return Response.json({ done: true });
    });
    stack.defer(() => hook.shutdown());
    place.#site = stack.use(
      await SiteProcess.start(
        join(path, "gateway"),
        "gw-1",
        `[plugins.mqtt-auth-gateway]
profiles = ["v2", "v1"]
allow = ["time", "echo", "config.get", "telemetry.push", "relay.*"]
routes = [{ method = "relay.*", url = "http://127.0.0.1:${hook.addr.port}/relays", timeout = "30s" }]
v1_hooks = ["relay.on"]`,
      ),
    );
    return place;
  }

  get site(): SiteProcess {
    return this.#site!;
  }

  /** Calls a device as an operator does, and gives its result. */
  async call(id: string, method: string, params: object): Promise<unknown> {
    const path = `/mqtt-auth-gateway/devices/${id}/call`;
    const body = { method, params, within_ms: 20_000 };
    const answer = await askSite(this.site.dataDir, path, { method: "POST", body });
    return (answer as { result: unknown }).result;
  }

  /** A device in this process, which is let in at once. */
  async sensor(name: string, profile: "v1" | "v2"): Promise<Sensor> {
    const id = parseId(name);
    const people = sensorSite(this.site.dataDir);
    const sensor: Sensor = new Sensor({
      ...{ suite, log: silent, flash: memoryFlash(suite, { id }), profile },
      broker: { url: this.site.broker },
      ...(profile === "v1" ? { psk: await people.enterPsk(id) } : { site: await people.enrol(id) }),
      onApproval(shown) {
        const { fingerprint } = sensor;
        const signal = AbortSignal.timeout(60_000);
        if (shown !== null) void people.approve(id, { fingerprint, signal });
      },
    });
    return sensor;
  }

  run(args: readonly string[]) {
    return this.site.operate(["simulate", "sensor", ...args]);
  }

  async report(args: readonly string[]): Promise<Report> {
    const { code, stdout, stderr } = await this.run([...args, "--json"]);
    assert.equal(code, 0, stderr + stdout);
    return JSON.parse(stdout);
  }

  /** Devices that play until the scope ends, and then have no time for anything. */
  simulate(args: readonly string[]): Playing {
    const config = join(this.folder, "gateway", "site.toml");
    return new Playing(spawn(["simulate", "sensor", "-c", config, ...args]));
  }

  async ready(): Promise<number> {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const response = await fetch(`http://127.0.0.1:${this.site.ports.admin}/readyz`, { client });
    await response.body?.cancel();
    return response.status;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

class Playing implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #text = "";

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reading = (async () => {
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
        this.#text += part;
      }
    })();
  }

  /** Waits for a line on standard error. */
  said(line: RegExp): Promise<RegExpExecArray> {
    return eventually(
      `the devices say ${line}, but: ${this.#text}`,
      () => line.exec(this.#text) ?? undefined,
      90_000,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#reading;
  }
}
