/**
 * The unlocking part of a gateway for tests: its parts over one real database and a group made by hand,
 * without sessions and HTTP, and time by hand. `restart` gives what a process after a crash has.
 */
import { sql } from "drizzle-orm";
import { fromHex } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { Secret } from "../../core/base/secret.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { EventBus } from "../../core/services/bus.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openDatabase } from "../../core/services/db/mod.ts";
import { EvaluationPool } from "../../core/services/evaluation.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import { sealerOf } from "../../core/services/sealing.ts";
import { secretMigrations, secretsOf } from "../../core/services/secrets.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { deal, publicShare } from "../../core/trust/share/dealing.ts";
import type { Roster } from "../../core/trust/share/roster.ts";
import { type BootEvent, bootEventType, encodeBootEvent } from "../../core/wire/boot_event.ts";
import type { Event } from "../../core/wire/event.ts";
import type { Boot, Deposit, UnlockReply, UnlockRequest } from "../../core/wire/unlock.ts";
import { Changes } from "./changes.ts";
import { type Config, config as schema } from "./config.ts";
import { Denials } from "./denials.ts";
import { Gate } from "./gate.ts";
import type { Group, Keyshare } from "./group.ts";
import { Limits } from "./limits.ts";
import { takeReports } from "./mounts.ts";
import { operationsOf } from "./operations.ts";
import { openPieces } from "./pieces.ts";
import { migrations } from "./tables.ts";
import type { Caller } from "./store.ts";
import { Tidings } from "./tidings.ts";
import { Upkeep } from "./upkeep.ts";
import { wrapper } from "./wrapping.ts";

export const suite = nativeSuite();
export const minute = 60_000;
/** A Wednesday, 12:00 UTC. */
export const noon = Date.parse("2026-01-14T12:00:00Z");
export const log = { debug() {}, info() {}, warn() {}, error() {} };

export const device = parseId("kiosk-7");
export const deviceKey = new Uint8Array(32).fill(7);
export const caller: Caller = { device, key: deviceKey };
const signer = suite.ed25519.signer();
export const peer = {
  ...{ kind: "device", id: device, state: "approved", codeExpires: 0 },
  ...{ noiseKey: deviceKey, signKey: signer.publicKey, psk: new Uint8Array(32) },
} satisfies Peer;

export const volume = fromHex("00112233445566778899aabbccddeeff");
export const otherVolume = fromHex("ffeeddccbbaa99887766554433221100");

/** A start. */
export function boot(counter: number, salt = 0): Boot {
  return { counter, id: new Uint8Array(16).fill(counter).fill(salt, 8) };
}

/** Two gateways of a group of which one is enough, in any epoch. */
const dealt = deal(suite, { k: 1, n: 2 });

export function keyshareOf(epoch: number): Keyshare {
  const roster = {
    ...{ group: parseId("home"), epoch, k: 1, n: 2, members: [] },
    ...{ commitments: dealt.commitments, dealers: [] },
  } satisfies Roster;
  return {
    ...{ roster, index: 1, share: new Secret(dealt.shares[0]!.slice()) },
    publicShare: publicShare(dealt.commitments, 1),
  };
}

/** A group whose epochs the test decides on. */
export class TestGroup implements Group {
  keyshare: Keyshare | null = keyshareOf(3);
  rosters: Uint8Array[] = [Uint8Array.of(2), Uint8Array.of(3)];

  current(): Keyshare | null {
    return this.keyshare;
  }

  chain(after: number): Promise<readonly Uint8Array[]> {
    return Promise.resolve(this.rosters.filter(([epoch]) => epoch! > after));
  }
}

export const group = dealt.commitments[0]!;

/** An opening by voprf; what is not said is usual. */
export function opening(rest: Partial<UnlockRequest> = {}): UnlockRequest {
  return {
    ...{ scheme: "voprf", volume, group, epoch: 3, proof: false, boot: boot(1), seal: false },
    ...rest,
  };
}

/** An opening of a volume with pieces. */
export function fetching(rest: Partial<UnlockRequest> = {}): UnlockRequest {
  return opening({ scheme: "xor", group: null, epoch: 0, ...rest });
}

export function depositing(rest: Partial<Deposit> = {}): Deposit {
  const piece = new Uint8Array(32).fill(9);
  return { scheme: "xor", volume, k: 2, n: 2, index: 1, piece, boot: boot(1), ...rest };
}

/** What became of a request, in a word. */
export function outcomeOf(reply: UnlockReply): string {
  return "denied" in reply ? reply.denied : "released";
}

/** A report as the device signs it. */
export function reportOf(rest: Partial<BootEvent> = {}, key = signer): Uint8Array {
  const event = { event: "MOUNT_OK", device, volume, boot: boot(1), t: noon, ...rest } as const;
  return signStatement(suite, key, bootEventType, encodeBootEvent(event));
}

