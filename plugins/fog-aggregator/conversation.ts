/**
 * What a fog says to its cloud while it reaches it, step by step, and what it makes of the answers. Only
 * a head that names a place in our chain counts: up to there the cloud has what we sent. What the
 * outbox has no more is said to be lost, what the cloud refuses is set aside, and both times the chain
 * goes on behind it. A head that is not in our chain begins a new epoch.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import {
  decodeHead,
  decodeSummariesAnswer,
  type Head,
  type Link,
  maxStatements,
} from "../../core/wire/uplink.ts";
import { type CallSize, compare, type Entry, maxLive, nameOf, planCall } from "./backlog.ts";
import type { Outbox, StoredSummary } from "./outbox.ts";
import { type Ask, beginEpoch } from "./rollback.ts";

/** How long one epoch lasts at least before this process begins another. */
const leastEpoch = 600_000;
/** Names of summaries sent ahead that are remembered; who is forgotten is sent twice. */
const maxSent = 1_024;

/** What one conversation hands on to the next. */
export interface Memory {
  /** Where the cloud stood last. */
  head: Head | null;
  /** When this process began an epoch last, on the monotonic clock. */
  epochBegan: number | null;
  /** Summaries that are refused for good; null when they are to be counted anew. */
  refused: number | null;
  readonly size: CallSize;
}

export interface Surroundings {
  readonly host: Host & Pick<Services, "db">;
  readonly outbox: Outbox;
  readonly memory: Memory;
  /** Hears what time the cloud had when it was asked, and half of how long the answer took. */
  readonly clock: { learn(t: number, uncertainty: number): void };
  /** Hears windows that are to be summed up again. */
  readonly reopened: (starts: Iterable<number>) => void;
  /** Milliseconds that never go backwards. */
  readonly monotonic: () => number;
}

export class Conversation {
  readonly #ask: Ask;
  readonly #around: Surroundings;
  readonly #sent = new Set<string>();
  #backlogFirst = false;

  constructor(ask: Ask, around: Surroundings) {
    this.#ask = ask;
    this.#around = around;
  }

  /** Learns where the cloud stands, and what time it has. */
  async agree(): Promise<void> {
    const { monotonic, clock } = this.#around;
    const asked = monotonic();
    const head = decodeHead(await this.#ask({ call: "head" }));
    clock.learn(head.t, (monotonic() - asked) / 2);
    await this.#heed(head);
  }

  /** Makes one call, if there is something to say. Returns whether there was. */
  async step({ withBacklog }: { readonly withBacklog: boolean }): Promise<boolean> {
    const { outbox, memory } = this.#around;
    const first = await outbox.entries(maxStatements);
    if (first.length === 0) return false;
    if (await this.#bridge(first[0]!)) return true;
    const newest = await outbox.entries(maxLive, "newest");
    const { bytes } = memory.size;
    const backlogFirst = this.#backlogFirst;
    const plan = planCall({ first, newest }, {
      ...{ sent: this.#sent, bytes, withBacklog, backlogFirst },
    });
    if (plan.length === 0) return false;
    const links = await outbox.load(plan);
    if (links.length > 0) await this.#send(links, first[0]!);
    return true;
  }

  /** Says what is lost between the cloud's head and the next link. Returns whether there was a call. */
  async #bridge(next: Entry): Promise<boolean> {
    const { outbox, memory } = this.#around;
    const head = memory.head!;
    const before = await outbox.before(next);
    if (isAt(head, before)) return false;
    if (before === null || compare(before, head) <= 0) {
      await this.#beginEpoch(head);
      return true;
    }
    const refused = await outbox.refusedBetween(head, next);
    const [upto, reason] = refused === null
      ? [before, "not held by the fog any more"]
      : isAt(head, await outbox.before(refused))
      ? [refused, refused.reason.slice(0, maxReason)]
      : [(await outbox.before(refused))!, "not held by the fog any more"];
    const { epoch, seq, hash } = upto;
    const after = { epoch: head.epoch, seq: head.seq, hash: head.hash };
    const answer = await this.#ask({ call: "lost", after, upto: { epoch, seq, hash }, reason });
    this.#around.host.log.warn("the cloud is told what this fog has no more", {
      ...{ after: nameOf(head), upto: nameOf(upto), reason },
    });
    const moved = decodeHead(answer);
    if (isAt(moved, head)) throw stuck("does not go on behind what is lost");
    await this.#heed(moved);
    return true;
  }

