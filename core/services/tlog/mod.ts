/**
 * The log of a site (protocols.md §7) as a service: it hashes what `audit` records within a second,
 * serves checkpoint, tiles and proofs, has its checkpoints cosigned by witnesses, and is a witness of
 * others. It stops the site for nothing: what it cannot do it tells, and tries again.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { parseNoteKey } from "../../trust/log/note.ts";
import type { Tile } from "../../trust/log/tile.ts";
import type { Suite } from "../../trust/crypto.ts";
import { auditOf } from "../audit.ts";
import type { Bus } from "../bus.ts";
import type { Database } from "../db/mod.ts";
import type { HealthState } from "../health.ts";
import type { Identity } from "../identity.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import { pause } from "../pause.ts";
import { Cosignatures } from "./_cosignatures.ts";
import { witnessKey } from "./_keys.ts";
import { SiteLog } from "./site_log.ts";
import { Submitter, type WitnessStatus } from "./_submitter.ts";
import { openWitness, type Witness } from "./_witness.ts";

export { logKey, splitOrigin, witnessKey } from "./_keys.ts";
export { maxSubmission, tlogRoutes } from "./_routes.ts";
export { SiteLog, type SiteLogOptions } from "./site_log.ts";
export { tlogMigrations } from "./_tables.ts";
export type { WitnessStatus };

/** The keys of `[log]` that the log goes by. */
export interface TlogConfig {
  readonly witnesses: readonly { readonly url: string; readonly key: string }[];
  /** Cosignatures that make a checkpoint a witnessed one. */
  readonly quorum?: number | undefined;
  /** NAME+ID+KEY of each log that this site cosigns. */
  readonly witness_of: readonly string[];
}

export interface TlogOptions {
  readonly suite: Suite;
  readonly site: string;
  readonly identity: Pick<Identity, "signer" | "fingerprint">;
  readonly db: Database;
  readonly dataDir: string;
  readonly config: TlogConfig;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly report: (state: HealthState, detail: string) => void;
  /** Real time and chance unless given. */
  readonly pause?: typeof pause;
  readonly random?: () => number;
}

export interface TlogStatus {
  readonly origin: string;
  /** Entries in the latest checkpoint. */
  readonly size: number;
  /** Of these, how many are in the last one that enough witnesses have cosigned. */
  readonly witnessed: number;
  readonly quorum: number;
  readonly witnesses: readonly WitnessStatus[];
}

export interface Tlog extends AsyncDisposable {
  /** The latest checkpoint with its cosignatures; null before the first. */
  checkpoint(): string | null;
  /** The latest checkpoint that has the quorum's cosignatures. */
  witnessed(): string | null;
  tile(tile: Tile): Promise<Uint8Array | null>;
  /**
   * A `.tlog-proof` of the entry with a statement of this hash, under the witnessed checkpoint if that
   * has it. Null while no checkpoint does.
   */
  prove(statement: Uint8Array): Promise<string | null>;
  readonly witness: Witness;
  /** Null before the log is open. */
  status(): TlogStatus | null;
}

/** Milliseconds between two looks for new entries, and after failures at the most. */
const interval = 300;
const longestWait = 5_000;

