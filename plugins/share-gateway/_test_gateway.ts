/**
 * Gateways for the tests of ceremonies: whole sites in one process, with real sessions over loopback and
 * real databases, but with the part of the role only that founds groups. A gateway can be made to crash
 * after a number of things that it does: from then on it writes nothing and says nothing, until it is
 * started again.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { z } from "zod";
import { type Id, parseId } from "../../core/base/id.ts";
import { filePath, parseConfig } from "../../core/host/config/mod.ts";
import { definePlugin, type Host, type Services } from "../../core/host/plugin.ts";
import { type Site, socketPath, startSite } from "../../core/host/site.ts";
import { pause } from "../../core/services/pause.ts";
import type { Channel, Handler } from "../../core/services/sessions/mod.ts";
import { decodeSignedRoster, verifyRoster } from "../../core/trust/share/roster.ts";
import { type CeremonyCall, decodeCeremonyCall } from "../../core/wire/ceremony.ts";
import { enrolmentToJson } from "../../core/wire/enrolment.ts";
import type { Event } from "../../core/wire/event.ts";
import { type Ceremony, openCeremony } from "./ceremony.ts";
import { ceremonyRoutes } from "./ceremony_routes.ts";
import type { DealStatus, GroupStatus } from "../../core/wire/group_status.ts";
import { ceremonyMigrations } from "./ceremony_tables.ts";
import { openGroup, type OwnGroup } from "./group.ts";

type RoleHost = Host & Pick<Services, "db" | "http" | "sessions">;

/** What a running gateway is made of. */
interface Parts {
  readonly host: RoleHost;
  readonly group: OwnGroup;
  readonly ceremony: Ceremony;
}

const config = z.object({
  seal_key_file: filePath().optional(),
  gateways: z.array(z.object({ code_file: filePath() })).default([]),
});

const crashed = new Error("It has crashed");

export class TestGateway implements AsyncDisposable {
  readonly id: Id;
  readonly folder: string;
  readonly events: Event[] = [];
  /** Lines of the site's table for the role. */
  table = "";
  /** Alters an answer that this gateway gives. */
  lie: (call: CeremonyCall, answer: Uint8Array) => Uint8Array | Promise<Uint8Array> = (_, answer) =>
    answer;
  /** Alters a call that this gateway makes. */
  twist: (call: CeremonyCall) => Uint8Array | null = () => null;
  /** How many more things it does before it crashes. */
  left = Infinity;
  #parts: Parts | undefined;
  #site: Site | undefined;
  #port = 0;

  constructor(id: string, folder: string) {
    this.id = parseId(id);
    this.folder = folder;
  }

  get host(): RoleHost {
    return this.#parts!.host;
  }

  get group(): OwnGroup {
    return this.#parts!.group;
  }

  get ceremony(): Ceremony {
    return this.#parts!.ceremony;
  }

  get site(): Site {
    return this.#site!;
  }

  get hasCrashed(): boolean {
    return this.left < 0;
  }

  async start(): Promise<void> {
    this.left = Infinity;
    const plugin = definePlugin({
      ...{ name: "share-gateway", summary: "test", config, migrations: ceremonyMigrations },
      needs: ["db", "http", "sessions"],
      start: async (real, config) => {
        const host = this.#watched(real);
        host.bus.listen((event) => this.events.push(event));
        const group = await openGroup(host, config);
        const ceremony = await openCeremony(host, config, {
          ...{ group, patience: { hello: 1_500, offer: 1_500 }, random: () => 0.5 },
          // the pauses between two attempts are short, and the one without end is not
          pause: (ms, signal) => pause(ms >= 300_000 ? ms : Math.min(ms, 20), signal),
        });
        host.http.mount(ceremonyRoutes(ceremony, host.access) as never);
        this.#parts = { host, group, ceremony };
      },
    });
    const text = `
      site = "${this.id}"
      data_dir = "${this.id}"
      http.listen = "127.0.0.1:${this.#port}"
      admin.listen = "127.0.0.1:0"
      [plugins.share-gateway]
      ${this.table}`;
    const registry = { "share-gateway": () => Promise.resolve({ default: plugin }) };
    const site = await parseConfig(text, { file: "site.toml", dir: this.folder, registry });
    this.#site = await startSite(site, { version: "test" });
    this.#port = this.#site.http!.port;
  }