  async #send(links: readonly StoredSummary[], next: Entry): Promise<void> {
    const { memory: { size }, monotonic, outbox } = this.#around;
    const began = monotonic();
    let answer;
    try {
      answer = decodeSummariesAnswer(
        await this.#ask({ call: "summaries", statements: links.map((link) => link.statement) }),
      );
    } catch (error) {
      size.failed();
      throw error;
    }
    size.done(monotonic() - began);
    const names = links.map(nameOf);
    const isInTurn = names.includes(nameOf(next));
    this.#backlogFirst = !isInTurn;
    for (const name of names) this.#sent.add(name);
    const refused = new Map<string, string>();
    for (const { index, reason } of answer.refused) {
      if (names[index] !== undefined) refused.set(names[index], reason);
    }
    await this.#heed(answer.head);
    this.#forgetSent();
    const now = (await outbox.entries(1))[0];
    const isStuck = isInTurn && now !== undefined && nameOf(now) === nameOf(next);
    const isRefused = now !== undefined && refused.has(nameOf(now));
    if (isRefused) await this.#setAside(refused);
    else if (isStuck) throw stuck("acknowledges nothing of what it was sent");
  }

  /** Settles what the cloud has. @throws CodedError "cloud_went_back" after that, to begin anew later */
  async #heed(head: Head): Promise<void> {
    const { outbox, memory, host } = this.#around;
    if (!await outbox.knows(head)) return await this.#beginEpoch(head);
    const before = memory.head;
    const { again } = await outbox.settle(head);
    memory.head = head;
    const wentBack = before !== null && compare(head, before) < 0;
    if (again === 0 && !wentBack) return;
    const detail = `the cloud stands at ${nameOf(head)} again, and gets ${again} summaries again`;
    host.log.warn("the cloud has lost summaries", { head: nameOf(head), again });
    host.bus.emit({
      type: "fog.uplink_up",
      severity: "warning",
      subject: host.site,
      detail: { detail, again },
    });
    if (wentBack) throw new CodedError("cloud_went_back", detail);
  }

  /** Begins an epoch, but not one after another: two fogs of one name would never come to an end. */
  async #beginEpoch(head: Head): Promise<void> {
    const { memory, monotonic, reopened, outbox } = this.#around;
    const { epochBegan } = memory;
    if (epochBegan !== null && monotonic() - epochBegan < leastEpoch) {
      throw new CodedError("chain_contested", "the cloud's chain of this fog goes on elsewhere", {
        hint: "see whether a second machine uses this fog's identity",
      });
    }
    const { windows } = await beginEpoch(this.#ask, { ...this.#around, head });
    memory.epochBegan = monotonic();
    memory.head = head;
    await outbox.settle(head);
    this.#sent.clear();
    reopened(windows);
  }

  /** Sets aside what is refused at its turn. What was sent ahead of it is judged when it is. */
  async #setAside(refused: ReadonlyMap<string, string>): Promise<void> {
    const { outbox, host, memory } = this.#around;
    for (;;) {
      const [next] = await outbox.entries(1);
      const reason = next === undefined ? undefined : refused.get(nameOf(next));
      if (next === undefined || reason === undefined) return;
      // the cloud holds another link there: the chain has been carried on by someone else
      if (reason === "conflict") return await this.#beginEpoch(memory.head!);
      await outbox.refuse(next, reason);
      memory.refused = null;
      host.log.error("the cloud refuses a summary: it is set aside", {
        ...{ summary: nameOf(next), reason },
      });
      host.bus.emit({
        type: "fog.summary_set_aside",
        severity: "alarm",
        subject: host.site,
        detail: { epoch: next.epoch, seq: next.seq, reason },
      });
    }
  }

  #forgetSent(): void {
    for (const name of this.#sent) {
      if (this.#sent.size <= maxSent) break;
      this.#sent.delete(name);
    }
  }
}

/** Characters of a reason at the most (core/wire/uplink.ts). */
const maxReason = 64;

/** Whether the head is this link; null is before the beginning. */
function isAt(head: Head, link: Link | null): boolean {
  if (link === null) return head.epoch === 0;
  return compare(head, link) === 0 && equalBytes(head.hash, link.hash);
}

function stuck(what: string): CodedError {
  return new CodedError("cloud_stuck", `the cloud ${what}`, {
    hint: "its log says why, at the same time",
  });
}
