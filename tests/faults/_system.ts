/**
 * A whole system of processes and sockets for something to happen to: meters measure in this process,
 * a fog sums up, a cloud stores. The oracle is here, outside of both.
 */
import assert from "node:assert/strict";
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeSummary, summaryType } from "../../core/wire/summary.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import { askSite } from "../../edge/admin_client.ts";
import { drainFleet, runFleet } from "../../edge/simulate/fleet.ts";
import { loadModel } from "../../edge/simulate/load_model.ts";
import { SimulatedMeter } from "../../edge/simulate/meter.ts";
import { type Misbehaviour, mischiefOf } from "../../edge/simulate/misbehaviour.ts";
import { SiteProcess } from "../e2e/site_process.ts";
import { type Completeness, completenessAt, whole } from "./_completeness.ts";
import { type Figures, Oracle } from "./_oracle.ts";

/** What a system needs of a site; it is a process, whatever program it runs. */
export type RunningSite = Pick<
  SiteProcess,
  "ports" | "dataDir" | "url" | "start" | "kill" | "stop" | "enrol"
>;

export interface SystemOptions {
  /** A folder for both sites, which keep their data in `cloud/data` and `fog/data`. */
  readonly folder: string;
  readonly seed: number;
  /** Six unless said. */
  readonly meters?: number;
  /** Readings in one call at the most: 64 unless said. */
  readonly batch?: number;
  /**
   * How meters reach the fog: MQTT unless said. A client that loses its broker again and again takes that
   * for a rival with its name and waits for minutes, so it is of no use where the fog dies all the time.
   */
  readonly over?: "mqtt" | "http";
  /** What the meters do wrong, all of them. */
  readonly misbehave?: readonly Misbehaviour[];
  /** Lines of the fog's table that are not the usual ones. */
  readonly fog?: string;
  /** Milliseconds of a window: 1,000 unless said. */
  readonly window?: number;
  /** The clock of the meters: the real one unless said. */
  readonly clock?: () => number;
  /** Where the fog finds its cloud, when that is not the cloud's own address. */
  readonly uplink?: (cloud: string) => string;
  /** Starts the fog; the usual program unless said. */
  readonly startFog?: (folder: string, role: string) => Promise<RunningSite & AsyncDisposable>;
}

const suite = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };
/** Nothing takes this long but a fault. */
const patience = 120_000;

export class System implements AsyncDisposable {
  readonly cloud: SiteProcess;
  readonly fog: RunningSite;
  readonly meters: readonly SimulatedMeter[];
  readonly enrolments: readonly Enrolment[];
  readonly oracle: Oracle;
  readonly #source: ReturnType<typeof loadModel>;
  readonly #resources: AsyncDisposableStack;
  #steps = 0;

  private constructor(
    parts: Pick<System, "cloud" | "fog" | "meters" | "enrolments" | "oracle"> & {
      source: ReturnType<typeof loadModel>;
      resources: AsyncDisposableStack;
    },
  ) {
    this.cloud = parts.cloud;
    this.fog = parts.fog;
    this.meters = parts.meters;
    this.enrolments = parts.enrolments;
    this.oracle = parts.oracle;
    this.#source = parts.source;
    this.#resources = parts.resources;
  }

  static async start(options: SystemOptions): Promise<System> {
    const { folder, seed, window = 1_000, clock = Date.now, misbehave = [] } = options;
    await using stack = new AsyncDisposableStack();
    const cloud = stack.use(
      await SiteProcess.start(
        join(folder, "cloud"),
        "cloud",
        "[plugins.cloud-summary]\npublic_summary = true",
      ),
    );
    const fog = stack.use(await startFog(cloud, options));
    const oracle = new Oracle(window);
    const meters: SimulatedMeter[] = [];
    const enrolments: Enrolment[] = [];
    for (let i = 0; i < (options.meters ?? 6); i++) {
      const id = parseId(`m-${i + 1}`);
      const invitation = await fog.enrol(id);
      const enrolment = options.over === "http" ? { ...invitation, url: fog.url } : invitation;
      enrolments.push(enrolment);
      const meter = new SimulatedMeter({
        ...{ suite, id, clock, log, enrolment, batch: options.batch ?? 64 },
        mischief: mischiefOf(misbehave, { seed, meter: i }),
        onSettled(measured, outcome) {
          if (outcome === "accepted") oracle.isSafe(id, measured);
        },
      });
      meters.push(stack.use(meter));
    }
    const source = loadModel(seed);
    const parts = { cloud, fog, meters, enrolments, oracle, source };
    return new System({ ...parts, resources: stack.move() });
  }

  /** Readings that the meters have measured. */
  get measured(): number {
    return this.meters.length * this.#steps;
  }

  /** Lets the meters measure, until so many steps are done or the signal aborts. */
  async measure(
    { steps = Infinity, interval = 50, signal = new AbortController().signal, onStep }: {
      steps?: number;
      /** Milliseconds between two steps: 50 unless said. */
      interval?: number;
      signal?: AbortSignal;
      onStep?: (step: number) => void;
    },
  ): Promise<void> {
    const from = this.#steps;
    const run = await runFleet({
      meters: this.meters,
      source: (meter, step) => this.#source(meter, from + step),
      ...{ interval, steps, signal },
      ...(onStep && { onStep }),
    });
    this.#steps += run.steps;
  }

