/** Everybody whom a site knows, as people who ask for a list see them: found by words, and not too many. */
import { awayText } from "../base/when.ts";
import { bounds, type Fact, type Row, type Sheet } from "../services/desk.ts";
import type { PeerKind } from "../wire/peer.ts";
import type { PeerStanding, PeerStatus } from "../wire/peer_status.ts";

/** What a role says of peers of a kind, by their ids. */
export interface Remarked {
  readonly kind: PeerKind;
  readonly all: ReadonlyMap<string, readonly Fact[]>;
}

/**
 * Those who are known come first: anybody can come to the door, and must not push them out.
 * @param options.words all of which a peer must have, anywhere in what is shown of it; in whatever case
 * @param options.now Unix milliseconds
 */
export function devicesSheet(
  peers: readonly PeerStatus[],
  { remarks, words, now }: { remarks: readonly Remarked[]; words: string; now: number },
): Sheet {
  const wanted = words.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found = peers.map((peer) => ({ peer, row: rowOf(peer, { remarks, now }) }))
    .filter(({ row }) => {
      const text = textOf(row);
      return wanted.every((word) => text.includes(word));
    })
    .sort((a, b) => Number(waits(a.peer)) - Number(waits(b.peer)));
  const counts = new Map<PeerStanding, number>();
  for (const { peer: { state } } of found) counts.set(state, (counts.get(state) ?? 0) + 1);
  return {
    title: wanted.length === 0 ? "Devices and other peers" : `Peers with ${wanted.join(" ")}`,
    facts: found.length === 0
      ? [["found", "nobody"]]
      : Array.from(counts, ([state, n]) => [state, String(n)] as const),
    rows: found.slice(0, bounds.rows).map(({ row }) => row),
    more: Math.max(0, found.length - bounds.rows),
  };
}

function waits({ proof }: PeerStatus): boolean {
  return proof !== null;
}

function rowOf(
  peer: PeerStatus,
  { remarks, now }: { remarks: readonly Remarked[]; now: number },
): Row {
  const { kind, id, name, state, fingerprint, words, last_seen, bound, code_expires, ban } = peer;
  const away = (instant: string | null) => instant && awayText(Date.parse(instant), now);
  const facts: [string, string | null][] = [
    ["state", state],
    ["words", words],
    ["fingerprint", fingerprint],
    ["last came", away(last_seen)],
    ["joined", away(bound)],
    ["code", codeText(code_expires, now)],
    ["banned", ban && (ban.until === null ? "until somebody lifts it" : `ends ${away(ban.until)}`)],
    ["by", ban && ban.actor],
    ["because", ban && ban.reason],
  ];
  // what comes to the door under its name says nothing about it
  const said = waits(peer)
    ? []
    : remarks.flatMap((one) => one.kind === kind ? one.all.get(id) ?? [] : []);
  return {
    title: name === null ? `${kind}/${id}` : `${kind}/${id}, ${name}`,
    facts: [
      ...facts.flatMap(([label, value]) => value === null ? [] : [[label, value] as const]),
      ...said,
    ],
  };
}

function codeText(expires: string | null, now: number): string | null {
  if (expires === null) return null;
  const t = Date.parse(expires);
  return `${t > now ? "ends" : "ended"} ${awayText(t, now)}`;
}

function textOf({ title, facts = [] }: Row): string {
  return [title, ...facts.map((fact) => fact.join(" "))].join("\n").toLowerCase();
}
