/**
 * The rules of `SummaryStore` once more, as plainly as they can be said: everything is kept in lists
 * and counted anew at every question, number by number.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { KnownRegister, Link } from "../../core/wire/uplink.ts";
import { headOf, nowhere, windowOf } from "./_links.ts";
import type { Finding, Outcome, Place, SignedSummary, Window, WindowState } from "./store.ts";

interface Version {
  readonly link: SignedSummary;
  state: WindowState | null;
}

interface Fog {
  readonly id: Id;
  head: Link;
  readonly links: SignedSummary[];
  readonly lost: { epoch: number; seq: number; reason: string }[];
  readonly highest: Map<number, number>;
  readonly conflicts: Set<string>;
  readonly windows: Map<number, Map<number, Version>>;
}

export class Model {
  readonly #fogs = new Map<Id, Fog>();

  #fog(id: Id): Fog {
    const nothing = { links: [], lost: [], highest: new Map(), conflicts: new Set<string>() };
    const fog = this.#fogs.get(id) ?? { id, head: nowhere, ...nothing, windows: new Map() };
    this.#fogs.set(id, fog);
    return fog;
  }

  append(id: Id, link: SignedSummary): Outcome {
    const fog = this.#fog(id);
    const { summary } = link;
    const there = at(fog, summary);
    const outcome = judge(fog, link);
    if (outcome === "conflict") fog.conflicts.add(`${summary.epoch}.${summary.seq}`);
    if (outcome !== "stored" || there !== undefined) return outcome;
    fog.links.push(link);
    heard(fog, summary);
    count(fog, link);
    return outcome;
  }

  /** After each call: the head goes on over what is there. */
  settle(id: Id): Link {
    const fog = this.#fog(id);
    for (;;) {
      const next = at(fog, { epoch: fog.head.epoch, seq: fog.head.seq + 1 });
      const epochs = fog.links.filter((link) => begins(fog.head, link));
      epochs.sort((a, b) => a.summary.epoch - b.summary.epoch);
      if (next !== undefined && fitsBehind(fog.head, next)) fog.head = headOf(next);
      else {
        if (next !== undefined) fog.conflicts.add(`${next.summary.epoch}.${next.summary.seq}`);
        if (epochs.length === 0) return fog.head;
        fog.head = headOf(epochs[0]!);
      }
    }
  }

  lose(id: Id, upto: Link, reason: string): Link {
    const fog = this.#fog(id);
    if (!isAfter(upto, fog.head)) return fog.head;
    heard(fog, upto);
    const there = at(fog, upto);
    if (there !== undefined && !equalBytes(there.hash, upto.hash)) {
      fog.conflicts.add(`${upto.epoch}.${upto.seq}`);
    }
    for (const [epoch, highest] of fog.highest) {
      for (let seq = 1; seq <= highest; seq++) {
        const place = { epoch, seq };
        const isBetween = isAfter(place, fog.head) && !isAfter(place, upto);
        if (isBetween && at(fog, place) === undefined) fog.lost.push({ ...place, reason });
      }
    }
    fog.head = upto;
    return this.settle(id);
  }

  decide(id: Id, range: { from: number; to: number; epoch: number }): number {
    let decided = 0;
    for (const [start, versions] of this.#fog(id).windows) {
      const isOpen = [...versions.values()].some(({ state }) => state === "undecided");
      if (start < range.from || start >= range.to || !isOpen || !versions.has(range.epoch)) {
        continue;
      }
      decided++;
      for (const [epoch, version] of versions) {
        version.state = epoch === range.epoch ? "in_force" : "overruled";
      }
    }
    return decided;
  }

  windows(state: WindowState): Window[] {
    const all = this.#versions(state).map(({ link }) => windowOf(link));
    return all.sort((a, b) =>
      a.start - b.start || compare(a.fog_id, b.fog_id) || a.epoch - b.epoch
    );
  }

  registers(id: Id): KnownRegister[] {
    const known = new Map<string, KnownRegister>();
    for (const { summary } of this.#fog(id).links) {
      for (const [meter, ofMeter] of summary.registers) {
        for (const [register, { energy_Wh, seqs }] of ofMeter) {
          const seq = seqs.at(-1)![1];
          const key = `${meter} ${register}`;
          const before = known.get(key);
          const wins = before === undefined || seq > before.seq ||
            (seq === before.seq && energy_Wh > before.energy_Wh);
          if (wins) known.set(key, { meter, register, seq, energy_Wh });
        }
      }
    }
    return [...known.values()].sort((a, b) =>
      compare(a.meter, b.meter) || compare(a.register, b.register)
    );
  }

  /** Without those of the part "fogs". */
  findings(): Finding[] {
    const fogs = [...this.#fogs.values()].sort((a, b) => compare(a.id, b.id));
    const summaries = fogs.flatMap((fog) => missingOf(fog));
    const undecided = [...new Set(this.windows("undecided").map((w) => `${w.start} ${w.fog_id}`))]
      .map((key): Finding => {
        const [start, fog_id] = [Number(key.split(" ")[0]), key.split(" ")[1] as Id];
        const versions = this.#fog(fog_id).windows.get(start)!;
        const epochs = [...versions.keys()].sort((a, b) => a - b);
        const ends = [...versions.values()].map(({ link }) => link.summary.window.end);
        return { kind: "undecided", fog_id, start, end: Math.max(...ends), epochs };
      });
    const conflicts = fogs.flatMap(({ id, conflicts }) =>
      [...conflicts].map((place) => place.split(".").map(Number) as [number, number])
        .sort((a, b) => a[0] - b[0] || a[1] - b[1])
        .map(([epoch, seq]): Finding => ({ kind: "conflict", fog_id: id, epoch, seq }))
    );
    return [...summaries, ...this.#readings(), ...undecided, ...conflicts];
  }

  #versions(state: WindowState): Version[] {
    return [...this.#fogs.values()].flatMap(({ windows }) =>
      [...windows.values()].flatMap((versions) => [...versions.values()])
    ).filter((version) => version.state === state);
  }

  #readings(): Finding[] {
    const highest = new Map<string, number>();
    for (const id of this.#fogs.keys()) {
      for (const { meter, register, seq } of this.registers(id)) {
        const key = `${meter} ${register}`;
        highest.set(key, Math.max(seq, highest.get(key) ?? 0));
      }
    }
    const held = new Map<string, Id[]>();
    for (const { link: { summary } } of this.#versions("in_force")) {
      for (const [meter, ofMeter] of summary.registers) {
        for (const [register, { seqs }] of ofMeter) {
          for (const [first, last] of seqs) {
            for (let seq = first; seq <= last; seq++) {
              const key = `${meter} ${register} ${seq}`;
              held.set(key, [...held.get(key) ?? [], summary.fog_id]);
            }
          }
        }
      }
    }
    const found: Finding[] = [];
    for (const key of [...highest.keys()].sort()) {
      const [meter, register] = key.split(" ") as [Id, Id];
      for (let seq = 1; seq <= highest.get(key)!; seq++) {
        const owners = held.get(`${key} ${seq}`) ?? [];
        if (owners.length === 1) continue;
        const kind = owners.length === 0 ? "reading" : "twice";
        const fogs = [...new Set(owners)].sort();
        const last = found.at(-1);
        const goesOn = last?.kind === kind && last.meter === meter && last.register === register &&
          last.to === seq - 1 && last.fogs.join() === fogs.join();
        if (goesOn) found[found.length - 1] = { ...last, to: seq };
        else found.push({ kind, meter, register, from: seq, to: seq, fogs });
      }
    }
    return found;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isAfter(a: Place, b: Place): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);
}

