/**
 * All that a site tells about one peer, a line a fact, each fact about somebody who waits with what it
 * is worth: a person decides on it. Nothing here can be copied as the proof that it should be compared
 * with, so a command to approve has a gap where the device's own words belong.
 */
import { instantText } from "../../core/base/when.ts";
import { proofs } from "../../core/host/shown.ts";
import type { BanStatus, PeerStanding, PeerStatus } from "../../core/wire/peer_status.ts";
import { nameText } from "./name.ts";

/** What a peer's state means. */
export const standings = {
  enrolled: "has a code that it has not used",
  approved: "is let in",
  revoked: "is refused until it is removed",
  pending: "waits for approval",
  conflict: "waits, and its name belongs to another key",
  unproven: "waits, and nothing shows that the key is its own",
  banned: "is refused for a time",
} as const satisfies Record<PeerStanding, string>;

/** The lines. @param now Unix milliseconds */
export function peerFacts(peer: PeerStatus, now: number): string[] {
  const instant = (value: string | null) => value === null ? null : instantText(value, now);
  const facts: [string, string | null][] = [
    ["peer", nameText(peer)],
    ["name", peer.name],
    ["state", `${peer.state}: ${standings[peer.state]}`],
    ["words", peer.words],
    ["fingerprint", peer.fingerprint],
    ["signs as", peer.statement_fingerprint],
    ["proof", peer.proof && `${peer.proof}: ${proofs[peer.proof]}`],
    ["first seen", instant(peer.first_seen)],
    ["last seen", instant(peer.last_seen)],
    ["enrolled", instant(peer.enrolled)],
    ["joined", instant(peer.bound)],
    ["code works", peer.code_expires && `until ${instant(peer.code_expires)}`],
    ["banned", peer.ban && banText(peer.ban, now)],
    ["because", peer.ban && peer.ban.reason],
    ["afterwards", peer.ban && peer.ban.before],
    ["to let it in", waysIn(peer)],
  ];
  return facts.flatMap(([name, fact]) => fact === null ? [] : [`${name.padEnd(12)} ${fact}`]);
}

function waysIn(peer: PeerStatus): string | null {
  if (peer.ban !== null) return `edgeward peers unban ${nameText(peer)}`;
  return peer.proof && commandFor(peer);
}

function banText({ by, actor, since, until }: BanStatus, now: number): string {
  const what = by === "name" ? "the name" : "the key, under whatever name";
  const end = until === null ? "until somebody lifts it" : `until ${instantText(until, now)}`;
  return `${what}, ${end}; by ${actor}, ${instantText(since, now)}`;
}

/** How to let somebody in who waits. */
export function commandFor(peer: PeerStatus): string {
  const { state, words } = peer;
  const command = `edgeward peers ${state === "conflict" ? "replace" : "approve"} ${
    nameText(peer)
  }`;
  if (state === "unproven") return `${command} --code -`;
  return words === null
    ? `${command} --fingerprint "what the device shows"`
    : `${command} --words "what the device shows"`;
}
