/**
 * The gate between devices and what this gateway holds: an answer for a volume, a piece to keep. What is
 * asked and what is on disk become facts, `policy.ts` decides, `settle.ts` writes it down first.
 */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { toHex } from "../../core/base/bytes.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { isOpen, wallClock } from "../../core/services/hours.ts";
import {
  type Denial,
  type Deposit,
  fittingRosters,
  type UnlockReply,
} from "../../core/wire/unlock.ts";
import { approvalOf, ask } from "./approvals.ts";
import { type Config, rulesOf } from "./config.ts";
import type { Changes } from "./changes.ts";
import type { Denials } from "./denials.ts";
import type { Group, Keyshare } from "./group.ts";
import { Ledger } from "./ledger.ts";
import type { Limits } from "./limits.ts";
import type { Pieces } from "./pieces.ts";
import {
  type Asker,
  decideDeposit,
  decideUnlock,
  type Decision,
  type DepositFacts,
  type UnlockFacts,
} from "./policy.ts";
import { type Ask, bootDetail, Release } from "./release.ts";
import { settle, type SettleParts } from "./settle.ts";
import { addVolume, type Caller, type Standing, standingOf } from "./store.ts";
import type { Tidings } from "./tidings.ts";

export interface GateParts {
  readonly changes: Changes;
  readonly group: Group;
  readonly pieces: Pieces;
  readonly limits: Limits;
  readonly denials: Denials;
  readonly tidings: Tidings;
  /** Hears that something has to be watched. */
  readonly wake: () => void;
}

export type GateHost = Pick<
  Host & Services,
  "audit" | "clock" | "db" | "evaluation" | "log" | "suite"
>;

type Facts = Omit<UnlockFacts, "wait"> & { readonly keyshare: Keyshare | null };

/** In milliseconds; the wire has no more. */
const longestRetry = 3_600_000;

export class Gate {
  readonly #host: GateHost;
  readonly #config: Config;
  readonly #parts: GateParts & SettleParts;
  readonly #wallTime;

  constructor(host: GateHost, config: Config, parts: GateParts) {
    const { on_clone: onClone, max_volumes: maxVolumes, timezone } = config;
    this.#host = host;
    this.#config = config;
    this.#parts = { ...parts, ledger: new Ledger(host), rules: { onClone, maxVolumes } };
    this.#wallTime = wallClock(timezone);
  }

  /** The caller wipes the answer. @throws what the claim throws */
  async unlock(asked: Ask): Promise<UnlockReply> {
    const { caller, request, claim, isMute = false } = asked;
    const { rules, tidings, wake, group } = this.#parts;
    const release = new Release(this.#host, this.#parts, asked);
    const due = () =>
      request.seal || isMute ? null : this.#host.clock() + this.#config.mount_within;
    const isNew = ({ approval }: Facts, { denied }: Decision) =>
      denied === "pending" && approval === "missing";
    const { denied, retry } = await settle<Facts>(this.#host, this.#parts, {
      caller,
      boot: caller.key === null ? null : request.boot,
      facts: (q) => this.#facts(q, asked, release.id),
      errand: ({ approval }) => approval === "pending" ? "poll" : "ask",
      decide: (facts) => decideUnlock(facts, rules),
      holds: ({ keyshare }) => keyshare === group.current(),
      prepare: ({ keyshare }) => release.prepare(keyshare),
      line: ({ volume, approval }) => {
        const isKnown = request.scheme === "voprf" && volume !== null;
        if (!isKnown || approval !== "not_needed" || claim !== undefined) return null;
        return { ...release.line(due()), tell: () => release.tell() };
      },
      leaves: (facts, decision) =>
        decision.denied === null || isNew(facts, decision) ||
        claim !== undefined && decision.denied !== "rate",
      write: async (tx, facts, decision) => {
        if (decision.denied !== "rate") await claim?.(tx);
        if (isNew(facts, decision)) return await this.#letWait(tx, asked, release.id);
        if (decision.denied !== null) return null;
        return await release.write(tx, {
          known: facts.volume !== null,
          isApproved: facts.approval === "approved",
          due: due(),
        });
      },
    });
    tidings.count(denied ?? (request.seal ? "sealed" : "released"));
    if (denied === null) {
      wake();
      return { epoch: request.epoch, ...release.answer };
    }
    release.wipe();
    return {
      ...denial(denied, retry),
      ...(denied === "pending" && { request: release.id }),
      ...(denied === "epoch" && { rosters: fittingRosters(await group.chain(request.epoch)) }),
    };
  }

