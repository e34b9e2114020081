/**
 * How gateways become a group: this one plans with the gateways that it may call, deals once its
 * operator says so, shows who is there, and leaves the group again. One ceremony at a time. It also
 * answers when another gateway deals (`ceremony_calls.ts`).
 */
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { isId, parseId } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import type { Roster } from "../../core/trust/share/roster.ts";
import { maxMembers } from "../../core/trust/share/scheme.ts";
import { fingerprintText } from "../../core/wire/peer.ts";
import { candidatesOf } from "./candidates.ts";
import { ceremonyHandler } from "./ceremony_calls.ts";
import { CeremonyError } from "./ceremony_error.ts";
import type {
  DealStatus,
  GroupMember,
  GroupStatus,
  MemberStep,
  PlanMember,
  PlanStatus,
} from "../../core/wire/group_status.ts";
import { deal, groupExists } from "./deal.ts";
import { abortErrands, type ErrandOptions, Errands } from "./errands.ts";
import { type Gateways, type GatewaysConfig, gatewaysOf } from "./gateways.ts";
import { type OwnGroup, rosterIn } from "./group.ts";
import { greet, type Greeting } from "./members.ts";
import { dropPlan, type Plan, planIn, putPlan } from "./plan.ts";

type Needs = Host & Pick<Services, "db" | "sessions">;

export interface CeremonyOptions extends ErrandOptions {
  /** Milliseconds for a question, and for an offer. */
  readonly patience?: { readonly hello: number; readonly offer: number };
}

/** What routes and the rest of the role see of it. */
export interface Ceremony {
  /** Asks everybody who they are, and keeps the plan whatever they say. @throws CeremonyError */
  plan(wish: { group: string; k: number }, actor: string): Promise<PlanStatus>;
  /** Begins to deal; `status` tells how it goes on. @throws CeremonyError */
  deal(actor: string): Promise<DealStatus>;
  /** @param options.live whether the others are asked */
  status(options: { live: boolean }): Promise<GroupStatus>;
  /** Erases share and rosters, and whatever was under way. @throws CeremonyError */
  forget(actor: string): Promise<void>;
}

/** Takes part in ceremonies, and goes on with what was begun before this start. */
export async function openCeremony(
  host: Needs,
  config: GatewaysConfig,
  { group, ...options }: { group: OwnGroup } & CeremonyOptions,
): Promise<Ceremony> {
  const gateways = gatewaysOf(host, config);
  const ceremony = new OwnCeremony(host, { group, gateways, options });
  host.defer(() => ceremony.stop());
  await host.sessions.serve("share", ceremonyHandler(host, group));
  ceremony.start();
  return ceremony;
}

const usualPatience = { hello: 8_000, offer: 20_000 };

class OwnCeremony implements Ceremony {
  readonly #host: Needs;
  readonly #group: OwnGroup;
  readonly #gateways: Gateways;
  readonly #errands: Errands;
  readonly #patience: { readonly hello: number; readonly offer: number };
  #deal: { status: DealStatus; ended: Promise<void> } | null = null;
  #greeting: Promise<Greeting[]> | null = null;

  constructor(
    host: Needs,
    { group, gateways, options }: {
      group: OwnGroup;
      gateways: Gateways;
      options: CeremonyOptions;
    },
  ) {
    const { patience = usualPatience, ...rest } = options;
    this.#host = host;
    this.#group = group;
    this.#gateways = gateways;
    this.#patience = patience;
    this.#errands = new Errands(host, { group, gateways, ...rest });
  }

  start(): void {
    this.#errands.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#errands.stop(), this.#deal?.ended]);
  }