function at({ links }: Fog, { epoch, seq }: Place): SignedSummary | undefined {
  return links.find(({ summary }) => summary.epoch === epoch && summary.seq === seq);
}

function fitsBehind(head: Link, { summary: { prev } }: SignedSummary): boolean {
  return head.epoch === 0 ? prev === null : prev !== null && equalBytes(prev, head.hash);
}

function begins(head: Link, link: SignedSummary): boolean {
  return link.summary.epoch > head.epoch && link.summary.seq === 1 && fitsBehind(head, link);
}

function judge(fog: Fog, link: SignedSummary): Outcome {
  const { epoch, seq, prev } = link.summary;
  const { head } = fog;
  const there = at(fog, link.summary);
  if (there !== undefined && !equalBytes(there.hash, link.hash)) return "conflict";
  if (prev === null ? seq > 1 : epoch === 1 && seq === 1) return "conflict";
  if (epoch === head.epoch && seq === head.seq + 1) {
    if (!fitsBehind(head, link)) return "conflict";
    if (there === undefined) fog.head = headOf(link);
  } else if (begins(head, link) && there === undefined) fog.head = headOf(link);
  if (there !== undefined) return "duplicate";
  if (isAfter(link.summary, head)) return "stored";
  const [left, right] = [at(fog, { epoch, seq: seq - 1 }), at(fog, { epoch, seq: seq + 1 })];
  const fits = (left === undefined || (prev !== null && equalBytes(prev, left.hash))) &&
    (right === undefined || equalBytes(right.summary.prev!, link.hash)) &&
    (epoch !== head.epoch || seq !== head.seq || equalBytes(head.hash, link.hash));
  return fits ? "stored" : "conflict";
}

function heard({ highest }: Fog, { epoch, seq }: Place): void {
  highest.set(epoch, Math.max(seq, highest.get(epoch) ?? 0));
}

function count({ windows }: Fog, link: SignedSummary): void {
  const { epoch, seq, revision, window: { start } } = link.summary;
  const versions = windows.get(start) ?? new Map<number, Version>();
  windows.set(start, versions);
  const old = versions.get(epoch);
  const before = old?.link.summary;
  const wins = before === undefined || revision > before.revision ||
    (revision === before.revision && seq < before.seq);
  if (wins) versions.set(epoch, { link, state: old?.state ?? null });
  const all = [...versions.values()];
  const isDecided = all.some(({ state }) => state === "overruled");
  const lowest = Math.min(...versions.keys());
  for (const [epoch, version] of versions) {
    if (!isDecided) version.state = epoch === lowest ? "in_force" : "undecided";
    else version.state ??= "undecided";
  }
}

function missingOf(fog: Fog): Finding[] {
  const found: Finding[] = [];
  for (const epoch of [...fog.highest.keys()].sort((a, b) => a - b)) {
    for (let seq = 1; seq <= fog.highest.get(epoch)!; seq++) {
      if (at(fog, { epoch, seq }) !== undefined) continue;
      const reason = fog.lost.find((l) => l.epoch === epoch && l.seq === seq)?.reason ?? null;
      const last = found.at(-1);
      const goesOn = last?.kind === "summaries" && last.epoch === epoch && last.to === seq - 1 &&
        last.reason === reason;
      if (goesOn) found[found.length - 1] = { ...last, to: seq };
      else found.push({ kind: "summaries", fog_id: fog.id, epoch, from: seq, to: seq, reason });
    }
  }
  return found;
}