  /** Takes a piece to keep; null once it is on disk. */
  async deposit(caller: Caller, deposit: Deposit): Promise<Denial | null> {
    const { rules, tidings } = this.#parts;
    const { denied, retry } = await settle<Omit<DepositFacts, "wait">>(this.#host, this.#parts, {
      caller,
      boot: deposit.boot,
      facts: async (q) => {
        const standing = await this.#standing(q, caller, deposit.volume);
        const held = await this.#held(q, { caller, deposit, standing });
        return { ...standing, boot: deposit.boot, held };
      },
      errand: () => "ask",
      decide: (facts) => decideDeposit(facts, rules),
      leaves: ({ held }, { denied }) => denied === null && held === "nothing",
      write: async (tx, { held }, { denied }) => {
        if (denied === null && held === "nothing") await this.#keep(tx, caller, deposit);
        return null;
      },
    });
    tidings.count(denied ?? "deposited");
    return denied === null ? null : denial(denied, retry);
  }

  async #keep(tx: Queries, { device }: Caller, deposit: Deposit): Promise<void> {
    const { clock, audit } = this.#host;
    const { volume, boot, scheme, k, n, index, piece } = deposit;
    const row = { scheme, k, n, index, at: clock(), sealing: boot.id };
    await addVolume(tx, { device, volume }, row);
    await this.#parts.pieces.put(tx, { device, volume }, piece);
    const detail = { volume: toHex(volume), scheme, k, n, index, ...bootDetail(boot) };
    await audit.append(tx, { type: "unlock.deposited", actor: device, subject: device, detail });
  }

  async #letWait(tx: Queries, { caller, request }: Ask, id: string): Promise<() => void> {
    const { audit, clock } = this.#host;
    const { tidings, wake } = this.#parts;
    const { device } = caller;
    const { scheme, seal, boot } = request;
    const volume = toHex(request.volume);
    await ask(tx, { id, device, ...request }, { now: clock(), ttl: this.#config.approval_ttl });
    const detail = { request: id, volume, scheme, seal, ...bootDetail(boot) };
    await audit.append(tx, { type: "unlock.pending", actor: device, subject: device, detail });
    return () => {
      tidings.pending({ device, id, volume, scheme, seal });
      wake();
    };
  }

  async #facts(q: Queries, { caller, request }: Ask, id: string): Promise<Facts> {
    const { device, key } = caller;
    const { volume: name, boot } = request;
    const keyshare = this.#parts.group.current();
    return {
      ...await this.#standing(q, caller, name),
      asked: { ...request, boot: key === null ? null : boot },
      group: keyshare && {
        key: keyshare.roster.commitments[0]!,
        epoch: keyshare.roster.epoch,
      },
      keyshare,
      approval: rulesOf(this.#config, device).approval
        ? await approvalOf(q, { device, volume: name, boot, id }, this.#host.clock())
        : "not_needed",
    };
  }

  async #standing(
    q: Queries,
    caller: Caller,
    volume: Uint8Array,
  ): Promise<Standing & Pick<Asker, "isOpen">> {
    const now = this.#host.clock();
    const { hours } = rulesOf(this.#config, caller.device);
    const open = hours.length === 0 || isOpen(hours, this.#wallTime(now));
    return { ...await standingOf(q, caller, { volume, now }), isOpen: open };
  }

  async #held(
    q: Queries,
    { caller: { device }, deposit, standing: { volume: row } }: {
      caller: Caller;
      deposit: Deposit;
      standing: Standing;
    },
  ): Promise<DepositFacts["held"]> {
    if (row === null) return "nothing";
    const { volume, scheme, k, n, index, piece } = deposit;
    const held = await this.#parts.pieces.find(q, { device, volume });
    const isSame = row.scheme === scheme && row.k === k && row.n === n && row.index === index &&
      held !== null && timingSafeEqual(held, piece);
    held?.fill(0);
    return isSame ? "same" : "other";
  }
}

function denial(denied: Denial["denied"], retry: number | null): Denial {
  if (retry === null) return { denied };
  return { denied, retry_ms: Math.min(Math.ceil(retry), longestRetry) };
}