  async plan(
    { group, k }: { group: string; k: number },
    actor: string,
  ): Promise<PlanStatus> {
    this.#requireRest();
    if (this.#group.current() !== null) throw groupExists();
    const { gateways, unusable: [broken] } = this.#gateways.read();
    if (broken !== undefined) {
      throw new CeremonyError("code_unusable", `Cannot use "${broken.file}": ${broken.why}`, {
        hint: "write what `edgeward admin enrol gateway ID --json` prints at the other gateway " +
          "into that file, or take it out of gateways",
      });
    }
    const n = gateways.length + 1;
    requireWish({ group, k, n });
    const { audit, clock, db, suite } = this.#host;
    const greetings = await greet(suite, gateways, { within: this.#patience.hello });
    const self = await this.#self();
    const others = gateways.map(({ id, noiseKey }, i) => {
      const { url = null, signKey = null } = greetings[i]!.hello ?? {};
      return { id, noiseKey, url, signKey };
    });
    const plan: Plan = { group: parseId(group), k, members: [self, ...others], planned: clock() };
    await db.write(async (tx) => {
      if (await rosterIn(tx) !== null) throw groupExists();
      await putPlan(tx, plan);
      await audit.append(tx, {
        ...{ type: "share.planned", actor, subject: plan.group },
        detail: { k, n, members: plan.members.map(({ id }) => id) },
      });
    });
    return this.#planStatus(plan, greetings);
  }

  async deal(actor: string): Promise<DealStatus> {
    this.#requireRest();
    const plan = await this.#host.db.read(planIn);
    this.#requireRest();
    if (this.#group.current() !== null) throw groupExists();
    if (plan === null) {
      throw new CeremonyError("plan_unknown", "Cannot deal: there is no plan", {
        hint: "make one: `edgeward share init --group NAME --threshold K`",
      });
    }
    const members = plan.members.map(({ id }): MemberStep => ({ id, step: "waiting", why: null }));
    this.#deal = {
      status: { state: "running", group: plan.group, members, error: null },
      ended: Promise.resolve(),
    };
    this.#deal.ended = this.#run(plan, actor);
    return this.#deal.status;
  }

  async #run(plan: Plan, actor: string): Promise<void> {
    let release = () => {};
    let end: Partial<DealStatus> = { state: "done" };
    try {
      await deal(this.#host, {
        ...{ group: this.#group, plan, actor, patience: this.#patience },
        gateways: this.#gateways.read().gateways,
        tell: (id, step, why) => this.#tell({ id, step, why: why ?? null }),
        hold: (nonce) => release = this.#errands.hold(nonce),
      });
    } catch (error) {
      const known = error instanceof CodedError;
      const { code, message, hint } = known ? error : unexpected;
      if (known) this.#host.log.warn("a deal has come to nothing", { code, why: message });
      else this.#host.log.error("a deal has failed", { error });
      end = { state: "failed", error: { code, detail: message, hint: hint ?? null } };
      await this.#record(plan, actor, { code, why: message });
    }
    release();
    // the last thing: from here on another one may begin
    this.#change(end);
  }

  async #record(plan: Plan, actor: string, detail: Record<string, string>): Promise<void> {
    const { audit, db, log } = this.#host;
    await db.write((tx) =>
      audit.append(tx, { type: "share.deal_failed", actor, subject: plan.group, detail })
    ).catch((error) => log.error("the end of a deal could not be recorded", { error }));
  }

  #change(change: Partial<DealStatus>): void {
    this.#deal!.status = { ...this.#deal!.status, ...change };
  }