export interface Options {
  /** As the file has it. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly group?: Group;
  readonly lock?: Uint8Array;
}

interface Time {
  now: number;
  monotonic: number;
}

/** The site's key: it stays through a restart. */
const sealer = sealerOf(suite, new Secret(new Uint8Array(32).fill(1)));

async function start(folder: string, time: Time, options: { config: Config } & Options) {
  const { config, lock = null } = options;
  const group = options.group ?? new TestGroup();
  const db = await openDatabase({ path: `${folder}/site.db` });
  try {
    await db.migrate("core", [...auditMigrations, ...secretMigrations]);
    await db.migrate("share-gateway", migrations);
    const clock = () => time.now;
    const bus = new EventBus({ clock, log }).scoped("share-gateway");
    const events: Event[] = [];
    bus.listen((event) => events.push(event));
    const registry = new MetricsRegistry();
    const reports: string[] = [];
    const host = {
      ...{ site: "gw-1", suite, clock, log, bus, metrics: registry.scoped("share-gateway"), db },
      audit: auditOf("share-gateway", clock),
      evaluation: new EvaluationPool({ suite, log, threads: 0 }),
      secrets: secretsOf("share-gateway", { sealer }),
      report: (state: string, detail = "") => void reports.push(`${state} ${detail}`.trim()),
    } as unknown as Host & Services;
    const monotonic = () => time.monotonic;
    const pieces = await openPieces(host, wrapper(suite, lock && new Secret(lock.slice())));
    const limits = new Limits(config, monotonic);
    const denials = new Denials(monotonic);
    const tidings = new Tidings(host);
    const upkeep = new Upkeep(host, { group, denials, tidings });
    const wake = () => upkeep.wake();
    const changes = new Changes();
    const gate = new Gate(host, config, { changes, group, pieces, limits, denials, tidings, wake });
    return {
      ...{ db, host, events, registry, reports, pieces, limits, denials, tidings, upkeep, gate },
      operations: operationsOf(host, config, { changes, pieces, wake }),
      report: takeReports(host, { limits, tidings }),
    };
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens it in a folder of its own, which is removed afterwards. */
export async function openTestUnlock(options: Options = {}) {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const time = { now: noon, monotonic: 1_000 };
  const fill = ({ config = {}, ...rest }: Options) => ({ ...rest, config: schema.parse(config) });
  let process = await start(folder, time, fill(options));
  stack.defer(() => process.db[Symbol.asyncDispose]());
  const kept = stack.move();
  return {
    time,
    get now() {
      return process;
    },
    /** As after a crash: whatever was only in memory is gone. */
    async restart(change: Options = {}): Promise<void> {
      await process.db[Symbol.asyncDispose]();
      process = await start(folder, time, fill({ ...options, ...change }));
    },
    pass(milliseconds: number): void {
      time.now += milliseconds;
      time.monotonic += milliseconds;
    },
    /** Asks as the device, and gives the outcome in a word. */
    async ask(rest: Partial<UnlockRequest> = {}, who = caller): Promise<string> {
      return outcomeOf(await process.gate.unlock({ caller: who, request: opening(rest) }));
    },
    /** Events since the last question, without what is said of them. */
    news(): string[] {
      return process.events.splice(0).map(({ type, severity, subject }) =>
        `${type} ${severity} ${subject}`
      );
    },
    /** What is in the log, oldest first. */
    async logged(): Promise<{ type: string; actor: string; detail: Record<string, unknown> }[]> {
      const rows = await process.db.read((q) =>
        q.all<{ type: string; actor: string; detail: string }>(
          sql`SELECT type, actor, detail FROM audit ORDER BY id`,
        )
      );
      return rows.map(({ type, actor, detail }) => ({ type, actor, detail: JSON.parse(detail) }));
    },
    /** How many rows a table of the role has. */
    async count(table: string): Promise<number> {
      const [row] = await process.db.read((q) =>
        q.all<{ n: number }>(sql`SELECT count(*) AS n FROM ${sql.raw(`share_gateway_${table}`)}`)
      );
      return row!.n;
    },
    /** Makes the log fail, or work again. */
    async breakLog(isBroken: boolean): Promise<void> {
      await process.db.write((tx) =>
        tx.run(
          isBroken
            ? sql`CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END`
            : sql`DROP TRIGGER broken`,
        )
      );
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export type TestUnlock = Awaited<ReturnType<typeof openTestUnlock>>;

/** A device by another name. */
export function another(name: string) {
  return { device: parseId(name) as Id, key: suite.sha256(new TextEncoder().encode(name)) };
}