  async stop(): Promise<void> {
    await this.#site?.[Symbol.asyncDispose]();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Gives the other one a code with which it may call this one. */
  async enrol(other: TestGateway): Promise<string> {
    const enrolment = await this.site.enrol("gateway", other.id, { ttl: 3_600_000 });
    const file = join(other.folder, `${other.id}-at-${this.id}.json`);
    await Deno.writeTextFile(file, JSON.stringify(enrolmentToJson(enrolment)));
    return file;
  }

  /** Deals, and gives how that ended. */
  async deal(): Promise<DealStatus> {
    await this.ceremony.deal("site");
    let status: GroupStatus;
    do {
      await pause(5, this.host.signal);
      status = await this.ceremony.status({ live: false });
    } while (status.deal!.state === "running" && !this.hasCrashed);
    return status.deal!;
  }

  /** Offers that it has taken and not used, and what others have still to be told by it. */
  async loose(): Promise<{ candidates: number; errands: number; secrets: number }> {
    const [row] = await this.host.db.read((q) =>
      q.all<{ candidates: number; errands: number; secrets: number }>(sql`SELECT
        (SELECT count(*) FROM share_gateway_candidates) AS candidates,
        (SELECT count(*) FROM share_gateway_errands) AS errands,
        (SELECT count(*) FROM secrets) AS secrets`)
    );
    return { ...row! };
  }

  /** What the role has recorded, oldest first. */
  async audited(): Promise<string[]> {
    const rows = await this.host.db.read((q) =>
      q.all<{ type: string; actor: string }>(
        sql`SELECT type, actor FROM audit WHERE role = 'share-gateway' ORDER BY id`,
      )
    );
    return rows.map(({ type, actor }) => `${type} by ${actor}`);
  }

  /** Asks by the socket, as this machine's operator. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; json: unknown }> {
    const socket = socketPath(join(this.folder, this.id));
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
    const response = await fetch(`http://edgeward${path}`, {
      ...{ client, method },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: await response.json() };
  }

  /** One of the things that it does: before it, and after it, it may crash. */
  async #act<T>(job: () => Promise<T>): Promise<T> {
    this.#breathe();
    const result = await job();
    this.#breathe();
    return result;
  }

  #breathe(): void {
    if (this.left > 0) this.left--;
    else this.left = -1;
    if (this.hasCrashed) throw crashed;
  }

  #watched(host: RoleHost): RoleHost {
    const { db, sessions } = host;
    return {
      ...host,
      db: { read: (query) => db.read(query), write: (job) => this.#act(() => db.write(job)) },
      sessions: {
        ...sessions,
        serve: (purpose, handler) => sessions.serve(purpose, this.#lying(handler)),
        dial: (remote, purpose) => this.#watchedChannel(sessions.dial(remote, purpose)),
      },
    };
  }

  #lying(handler: Handler): Handler {
    return async (bytes, peer) => {
      if (this.hasCrashed) throw crashed;
      // the share in it is wiped while it is answered
      const call = decodeCeremonyCall(bytes);
      return await this.lie(call, await handler(bytes, peer));
    };
  }

  #watchedChannel(channel: Channel): Channel {
    return {
      get pinned() {
        return channel.pinned;
      },
      call: (body, options) =>
        this.#act(() => channel.call(this.twist(decodeCeremonyCall(body)) ?? body, options)),
      [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
    };
  }
}

/** So many gateways, the first of which has codes of all others. */
export async function withGateways(
  n: number,
  use: (gateways: TestGateway[], folder: string) => Promise<void>,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const gateways = Array.from({ length: n }, (_, i) => new TestGateway(`gw-${i + 1}`, folder));
  const [dealer, ...others] = gateways;
  const files = others.map(({ id }) => `{ code_file = "gw-1-at-${id}.json" }`);
  dealer!.table = `gateways = [${files.join(", ")}]`;
  for (const gateway of gateways) {
    stack.use(gateway);
    await gateway.start();
  }
  for (const other of others) await other.enrol(dealer!);
  await use(gateways, folder);
}

/** Waits for what happens in the background. */
export async function eventually(what: string, ask: () => Promise<boolean> | boolean) {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`It never came to pass: ${what}`);
}

/** Waits until nobody has anything left to be told. */
export async function settled(gateways: readonly TestGateway[]): Promise<void> {
  for (const gateway of gateways) {
    await eventually(
      `${gateway.id} has told all`,
      async () => (await gateway.loose()).errands === 0,
    );
  }
}

/** They are one group: one roster that all have signed, nothing left over, shares that fit. */
export async function requireGroup(
  gateways: readonly TestGateway[],
  { k, name = "home" }: { k: number; name?: string },
): Promise<void> {
  const chains = await Promise.all(gateways.map(({ group }) => group.chain(0)));
  for (const [i, { group, host, ...gateway }] of gateways.entries()) {
    const keyshare = group.current()!;
    const { roster } = keyshare;
    assert.deepEqual(
      [roster.group, roster.epoch, roster.k, roster.n, keyshare.index],
      [name, 1, k, gateways.length, i + 1],
      gateway.id,
    );
    assert.deepEqual(chains[i], chains[0]);
    verifyRoster(host.suite, decodeSignedRoster(chains[i]![0]!));
    assert.equal(keyshare.share.reveal().length, 32);
  }
  for (const gateway of gateways) {
    assert.deepEqual(await gateway.loose(), { candidates: 0, errands: 0, secrets: 1 });
  }
}

/** There is no group anywhere, and nothing of one. */
export async function requireNothing(gateways: readonly TestGateway[]): Promise<void> {
  for (const gateway of gateways) {
    assert.equal(gateway.group.current(), null, gateway.id);
    assert.deepEqual(await gateway.group.chain(0), []);
    assert.deepEqual(await gateway.loose(), { candidates: 0, errands: 0, secrets: 0 }, gateway.id);
  }
}