  #tell(changed: MemberStep): void {
    const { members } = this.#deal!.status;
    this.#change({ members: members.map((one) => one.id === changed.id ? changed : one) });
  }

  async forget(actor: string): Promise<void> {
    this.#requireRest();
    const { audit, db, secrets } = this.#host;
    const roster = this.#group.current()?.roster;
    const candidates = candidatesOf({ secrets, lock: this.#group.lock });
    await db.write(async (tx) => {
      const plan = await planIn(tx);
      const subject = roster?.group ?? plan?.group ?? this.#host.site;
      await this.#group.erase(tx);
      await candidates.clear(tx);
      await dropPlan(tx);
      await abortErrands(tx);
      const detail = { epoch: roster?.epoch ?? null, planned: plan !== null };
      await audit.append(tx, { type: "share.forgotten", actor, subject, detail });
    });
    this.#group.become(null);
    if (this.#deal?.status.state !== "running") this.#deal = null;
    this.#errands.wake();
  }

  async status({ live }: { live: boolean }): Promise<GroupStatus> {
    const keyshare = this.#group.current();
    const roster = keyshare?.roster ?? null;
    const plan = await this.#host.db.read(planIn);
    const { gateways, unusable } = this.#gateways.read();
    const ids = new Set((roster ?? plan)?.members.map(({ id }) => id));
    const asked = gateways.filter(({ id }) => ids.has(id));
    const greetings = live ? await this.#greet(asked) : [];
    const waiting = await this.#errands.waiting();
    const { id, url, noiseKey } = await this.#self();
    return {
      self: { id, url, fingerprint: this.#shown(noiseKey) },
      group: roster && {
        ...{ name: roster.group, epoch: roster.epoch, k: roster.k, n: roster.n },
        index: keyshare!.index,
      },
      members: roster?.members.map((member): GroupMember => {
        const isSelf = member.index === keyshare!.index;
        const greeting = greetings.find(({ id }) => id === member.id);
        const errand = waiting.find((one) => one.member === member.id && one.errand === "commit");
        return {
          ...{ index: member.index, id: member.id, url: member.url, self: isSelf },
          fingerprint: this.#shown(member.noiseKey),
          reachable: isSelf ? true : greeting === undefined ? null : greeting.hello !== null,
          has_roster: isSelf || (errand === undefined ? holds(roster, greeting) : false),
          why: greeting?.why ?? errand?.why ?? null,
        };
      }) ?? [],
      plan: plan && this.#planStatus(plan, greetings),
      deal: this.#deal?.status ?? null,
      unusable,
    };
  }

  /** Many may ask for it at a time. */
  #greet(asked: ReturnType<Gateways["read"]>["gateways"]): Promise<Greeting[]> {
    const { suite } = this.#host;
    return this.#greeting ??= greet(suite, asked, { within: this.#patience.hello })
      .finally(() => this.#greeting = null);
  }

  #planStatus({ group, k, members, planned }: Plan, greetings: readonly Greeting[]): PlanStatus {
    return {
      ...{ group, k, n: members.length, planned: new Date(planned).toISOString() },
      members: members.map(({ id, url, noiseKey }, i): PlanMember => {
        const greeting = greetings.find((one) => one.id === id);
        return {
          ...{ index: i + 1, id, self: i === 0, fingerprint: this.#shown(noiseKey) },
          url: greeting?.hello?.url ?? url,
          reachable: i === 0 ? true : greeting === undefined ? null : greeting.hello !== null,
          group: greeting?.hello?.group?.name ?? null,
          why: greeting?.why ?? null,
        };
      }),
    };
  }

  async #self() {
    const { identity: { noise, signer }, site } = this.#host;
    return {
      ...{ id: parseId(site), url: await this.#host.urlFor("device") },
      ...{ noiseKey: noise.publicKey, signKey: signer.publicKey },
    };
  }

  #shown(noiseKey: Uint8Array): string {
    return fingerprintText(fingerprint(this.#host.suite, "X25519", noiseKey));
  }

  #requireRest(): void {
    if (this.#deal?.status.state !== "running") return;
    throw new CeremonyError("deal_running", "Cannot do that now: a deal is under way", {
      hint: "wait for its end: `edgeward share status` shows how far it is",
    });
  }
}

const unexpected = {
  code: "internal",
  message: "Something went wrong here; the log of the site says what.",
  hint: undefined,
};

/** @throws CeremonyError "bad_request" */
function requireWish({ group, k, n }: { group: string; k: number; n: number }): void {
  const bad = (message: string, hint: string) =>
    new CeremonyError("bad_request", `Cannot plan the group: ${message}`, { hint });
  if (!isId(group)) {
    throw bad("its name is none", "use 1 to 64 letters, digits, hyphens and underscores");
  }
  if (n > maxMembers) throw bad(`${n} gateways are too many`, `a group has at most ${maxMembers}`);
  if (Number.isInteger(k) && k >= 1 && k <= n) return;
  throw bad(
    `a threshold of ${k} among ${n} is none`,
    n === 1
      ? "name the codes of the other gateways in gateways of [plugins.share-gateway]"
      : `it is a whole number from 1 to ${n}`,
  );
}

/** Whether a member says that it answers under this roster, or a later one; null when it was not heard. */
function holds(roster: Roster, greeting: Greeting | undefined): boolean | null {
  if (!greeting?.hello) return null;
  const { group } = greeting.hello;
  return group !== null && equalBytes(group.key, roster.commitments[0]!) &&
    group.epoch >= roster.epoch;
}
