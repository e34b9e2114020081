/**
 * Many fogs and meters over simulated days, in one process: real roles over real database files, but
 * time passes as fast as the work is done. Uplinks fail at random, for hours, or lose an answer; batches
 * come hours late or twice; some meters lose their count. It ends when all of that has ended.
 */
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { sql } from "drizzle-orm";
import { toBase64url } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import type { Signer } from "../../core/trust/crypto.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { decodeReceipt, encodeBatch, type Reading, readingsType } from "../../core/wire/reading.ts";
import { Instrument } from "../../edge/simulate/instrument.ts";
import { loadModel } from "../../edge/simulate/load_model.ts";
import { mischiefOf } from "../../edge/simulate/misbehaviour.ts";
import cloudSummary from "../../plugins/cloud-summary/mod.ts";
import fogAggregator from "../../plugins/fog-aggregator/mod.ts";
import { Ledger } from "./_oracle.ts";
import { type RoleHost, startRole } from "./_role_host.ts";
import { VirtualTime } from "./_virtual_time.ts";

export interface MonthSize {
  readonly fogs: number;
  /** At each fog. */
  readonly meters: number;
  readonly days: number;
}

export interface Memory {
  readonly rss: number;
  readonly heap: number;
}

export interface Month {
  readonly cloud: RoleHost;
  /** What the cloud must hold, by the fog. */
  readonly ledgers: ReadonlyMap<string, Ledger>;
  readonly readings: number;
  /** After a third of the time, and at the end. */
  readonly memory: readonly [Memory, Memory];
  readonly fogs: readonly RoleHost[];
  /** Calls of the uplinks that failed. */
  readonly failed: number;
}

const suite = nativeSuite();
const minute = 60_000;
const hour = 60 * minute;
/** 2026-09-01: a Tuesday as any. */
const beginning = Date.UTC(2026, 8, 1);
/** Milliseconds of a window, and between two readings. */
export const quarter = 15 * minute;

interface MeterState {
  readonly peer: Peer;
  readonly signer: Signer;
  readonly instrument: Instrument;
  /** Batches that have not been sent, with the hour in which they will. */
  readonly held: { readonly at: number; readonly statement: Uint8Array }[];
}

interface FogState {
  readonly host: RoleHost;
  readonly ledger: Ledger;
  readonly meters: readonly MeterState[];
  /** Whether the uplink works. */
  isUp: boolean;
}

