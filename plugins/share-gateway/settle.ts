/**
 * How a request is settled. It is decided from what is on disk; the decision and all that it leaves behind
 * are one transaction with its entry in the log, and whoever waits goes on after the commit. If the log
 * cannot be written, the answer is no.
 *
 * What leaves nothing behind is answered without a transaction, so that asking without end costs the
 * other roles nothing; a decision that does is made again inside it, since others may have come between.
 */
import { toHex } from "../../core/base/bytes.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { type AuditEntry, AuditError } from "../../core/services/audit.ts";
import { DatabaseError, type Queries } from "../../core/services/db/mod.ts";
import type { Boot } from "../../core/wire/unlock.ts";
import type { Changes } from "./changes.ts";
import type { DenialCount, Denials } from "./denials.ts";
import type { Ledger, Line } from "./ledger.ts";
import type { Errand, Limits } from "./limits.ts";
import type { Asker, Decision, Rules } from "./policy.ts";
import { bootDetail } from "./release.ts";
import { type Caller, rememberBoots, suspend } from "./store.ts";
import type { Tidings } from "./tidings.ts";

/** One kind of request. */
export interface Case<F extends Omit<Asker, "wait">> {
  readonly caller: Caller;
  /** Null where the caller knows of no starts. */
  readonly boot: Boot | null;
  facts(q: Queries): Promise<F>;
  errand(facts: F): Errand;
  decide(facts: F & Asker): Decision;
  /** Whether what is not on disk is still what it was when the facts were read. */
  holds?(facts: F): boolean;
  /** Makes what a yes gives, before it is written. */
  prepare?(facts: F): Promise<void>;
  /** Whether the decision leaves something behind, besides what all leave. */
  leaves(facts: F, decision: Decision): boolean;
  /** What there is to write when the yes is an ordinary one; null when it is not. */
  line?(facts: F): Pick<Line, "release" | "entry"> & { readonly tell: () => void } | null;
  /** Writes that down. Returns what to tell once it is on disk. */
  write(tx: Queries, facts: F, decision: Decision): Promise<(() => void) | null>;
}

export interface SettleParts {
  readonly changes: Changes;
  readonly ledger: Ledger;
  readonly limits: Limits;
  readonly denials: Denials;
  readonly tidings: Tidings;
  readonly rules: Rules;
}

type Tell = (() => void) | null;

type Needs = Pick<Host & Services, "audit" | "clock" | "db" | "log">;

/** @throws what the case throws; a database that does not work is a denial */
export async function settle<F extends Omit<Asker, "wait">>(
  host: Needs,
  { changes, ledger, limits, denials, tidings, rules }: SettleParts,
  one: Case<F>,
): Promise<Pick<Decision, "denied" | "retry">> {
  const { caller: { device } } = one;
  let logged: DenialCount | null = null;
  try {
    const seen = changes.seen(device);
    const before = await host.db.read((q) => one.facts(q));
    const wait = limits.take(device, one.errand(before));
    const first = one.decide({ ...before, wait });
    if (isOld(first.denied) && !first.clone && !first.remember && !one.leaves(before, first)) {
      if (first.denied !== null && first.denied !== "pending") denials.note(device, first.denied);
      return first;
    }
    if (first.denied === null) await one.prepare?.(before);
    const isOrdinary = first.denied === null && !first.clone;
    const line = isOrdinary ? one.line?.(before) ?? null : null;
    const { decision, tell } = await changes.during(device, async () => {
      const holds = () => changes.isAlone(device, seen) && one.holds?.(before) !== false;
      if (line !== null) {
        const { boot, caller } = one;
        const isNew = boot !== null && first.remember;
        const start = isNew ? { caller, boot, at: line.release.at } : null;
        if (await ledger.write({ ...line, start, holds })) {
          return { decision: first, tell: [line.tell] };
        }
      }
      return await host.db.write(async (tx) => {
        const isSame = holds();
        const facts = isSame ? before : await one.facts(tx);
        const again = isSame ? first : one.decide({ ...facts, wait });
        // nothing was prepared for a yes that comes only now: the next request gets it
        const decision = first.denied !== null && again.denied === null ? first : again;
        return { decision, tell: await write(tx, { facts, decision }) };
      });
    });
    for (const say of tell) say?.();
    return decision;
  } catch (error) {
    if (logged !== null) denials.failed(logged);
    if (!(error instanceof DatabaseError || error instanceof AuditError)) throw error;
    host.log.error("a request could not be logged, so it was denied", { device, error });
    return { denied: "unlogged", retry: null };
  }

  /** Returns what to tell once it is on disk. */
  async function write(
    tx: Queries,
    { facts, decision }: { facts: F; decision: Decision },
  ): Promise<Tell[]> {
    const { denied, clone, remember } = decision;
    const { boot, caller } = one;
    const isSeen = boot !== null && clone;
    // one behind the other, without waiting for the first
    const [said, , alarm] = await Promise.all([
      one.write(tx, facts, decision),
      boot !== null && remember ? rememberBoots(tx, [{ caller, boot, at: host.clock() }]) : null,
      isSeen ? writeClone(tx, { device, boot, last: facts.lastBoot! }) : null,
    ]);
    if (denied === null || denied === "pending") return [said, alarm];
    const denial = logged = denials.note(device, denied);
    if (denial === null) return [said, alarm];
    await host.audit.append(tx, denialEntry(denial));
    return [said, alarm, () => tidings.denied(denial)];
  }

  /** Whether it need not be written: a yes is by its case, who waits was written when it began to. */
  function isOld(denied: Decision["denied"]): boolean {
    return denied === null || denied === "pending" || !denials.isDue(device, denied);
  }

  async function writeClone(
    tx: Queries,
    seen: { device: Caller["device"]; boot: Boot; last: Boot },
  ): Promise<() => void> {
    const { boot, last } = seen;
    if (rules.onClone === "deny") await suspend(tx, device, host.clock());
    await host.audit.append(tx, {
      ...{ type: "unlock.clone_suspected", actor: device, subject: device },
      detail: { ...bootDetail(boot), last: last.counter, last_id: toHex(last.id) },
    });
    return () => tidings.clone(device, { boot, last });
  }
}

/** One entry for as many denials as it counts. */
export function denialEntry({ device, reason, count }: DenialCount): AuditEntry {
  const detail = { reason, count };
  return { type: "unlock.denied", actor: device, subject: device, detail };
}
