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
import type { DenialCount, Denials } from "./denials.ts";
import type { Errand, Limits } from "./limits.ts";
import type { Asker, Decision, Rules } from "./policy.ts";
import { bootDetail } from "./release.ts";
import { type Caller, rememberBoot, suspend } from "./store.ts";
import type { Tidings } from "./tidings.ts";

/** One kind of request. */
export interface Case<F extends Omit<Asker, "wait">> {
  readonly caller: Caller;
  /** Null where the caller knows of no starts. */
  readonly boot: Boot | null;
  facts(q: Queries): Promise<F>;
  errand(facts: F): Errand;
  decide(facts: F & Asker): Decision;
  /** Whether the decision leaves something behind, besides what all leave. */
  leaves(facts: F, decision: Decision): boolean;
  /** Writes that down. Returns what to tell once it is on disk. */
  write(tx: Queries, facts: F, decision: Decision): Promise<(() => void) | null>;
}

export interface SettleParts {
  readonly limits: Limits;
  readonly denials: Denials;
  readonly tidings: Tidings;
  readonly rules: Rules;
}

type Needs = Pick<Host & Services, "audit" | "clock" | "db" | "log">;

/** @throws what the case throws; a database that does not work is a denial */
export async function settle<F extends Omit<Asker, "wait">>(
  host: Needs,
  { limits, denials, tidings, rules }: SettleParts,
  one: Case<F>,
): Promise<Pick<Decision, "denied" | "retry">> {
  const { caller: { device } } = one;
  let logged: DenialCount | null = null;
  try {
    const before = await host.db.read((q) => one.facts(q));
    const wait = limits.take(device, one.errand(before));
    const first = one.decide({ ...before, wait });
    if (isOld(first.denied) && !first.clone && !first.remember && !one.leaves(before, first)) {
      if (first.denied !== null && first.denied !== "pending") denials.note(device, first.denied);
      return first;
    }
    const { decision, tell } = await host.db.write(async (tx) => {
      const facts = await one.facts(tx);
      const decision = one.decide({ ...facts, wait });
      const { denied, clone, remember } = decision;
      const { boot, caller } = one;
      const tell = [await one.write(tx, facts, decision)];
      if (boot !== null && remember) await rememberBoot(tx, caller, { boot, at: host.clock() });
      if (boot !== null && clone) {
        tell.push(await writeClone(tx, { device, boot, last: facts.lastBoot! }));
      }
      if (denied !== null && denied !== "pending") {
        const denial = logged = denials.note(device, denied);
        if (denial !== null) {
          await host.audit.append(tx, denialEntry(denial));
          tell.push(() => tidings.denied(denial));
        }
      }
      return { decision, tell };
    });
    for (const say of tell) say?.();
    return decision;
  } catch (error) {
    if (logged !== null) denials.failed(logged);
    if (!(error instanceof DatabaseError || error instanceof AuditError)) throw error;
    host.log.error("a request could not be logged, so it was denied", { device, error });
    return { denied: "unlogged", retry: null };
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
