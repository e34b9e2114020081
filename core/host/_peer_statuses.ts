/** What the site tells about its peers: those who wait first, then who is known, then who is kept out. */
import { toHex } from "../base/bytes.ts";
import type { Ban, JoinState, PeerRow, Peers, Waiting } from "../services/peers/mod.ts";
import type { Suite } from "../trust/crypto.ts";
import { fingerprint } from "../trust/fingerprint.ts";
import { fingerprintText, type PeerKind } from "../wire/peer.ts";
import type { BanStatus, JoinStatus, PeerStanding, PeerStatus } from "../wire/peer_status.ts";

export async function peerStatuses(peers: Peers, suite: Suite): Promise<PeerStatus[]> {
  const [rows, bans] = await Promise.all([peers.list(), peers.bans()]);
  const approved = new Set(rows.flatMap((row) => row.state === "approved" ? [nameText(row)] : []));
  const bansBySubject = new Map(bans.map((ban) => [subjectOf(ban), ban]));
  const unseen = new Set(bans);
  const shown = (key: Uint8Array, curve: "X25519" | "Ed25519") =>
    fingerprintText(fingerprint(suite, curve, key));
  return [...peers.waiting().map(ofWaiting), ...rows.map(ofRow), ...Array.from(unseen, ofBan)];

  function ofWaiting(one: Waiting): PeerStatus {
    const isTaken = approved.has(nameText({ kind: one.kind, id: one.device }));
    return {
      ...{ kind: one.kind, id: one.device },
      ...nobody,
      state: one.proof === "none" ? "unproven" : isTaken ? "conflict" : "pending",
      fingerprint: shown(one.key, "X25519"),
      words: one.words,
      proof: one.proof,
      first_seen: instant(one.firstSeen),
      last_seen: instant(one.lastSeen),
    };
  }

  function ofRow(row: PeerRow): PeerStatus {
    const { kind, id, state, name, noiseKey, signKey } = row;
    const mine = [nameText(row), ...(noiseKey === null ? [] : [toHex(noiseKey)])]
      .flatMap((subject) => bansBySubject.get(subject) ?? []);
    for (const ban of mine) unseen.delete(ban);
    const [ban] = mine;
    return {
      ...{ kind, id, ...nobody, name },
      state: ban === undefined ? state : "banned",
      fingerprint: noiseKey === null ? null : shown(noiseKey, "X25519"),
      statement_fingerprint: signKey === null ? null : shown(signKey, "Ed25519"),
      enrolled: instant(row.enrolledAt),
      bound: row.boundAt === null ? null : instant(row.boundAt),
      code_expires: state === "enrolled" ? instant(row.codeExpires) : null,
      ban: ban === undefined ? null : banStatus(ban, state),
    };
  }

  /** Of somebody whom the site does not know. */
  function ofBan(ban: Ban): PeerStatus {
    const { kind, id, key } = ban;
    return {
      ...{ kind, id, ...nobody, state: "banned" },
      fingerprint: key === null ? null : shown(key, "X25519"),
      ban: banStatus(ban, null),
    };
  }
}

export function joinStatus({ open, until }: JoinState): JoinStatus {
  return { open, until: until === null ? null : instant(until) };
}

const nobody = {
  state: "enrolled" as PeerStanding,
  ...{ name: null, fingerprint: null, statement_fingerprint: null, words: null, proof: null },
  ...{ first_seen: null, last_seen: null, enrolled: null, bound: null, code_expires: null },
  ban: null,
};

function banStatus(ban: Ban, before: PeerStanding | null): BanStatus {
  const { key, reason, actor, since, until } = ban;
  return {
    by: key === null ? "name" : "key",
    ...{ reason, actor, since: instant(since) },
    until: until === null ? null : instant(until),
    before,
  };
}

/** No name of a peer looks like a key: it has a stroke. */
function subjectOf(ban: Ban): string {
  return ban.key === null ? nameText(ban) : toHex(ban.key);
}

function nameText({ kind, id }: { kind: PeerKind; id: string }): string {
  return `${kind}/${id}`;
}

function instant(t: number): string {
  return new Date(t).toISOString();
}
