/** Peers as a table for people: a line each, who they are, how they stand, by what they are known. */
import { spanText } from "../../core/base/when.ts";
import type { PeerStatus } from "../../core/wire/peer_status.ts";
import { nameText } from "./name.ts";

const heading = ["PEER", "STATE", "SHOWS", "", "NAME"] as const;

/**
 * The lines of the table, headings first, in the order of the peers; names only where anybody has one.
 * @param now Unix milliseconds
 */
export function peerTable(peers: readonly PeerStatus[], now: number): string[] {
  const columns = peers.some(({ name }) => name !== null) ? 5 : 4;
  const rows = [heading, ...peers.map((peer) => rowOf(peer, now))]
    .map((row) => row.slice(0, columns));
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
}

function rowOf(peer: PeerStatus, now: number): readonly string[] {
  const { state, words, fingerprint, name } = peer;
  return [nameText(peer), state, words ?? fingerprint ?? "-", storyOf(peer, now), name ?? ""];
}

function storyOf({ first_seen, bound, code_expires, ban }: PeerStatus, now: number): string {
  if (ban !== null) {
    return ban.until === null ? "until unbanned" : `for ${spanText(Date.parse(ban.until) - now)}`;
  }
  const ago = (instant: string) => `${spanText(now - Date.parse(instant))} ago`;
  if (first_seen !== null) return `came ${ago(first_seen)}`;
  if (bound !== null) return `joined ${ago(bound)}`;
  if (code_expires === null) return "";
  const left = Date.parse(code_expires) - now;
  return left > 0 ? `code works for ${spanText(left)}` : `code expired ${ago(code_expires)}`;
}