/** Begins to work at once, in the background. @throws NoteError when a key in the config is none */
export function openTlog(options: TlogOptions): Tlog {
  const { suite, site, identity, db, clock, bus, config, report, random = Math.random } = options;
  const wait = options.pause ?? pause;
  const keys = { suite, site, identity };
  const audit = auditOf("core", clock);
  const witnesses = config.witnesses.map(({ url, key }) => {
    return { url: url.replace(/\/+$/, ""), key: parseNoteKey(suite, key) };
  });
  const quorum = config.quorum ?? defaultQuorum(witnesses.length);
  const measure = metersOf(options.metrics);
  const stopping = new AbortController();
  const { signal } = stopping;
  const doubts: string[] = [];
  let running: { log: SiteLog; cosignatures: Cosignatures; submitter: Submitter } | undefined;

  const alarm = (subject: string, detail: Readonly<Record<string, unknown>>) => {
    options.log.error("a log contradicts what it said before", { origin: subject, ...detail });
    bus.emit({ type: "log.inconsistent", severity: "alarm", subject, detail });
  };
  const witness = openWitness({
    ...{ suite, db, clock, audit, logs: config.witness_of, own: witnessKey(keys) },
    onContradiction: ({ origin, ...detail }) => alarm(origin, detail),
  });

  async function open(): Promise<NonNullable<typeof running>> {
    const log = await SiteLog.open({
      ...{ ...keys, db, clock, dataDir: options.dataDir },
      onRollback: ({ origin, ...detail }) => alarm(origin, detail),
    });
    const cosignatures = await Cosignatures.open(db, {
      ...{ quorum, witnesses: witnesses.map(({ key }) => key) },
    });
    const submitter = new Submitter({
      ...{ suite, witnesses, quorum, log, cosignatures, signal, pause: wait, random },
      onDoubt: (note) => void doubts.push(note),
      onOutcome({ witness, trouble }) {
        measure.submitted(trouble === null ? "cosigned" : "failed");
        measure.sizes(status()!);
        if (trouble !== null) options.log.warn("a witness did not cosign", { witness, trouble });
      },
    });
    running = { log, cosignatures, submitter };
    // whatever this database is, nothing is signed that contradicts what witnesses have
    for (const note of await submitter.remembered()) await log.reconsider(note);
    return running;
  }

  /** All that there is to do now. */
  async function work({ log, submitter }: NonNullable<typeof running>): Promise<void> {
    for (const note of doubts.splice(0)) await log.reconsider(note);
    while (!signal.aborted && await log.integrate());
    if (!signal.aborted) submitter.turn();
  }

  /** How the log is, for health and metrics. */
  function tell(): void {
    const now = status()!;
    measure.sizes(now);
    const { size, witnesses } = now;
    const failing = witnesses.filter(({ error }) => error !== null);
    if (witnesses.length - failing.length >= quorum) return report("ok", `${size} entries`);
    const [{ name, error }] = failing as [WitnessStatus];
    report("degraded", `${name} does not cosign: ${error}`);
  }

  async function loop(): Promise<void> {
    let opened: typeof running;
    for (let failures = 0; !signal.aborted;) {
      try {
        opened ??= await open();
        await work(opened);
        failures = 0;
        tell();
      } catch (error) {
        failures++;
        measure.failed();
        report("degraded", messageOf(error));
      }
      await wait(Math.min(longestWait, interval * 2 ** Math.min(failures, 16)), signal);
    }
    if (opened === undefined) return;
    // what was recorded last is signed, too
    await opened.log.integrate().catch((error) => {
      options.log.warn("the last entries are not in a checkpoint yet", { error });
    });
    await opened.submitter.ended();
  }

  function status(): TlogStatus | null {
    if (running === undefined) return null;
    const { log, cosignatures, submitter } = running;
    const origin = log.key.name;
    const witnessed = cosignatures.witnessed(origin)?.size ?? 0;
    return { origin, size: log.size, witnessed, quorum, witnesses: submitter.status() };
  }

  report("ok", "it opens");
  const looping = loop();
  return {
    witness,
    status,
    checkpoint() {
      const note = running?.log.checkpoint ?? null;
      return note === null ? null : running!.cosignatures.with(note);
    },
    witnessed: () => running?.cosignatures.witnessed(running.log.key.name)?.note ?? null,
    tile: async (tile) => await running?.log.tile(tile) ?? null,
    async prove(statement) {
      if (running === undefined) return null;
      const { log, cosignatures } = running;
      const [row] = await db.read((q) =>
        q.all<{ id: number }>(sql`SELECT id FROM audit
          WHERE statement = ${statement} AND id >= ${log.firstId} ORDER BY id LIMIT 1`)
      );
      const { checkpoint } = log;
      if (row === undefined || checkpoint === null) return null;
      const witnessed = cosignatures.witnessed(log.key.name);
      const proof = witnessed && await log.prove(row.id, witnessed.note);
      return proof ?? await log.prove(row.id, cosignatures.with(checkpoint));
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await looping;
    },
  };
}

/** All but a third, and one of one or two. */
export function defaultQuorum(witnesses: number): number {
  return witnesses - Math.floor(witnesses / 3);
}

function metersOf(metrics: Metrics) {
  const size = metrics.gauge("edgeward_log_entries", "Entries in the latest checkpoint");
  const witnessed = metrics.gauge(
    "edgeward_log_witnessed_entries",
    "Entries in the latest checkpoint that enough witnesses have cosigned",
  );
  const failures = metrics.counter(
    "edgeward_log_failures_total",
    "Times that the log could not go on, and tried again",
  );
  const submissions = metrics.counter(
    "edgeward_log_submissions_total",
    "Checkpoints handed to witnesses, by what came of it",
  );
  return {
    sizes(now: Pick<TlogStatus, "size" | "witnessed">) {
      size.set(now.size);
      witnessed.set(now.witnessed);
    },
    failed: () => failures.add(),
    submitted: (outcome: "cosigned" | "failed") => submissions.add(1, { outcome }),
  };
}
