/**
 * Asking all gateways of a volume at once, under one deadline, until k good answers are there. Each
 * answer is judged as it comes, and a bad one is held against the gateway that gave it. Whoever hangs,
 * lies or refuses costs nothing as long as k others answer.
 *
 * A gateway that says that its roster is newer has to bring it along, signed by those whom the device
 * knows; then all are asked anew, as answers of different epochs do not mix. Whoever says that it takes
 * time is asked again. After k good answers the others may still answer until `settle`: a liar that
 * comes late is named too.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Id } from "../../core/base/id.ts";
import { pause } from "../../core/services/pause.ts";
import { ChannelError } from "../../core/services/sessions/mod.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { decodeSignedRoster, follows, type Roster } from "../../core/trust/share/roster.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { type BootEventName, bootEventType, encodeBootEvent } from "../../core/wire/boot_event.ts";
import {
  decodeUnlockReply,
  type Denial,
  encodeUnlockCall,
  type UnlockReply,
} from "../../core/wire/unlock.ts";
import { GatewayLink, type GatewayOutcome, type LinkOptions, outcomeOf } from "./gateway_link.ts";
import type { DeviceHome } from "./home.ts";
import { denialText, failureOf, faultText } from "./reasons.ts";
import { type Question, type Round, roundOf } from "./round.ts";

export interface QuorumOptions extends LinkOptions {
  readonly question: Question;
  /** Milliseconds for everything. */
  readonly deadline: number;
}

/** A gateway, and what is known of it so far. */
interface Asked {
  readonly id: Id;
  /** Null when the device is not enrolled there. */
  readonly link: GatewayLink | null;
  isActive: boolean;
  denial: Denial | null;
  noted: Omit<GatewayOutcome, "id"> | null;
}

/** Milliseconds. */
const approvalPoll = 1_000;
const rosterPoll = 500;
const shortestPoll = 100;
const reportTime = 2_000;
/** Gateways that have not answered when the volume is open get as long again, within these bounds. */
const grace = { shortest: 50, longest: 500 };

export class Quorum implements AsyncDisposable {
  readonly #home: DeviceHome;
  readonly #options: QuorumOptions;
  readonly #suite: Suite;
  readonly #now: Clock;
  readonly #started: number;
  readonly #asked = new Map<Id, Asked>();
  readonly #closing = new AbortController();
  readonly #result = Promise.withResolvers<Uint8Array>();
  readonly #reports: Promise<unknown>[] = [];
  readonly #tasks: Promise<void>[] = [];
  #round: Round;
  #isDecided = false;
  #openedAfter: number | undefined;

  constructor(home: DeviceHome, options: QuorumOptions) {
    this.#home = home;
    this.#options = options;
    this.#suite = options.suite;
    this.#now = options.now ?? (() => performance.now());
    this.#started = this.#now();
    this.#round = roundOf(options.suite, { ...options.question, device: home.id });
    this.#linkAll();
  }

  /** The roster whose members have answered; null for pieces. */
  get roster(): Roster | null {
    return this.#round.roster;
  }

  /**
   * What k good answers combine to.
   * @throws DeviceError "refused", "unreachable" or "answers_bad" when there will not be as many
   */
  async result(): Promise<Uint8Array> {
    this.#askAll();
    await this.#decide();
    return await this.#result.promise;
  }