  /** Waits until every reading is safe; none may be refused. */
  async drain(): Promise<void> {
    const { sent, accepted, refused } = await drainFleet(
      this.meters,
      AbortSignal.timeout(patience),
    );
    const { measured } = this;
    assert.deepEqual({ sent, accepted, refused }, {
      sent: measured,
      accepted: measured,
      refused: 0,
    });
    assert.equal(this.oracle.count, measured);
  }

  /** Waits until the cloud holds what the oracle knows; it must never hold a reading too many. */
  async arrive(expected: Map<number, Figures> = this.oracle.windows()): Promise<void> {
    const readings = this.oracle.count;
    let held = await this.atCloud();
    for (const deadline = Date.now() + patience; Date.now() < deadline;) {
      held = await this.atCloud();
      let n = 0;
      for (const figures of held.values()) n += figures.n;
      assert.ok(n <= readings, `the cloud holds ${n} of ${readings} readings`);
      if (same(held, expected)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(held, expected);
  }

  /** The figures in force at the cloud, by the start of the window. */
  async atCloud(): Promise<Map<number, Figures>> {
    const rows = await queried(
      this.cloud,
      `SELECT window_start AS start, n, sum_power_w AS power_W, sum_voltage_mv AS voltage_mV,
        min_power_w AS min_power_W, max_power_w AS max_power_W, energy_wh AS energy_Wh
      FROM cloud_summary_windows WHERE state = 'in_force' ORDER BY window_start`,
    );
    return new Map(
      rows.map(({ start, ...figures }) => [Number(start), figures as unknown as Figures]),
    );
  }

  completeness(): Promise<Completeness> {
    return completenessAt(this.cloud.url);
  }

  /** Waits until the cloud says that nothing is missing and nothing is doubtful. */
  async isComplete(): Promise<void> {
    for (const deadline = Date.now() + patience; Date.now() < deadline;) {
      if ((await this.completeness()).complete) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { fogs: _, ...said } = await this.completeness();
    assert.deepEqual(said, whole);
  }

  /** The chain as the cloud stores it: signed by the fog, numbered without a gap, each on the last. */
  async checkChain(): Promise<void> {
    const [peer] = await queried(this.cloud, "SELECT sign_key FROM peers WHERE id = 'fog-1'");
    const verifier = new StatementVerifier(suite, bytes(peer!["sign_key"]), summaryType);
    const links = await queried(
      this.cloud,
      "SELECT epoch, seq, statement FROM cloud_summary_summaries ORDER BY epoch, seq",
    );
    let prev: Uint8Array | null = null;
    for (const [i, link] of links.entries()) {
      const statement = bytes(link["statement"]);
      const summary = decodeSummary(verifier.open(statement));
      assert.deepEqual([link["epoch"], link["seq"]], [1, i + 1]);
      assert.deepEqual([summary.epoch, summary.seq, summary.prev], [1, i + 1, prev]);
      prev = suite.sha256(statement);
    }
    const outbox = "SELECT epoch, seq, statement FROM fog_aggregator_summaries ORDER BY epoch, seq";
    assert.deepEqual(links, await queried(this.fog, outbox));
    const [waiting] = await queried(
      this.fog,
      "SELECT count(*) AS n FROM fog_aggregator_summaries WHERE NOT acknowledged",
    );
    assert.equal(waiting!["n"], 0);
  }

  /** What the fog has on disk of each register is what the oracle knows. */
  async checkReadings(): Promise<void> {
    const rows = await queried(
      this.fog,
      `SELECT meter || '/' || register AS register, count(*) AS n, sum(seq) AS seqs
        FROM fog_aggregator_readings JOIN fog_aggregator_registers ON id = register_id
        GROUP BY meter, register ORDER BY 1`,
    );
    const expected = [...this.oracle.registers].map(([register, readings]) => {
      const seqs = readings.reduce((sum, { seq }) => sum + seq, 0);
      return { register, n: readings.length, seqs };
    });
    assert.deepEqual(rows, expected);
  }

  /** Drained, arrived, complete, and right down to the chain; both sites are stopped then. */
  async endsWell(): Promise<void> {
    await this.drain();
    await this.arrive();
    await this.isComplete();
    await this.fog.stop();
    await this.cloud.stop();
    await this.checkChain();
    await this.checkReadings();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

async function startFog(
  cloud: SiteProcess,
  { folder, fog = "", window = 1_000, uplink, startFog }: SystemOptions,
): Promise<RunningSite & AsyncDisposable> {
  const code = await askSite(cloud.dataDir, "/enrol", {
    method: "POST",
    body: { kind: "fog", id: "fog-1", ttl: 3_600_000 },
  });
  const path = join(folder, "fog");
  await Deno.mkdir(path, { recursive: true });
  await Deno.writeTextFile(join(path, "cloud.json"), JSON.stringify(code));
  const address = uplink === undefined ? "" : `cloud = "${uplink(cloud.url)}"`;
  const role = `[plugins.fog-aggregator]
window = "${window}ms"
grace = "100ms"
code_file = "cloud.json"
${address}
${fog}`;
  return await (startFog?.(path, role) ?? SiteProcess.start(path, "fog-1", role));
}

/** Runs a query on a site's database, by another client than its own. */
export async function queried(
  site: Pick<RunningSite, "dataDir">,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const client = createClient({ url: `file:${join(site.dataDir, "edgeward.db")}` });
  try {
    const { columns, rows } = await client.execute(sql);
    return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  } finally {
    client.close();
  }
}

function bytes(value: unknown): Uint8Array {
  return new Uint8Array(value as ArrayBuffer);
}

function same(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