/** Simulates, and hands the system over to look at while it is still there. */
export async function simulateMonth(
  { fogs: fogCount, meters: meterCount, days }: MonthSize,
  { seed, folder }: { seed: number; folder: string },
  look: (month: Month) => Promise<void>,
): Promise<void> {
  using time = new VirtualTime();
  await using stack = new AsyncDisposableStack();
  const random = drawsOf(seed);
  const clock = () => beginning + time.elapsed;
  let measuredAt = beginning, readings = 0, failed = 0;

  const cloud = stack.use(
    await startRole(cloudSummary, {
      ...{ site: parseId("cloud"), folder: join(folder, "cloud"), clock, config: {} },
    }),
  );
  const model = loadModel(seed);
  const fogs: FogState[] = [];
  for (let f = 0; f < fogCount; f++) {
    const site = parseId(`fog-${f + 1}`);
    const place = join(folder, site);
    await Deno.mkdir(place);
    await Deno.writeTextFile(join(place, "cloud.json"), codeFor("cloud"));
    const carry = async (body: Uint8Array) => {
      if (!fog.isUp) {
        failed++;
        throw new Error("The uplink is down");
      }
      const answer = await cloud.handle(body, peerOf("fog", site, host.signKey));
      if (random() > 0.02) return answer;
      failed++;
      throw new Error("The answer is lost");
    };
    const host = stack.use(
      await startRole(fogAggregator, {
        ...{ site, folder: place, clock, carry },
        config: {
          ...{ window: "15m", grace: "5m", lateness: "1d", keep: "2d" },
          code_file: join(place, "cloud.json"),
        },
      }),
    );
    const meters = Array.from({ length: meterCount }, (_, m): MeterState => {
      const signer = suite.ed25519.signer();
      const number = f * meterCount + m;
      const kinds = number % 10 === 0 ? ["reset", "rollover", "replace"] as const : [];
      return {
        signer,
        peer: peerOf("meter", `m-${number + 1}`, signer.publicKey),
        instrument: new Instrument({
          clock: () => measuredAt,
          register: parseId("r1"),
          mischief: mischiefOf(kinds, { seed, meter: number }),
        }),
        held: [],
      };
    });
    const fog: FogState = { host, meters, ledger: new Ledger(quarter), isUp: true };
    fogs.push(fog);
  }

  const hosts = [cloud, ...fogs.map(({ host }) => host)];
  const hours = 24 * days;
  const memory: Memory[] = [];
  for (let h = 0; h < hours; h++) {
    const isLast = h === hours - 1;
    await pass(hour);
    const calls: Promise<unknown>[] = [];
    for (const [f, fog] of fogs.entries()) {
      // down for half a day in all, several hours at a time
      fog.isUp = isLast || (fog.isUp ? random() > 0.06 : random() < 0.2);
      for (const [m, meter] of fog.meters.entries()) {
        const batches = new Map<string, Reading[]>();
        for (let q = 0; q < 4; q++) {
          // each meter at a time of its own in the quarter
          measuredAt = beginning + h * hour + q * quarter + (m * 7_919) % quarter;
          const number = f * meterCount + m;
          const { register, reading } = meter.instrument.read(model(number, (4 * h + q) * 15)!);
          fog.ledger.add(`${meter.peer.id}/${register}`, reading);
          batches.set(register, [...batches.get(register) ?? [], reading]);
          readings++;
        }
        for (const [register, readings] of batches) {
          const batch = { meter: meter.peer.id, register: parseId(register), readings };
          const statement = signStatement(suite, meter.signer, readingsType, encodeBatch(batch));
          const late = random() < 0.01 ? Math.floor(random() * 8) : 0;
          meter.held.push({ at: h + late, statement });
          if (random() < 0.01) meter.held.push({ at: h + Math.floor(random() * 8), statement });
        }
        calls.push(send(fog.host, meter, isLast ? Infinity : h));
      }
    }
    await Promise.all(calls);
    if (h === Math.floor(hours / 3)) memory.push(memoryNow());
  }
  // windows are closed, and corrections sent, as long as there are some
  for (let rest = 0; rest < 200 && !await isSettled(); rest++) await pass(minute);
  memory.push(memoryNow());
  await look({
    ...{ cloud, readings, failed },
    ledgers: new Map(fogs.map(({ ledger }, f) => [`fog-${f + 1}`, ledger])),
    memory: memory as unknown as Month["memory"],
    fogs: fogs.map(({ host }) => host),
  });

  /** Lets time pass, and the roles do what they do then. */
  async function pass(milliseconds: number): Promise<void> {
    time.pass(milliseconds);
    let before = -1;
    for (let turns = 0; turns < 50; turns++) {
      await time.turn();
      // whatever was under way is written by then
      await Promise.all(hosts.map(({ db }) => db.write(() => Promise.resolve())));
      time.pass(0);
      const work = workDone();
      if (work === before) break;
      before = work;
    }
  }

  /** A number that grows as long as windows are closed and summaries arrive. */
  function workDone(): number {
    let work = cloud.events.get("cloud.summary_stored") ?? 0;
    for (const { host } of fogs) work += host.events.get("fog.window_closed") ?? 0;
    return work;
  }

  async function isSettled(): Promise<boolean> {
    for (const { host: { db } } of fogs) {
      const [row] = await db.read((tx) =>
        tx.all<{ open: number; pending: number }>(sql`
          SELECT (SELECT count(*) FROM fog_aggregator_windows WHERE dirty = 1) AS open,
            (SELECT count(*) FROM fog_aggregator_summaries WHERE acknowledged = 0) AS pending`)
      );
      if (row!.open > 0 || row!.pending > 0) return false;
    }
    return true;
  }
}

/** Sends what is held until this hour; every reading of it is taken. */
async function send(host: RoleHost, meter: MeterState, hour: number): Promise<void> {
  const due = meter.held.filter(({ at }) => at <= hour);
  const later = meter.held.filter(({ at }) => at > hour);
  meter.held.splice(0, meter.held.length, ...later);
  for (const { statement } of due) {
    const { refused } = decodeReceipt(await host.handle(statement, meter.peer));
    if (refused.length > 0) throw new Error(`A fog refuses: ${JSON.stringify(refused)}`);
  }
}

function peerOf(kind: Peer["kind"], id: string, signKey: Uint8Array): Peer {
  const noiseKey = new Uint8Array(32);
  const keys = { noiseKey, signKey, psk: new Uint8Array(32) };
  return { kind, id: parseId(id), state: "approved", codeExpires: 0, ...keys };
}

function codeFor(site: string): string {
  return JSON.stringify({
    code: toBase64url(new Uint8Array(16)),
    site,
    url: "http://127.0.0.1:1",
    noise_key: toBase64url(new Uint8Array(32)),
    expires: new Date(beginning).toISOString(),
  });
}

setFlagsFromString("--expose-gc");
// of each thread: without a bound V8 lets garbage grow with the machine, and a leak could hide in it
setFlagsFromString("--max-old-space-size=80");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is in use, without garbage; a little of other threads stays in `rss`. */
function memoryNow(): Memory {
  collectGarbage();
  const { rss, heapUsed } = Deno.memoryUsage();
  return { rss, heap: heapUsed };
}

/** Numbers in [0, 1). */
function drawsOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    return state / 2 ** 32;
  };
}