  /** Tells every gateway what has happened, and does not wait for it. */
  report(event: BootEventName): void {
    const { volume, boot } = this.#options.question;
    const happened = { event, device: this.#home.id, volume, boot, t: Date.now() };
    const payload = encodeBootEvent(happened);
    const statement = signStatement(this.#suite, this.#home.signer, bootEventType, payload);
    const call = encodeUnlockCall({ call: "report", statement });
    for (const { link } of this.#asked.values()) {
      if (link === null) continue;
      const isOpen = this.#openedAfter !== undefined;
      const within = !isOpen ? this.#left : link.hasAnswered ? reportTime : this.#grace;
      const sent = link.call(call, within).catch(() => {});
      if (isOpen) this.#reports.push(sent);
    }
  }

  /** What each gateway did. Those who have not answered get a moment more; then all sessions end. */
  async settle(): Promise<GatewayOutcome[]> {
    const everybody = new AbortController();
    void Promise.all(this.#tasks).then(() => everybody.abort());
    await pause(this.#grace, everybody.signal);
    await Promise.all(this.#reports);
    const { outcomes } = this;
    await this[Symbol.asyncDispose]();
    return outcomes;
  }

  /** What each gateway did so far, by its name. */
  get outcomes(): GatewayOutcome[] {
    return [...this.#asked.values()].map(({ id, link, noted }) => {
      if (noted !== null) return { id, ...noted };
      const trouble = link?.trouble === undefined ? null : outcomeOf(link.trouble);
      const hasFailed = trouble !== null && trouble.why !== "it did not answer";
      if (hasFailed) return { id, ...trouble, ms: null };
      const isOpen = this.#openedAfter !== undefined;
      const why = isOpen ? "the volume was open before it answered" : "it did not answer";
      return { id, outcome: isOpen ? "late" as const : "unreachable" as const, why, ms: null };
    }).sort((a, b) => a.id < b.id ? -1 : 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#isDecided = true;
    await Promise.all([...this.#asked.values()].map(({ link }) => link?.[Symbol.asyncDispose]()));
    await Promise.all(this.#tasks);
  }

  get #left(): number {
    return this.#options.deadline - (this.#now() - this.#started);
  }

  get #grace(): number {
    const after = this.#openedAfter ?? grace.shortest;
    return Math.min(Math.max(after, grace.shortest), grace.longest);
  }

  /** A session for everybody in this round who has none yet; nothing is sent. */
  #linkAll(): void {
    const enrolments = this.#home.gateways();
    for (const id of this.#round.indices.keys()) {
      if (this.#asked.has(id)) continue;
      const enrolment = enrolments.get(id);
      const link = enrolment === undefined
        ? null
        : new GatewayLink(this.#home, { ...this.#options, enrolment });
      const noted = link === null
        ? { outcome: "unreachable" as const, why: "this device is not enrolled there", ms: null }
        : null;
      this.#asked.set(id, { id, link, isActive: false, denial: null, noted });
    }
  }

  /** All who are not being asked already. */
  #askAll(): void {
    for (const asked of this.#asked.values()) {
      if (asked.link === null || asked.isActive) continue;
      asked.isActive = true;
      this.#tasks.push(this.#ask(asked, asked.link));
    }
  }

  /** Asks one gateway until there is nothing more to ask it. */
  async #ask(asked: Asked, link: GatewayLink): Promise<void> {
    while (!this.#closing.signal.aborted && this.#left > 0) {
      const round = this.#round;
      const wait = await this.#askOnce(asked, { link, round });
      if (round !== this.#round) continue;
      if (wait === null || wait > this.#left) break;
      await pause(wait, this.#closing.signal);
    }
    asked.isActive = false;
    await this.#decide();
  }

  /** Gives the milliseconds after which to ask again, or null when that is of no use. */
  async #askOnce(
    asked: Asked,
    { link, round }: { link: GatewayLink; round: Round },
  ): Promise<number | null> {
    const index = round.indices.get(asked.id);
    if (index === undefined) {
      this.#note(asked, { outcome: "denied", why: "it is no member of the group any more" });
      return null;
    }
    let reply: UnlockReply;
    try {
      reply = decodeUnlockReply(await link.call(round.request, this.#left));
    } catch (error) {
      const isOurs = error instanceof ChannelError && error.code === "channel_closed";
      if (!isOurs) this.#note(asked, outcomeOf(error));
      return null;
    }
    if (round !== this.#round) return null;
    if ("denied" in reply) return this.#denied(asked, { denial: reply, round });
    try {
      if (reply.epoch !== (round.roster?.epoch ?? 0)) {
        this.#note(asked, { outcome: "bad", why: "it answered for another epoch" });
        return null;
      }
      round.combiner.take(index, reply);
      this.#note(asked, { outcome: "good", why: null });
    } catch (error) {
      this.#note(asked, { outcome: "bad", why: faultText(error) });
    }
    return null;
  }

  #denied(asked: Asked, { denial, round }: { denial: Denial; round: Round }): number | null {
    const { denied, retry_ms } = denial;
    this.#note(asked, { outcome: "denied", why: denialText(denial) }, denial);
    if (denied === "epoch" && round.roster !== null) {
      try {
        const next = this.#newest(round.roster, denial.rosters ?? []);
        if (next !== round.roster) this.#begin(next);
        // the gateway is behind, and may be about to catch up
        return rosterPoll;
      } catch (error) {
        this.#note(asked, { outcome: "bad", why: faultText(error) });
        return null;
      }
    }
    const wait = retry_ms ?? (denied === "pending" ? approvalPoll : null);
    return wait === null ? null : Math.max(wait, shortestPoll);
  }

  /** @throws ShareError when one of them does not follow the one before */
  #newest(held: Roster, signed: readonly Uint8Array[]): Roster {
    let newest = held;
    for (const bytes of signed) {
      const next = decodeSignedRoster(bytes);
      if (next.roster.epoch <= newest.epoch) continue;
      follows(this.#suite, newest, next);
      newest = next.roster;
    }
    return newest;
  }

  /** Answers of the round before are worth nothing now. */
  #begin(roster: Roster): void {
    if (this.#openedAfter !== undefined) return;
    const question = { ...this.#options.question, of: roster };
    this.#round = roundOf(this.#suite, { ...question, device: this.#home.id });
    for (const asked of this.#asked.values()) {
      if (asked.link !== null) asked.noted = asked.denial = null;
    }
    this.#linkAll();
    this.#askAll();
  }

  #note(
    asked: Asked,
    what: { outcome: GatewayOutcome["outcome"]; why: string | null },
    denial: Denial | null = null,
  ): void {
    asked.noted = { ...what, ms: Math.round(this.#now() - this.#started) };
    asked.denial = denial;
  }

  async #decide(): Promise<void> {
    if (this.#isDecided) return;
    const { combiner } = this.#round;
    const good = combiner.good.length;
    if (good >= combiner.k) {
      this.#isDecided = true;
      this.#openedAfter = this.#now() - this.#started;
      try {
        this.#result.resolve((await combiner.result())!);
      } catch (error) {
        this.#result.reject(error);
      }
      return;
    }
    const open = [...this.#asked.values()].filter((asked) => this.#mayHelp(asked)).length;
    if (good + open >= combiner.k) return;
    this.#isDecided = true;
    const denials = [...this.#asked.values()].flatMap(({ denial }) => denial ?? []);
    this.#result.reject(failureOf({ good, k: combiner.k, gateways: this.outcomes, denials }));
  }

  /** Whether it is being asked, and is no good one yet. */
  #mayHelp({ id, isActive, noted }: Asked): boolean {
    return isActive && this.#round.indices.has(id) && noted?.outcome !== "good";
  }
}
