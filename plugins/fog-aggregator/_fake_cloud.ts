/**
 * A cloud in memory that keeps the rules of the chain (protocols.md §3), and a channel to it that fails
 * as it is told: for the tests of the uplink. It says what came and in which calls.
 */
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { type Channel, ChannelError, Refusal } from "../../core/services/sessions/mod.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { splitSign1 } from "../../core/trust/cose_sign1.ts";
import { decodeSummary, type Summary } from "../../core/wire/summary.ts";
import {
  decodeUplinkCall,
  encodeHead,
  encodeKnownRegisters,
  encodeSummariesAnswer,
  type Head,
  type KnownRegister,
  type Link,
  type UplinkCall,
} from "../../core/wire/uplink.ts";
import { compare, nameOf } from "./backlog.ts";

const { sha256 } = nativeSuite();
const nowhere: Link = { epoch: 0, seq: 0, hash: new Uint8Array(32) };

export interface Held {
  readonly summary: Summary;
  readonly hash: Uint8Array;
}

/** What of a cloud is lost with its disk. */
interface State {
  readonly links: Map<string, Held>;
  readonly lost: { readonly from: string; readonly upto: string; readonly reason: string }[];
  head: Link;
}

export class FakeCloud {
  #state: State = { links: new Map(), lost: [], head: nowhere };
  readonly conflicts: string[] = [];
  /** Names of the links of every call, in their order. */
  readonly calls: string[][] = [];
  readonly asked: UplinkCall["call"][] = [];
  /** How many links ahead of the head are kept. */
  maxAhead = 4_096;
  /** Registers in one answer. */
  page = 1_000;
  /** Gives a reason why a summary is refused, or null. */
  refuses: (summary: Summary) => string | null = () => null;
  now: () => number = () => 0;

  get head(): Link {
    return this.#state.head;
  }

  get lost(): State["lost"] {
    return this.#state.lost;
  }

  /** Names of all links, in the order of the chain. */
  get names(): string[] {
    return this.held().map(({ summary }) => nameOf(summary));
  }

  held(): Held[] {
    return [...this.#state.links.values()].sort((a, b) => compare(a.summary, b.summary));
  }

  backup(): () => void {
    const { links, lost, head } = this.#state;
    const copy = () => ({ links: new Map(links), lost: [...lost], head });
    const saved = copy();
    return () => {
      this.#state = { links: new Map(saved.links), lost: [...saved.lost], head: saved.head };
    };
  }

  /** Loses everything. */
  wipe(): void {
    this.#state = { links: new Map(), lost: [], head: nowhere };
  }

  answer(bytes: Uint8Array): Uint8Array {
    const call = decodeUplinkCall(bytes);
    this.asked.push(call.call);
    switch (call.call) {
      case "head":
        return encodeHead(call.upto === undefined ? this.#head() : this.#upTo(call.upto));
      case "lost":
        if (isSame(this.#head(), call.after)) this.#lose(call.upto, call.reason);
        return encodeHead(this.#head());
      case "registers":
        return encodeKnownRegisters(this.#registers(call.after ?? ["", ""]).slice(0, this.page));
      case "summaries": {
        const refused: { index: number; reason: string }[] = [];
        const names: string[] = [];
        call.statements.forEach((statement, index) => {
          const summary = decodeSummary(splitSign1(statement)!.payload);
          names.push(nameOf(summary));
          const reason = this.refuses(summary) ?? this.#take({ summary, hash: sha256(statement) });
          if (reason !== null) refused.push({ index, reason });
        });
        this.calls.push(names);
        return encodeSummariesAnswer({ head: this.#head(), refused });
      }
    }
  }

  #head(): Head {
    return { ...this.#state.head, t: this.now() };
  }

  #upTo(place: Omit<Link, "hash">): Head {
    const found = this.held().findLast(({ summary }) => compare(summary, place) <= 0);
    if (found === undefined) return { ...nowhere, t: this.now() };
    const { summary: { epoch, seq }, hash } = found;
    return { epoch, seq, hash, t: this.now() };
  }

  #take(link: Held): string | null {
    const { links, head } = this.#state;
    const { summary } = link;
    const there = links.get(nameOf(summary));
    const isNext = summary.epoch === (head.epoch || 1) && summary.seq === head.seq + 1;
    const misfits = isNext && !follows(head, summary);
    if (misfits || (there !== undefined && !equalBytes(there.hash, link.hash))) {
      this.conflicts.push(nameOf(summary));
      return "conflict";
    }
    if (there !== undefined) return null;
    const ahead = [...links.values()].filter((held) => compare(held.summary, head) > 0).length;
    if (!follows(head, summary) && ahead >= this.maxAhead) return null;
    links.set(nameOf(summary), link);
    this.#advance();
    return null;
  }

  #advance(): void {
    for (const { summary, hash } of this.held()) {
      if (!follows(this.#state.head, summary)) continue;
      this.#state.head = { epoch: summary.epoch, seq: summary.seq, hash };
    }
  }

  #lose(upto: Link, reason: string): void {
    const { head, lost } = this.#state;
    if (compare(upto, head) <= 0) return;
    lost.push({ from: nameOf(head), upto: nameOf(upto), reason });
    this.#state.head = upto;
    this.#advance();
  }

  #registers([afterMeter, afterRegister]: readonly [string, string]): KnownRegister[] {
    const known = new Map<string, KnownRegister>();
    for (const { summary } of this.held()) {
      for (const [meter, ofMeter] of summary.registers) {
        for (const [register, { seqs, energy_Wh }] of ofMeter) {
          const seq = seqs.at(-1)![1];
          const name = `${meter}/${register}`;
          if (seq > (known.get(name)?.seq ?? -1)) {
            known.set(name, { meter, register, seq, energy_Wh });
          }
        }
      }
    }
    return [...known.values()]
      .filter(({ meter, register }) =>
        meter > afterMeter || (meter === afterMeter && register > afterRegister)
      )
      .sort((a, b) => `${a.meter}/${a.register}` < `${b.meter}/${b.register}` ? -1 : 1);
  }
}

function follows(head: Link, { epoch, seq, prev }: Summary): boolean {
  if (head.epoch === 0) return epoch === 1 && seq === 1 && prev === null;
  const isNext = epoch === head.epoch ? seq === head.seq + 1 : epoch > head.epoch && seq === 1;
  return isNext && prev !== null && toHex(prev) === toHex(head.hash);
}

/** How a call ends: the request, or the answer, may never arrive, or the cloud is too busy for it. */
export type Fate = "answered" | "unheard" | "unanswered" | "busy";

/** A channel to a cloud. @param fate is asked of every call, and takes as long as it needs */
export function channelTo(
  cloud: FakeCloud,
  fate: (bytes: Uint8Array) => Fate | Promise<Fate>,
): Channel {
  return {
    pinned: null,
    async call(bytes) {
      const end = await fate(bytes);
      if (end === "unheard") throw new ChannelError("unreachable", "No way to the cloud");
      if (end === "busy") throw new Refusal("overloaded", "The other side refuses: overloaded");
      const answer = cloud.answer(bytes);
      if (end === "unanswered") throw new ChannelError("no_answer", "No answer from the cloud");
      return answer;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function isSame(head: Head, { epoch, seq, hash }: Link): boolean {
  return head.epoch === epoch && head.seq === seq && equalBytes(head.hash, hash);
}
