/**
 * What a gateway does when another one deals: it says who it is, takes its share and signs the roster
 * once the share is on its disk, and uses it once it has seen that all members have signed. It believes
 * the dealer nothing that it can check: its own place in the roster, that the dealer is a member too,
 * and that the share lies on the polynomial that the roster commits to.
 *
 * What it cannot check is that the dealer forgets what it has dealt.
 */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import { type Handler, Refusal } from "../../core/services/sessions/mod.ts";
import { encodeCbor } from "../../core/trust/cbor.ts";
import { checkShare } from "../../core/trust/share/dealing.ts";
import {
  decodeRoster,
  decodeSignedRoster,
  type Roster,
  signRoster,
  verifyRoster,
} from "../../core/trust/share/roster.ts";
import {
  type CeremonyCall,
  type CeremonyRefusal,
  decodeCeremonyCall,
  encodeHello,
  encodeSigned,
} from "../../core/wire/ceremony.ts";
import { candidatesOf } from "./candidates.ts";
import { type Keyshare, type OwnGroup, rosterIn } from "./group.ts";
import { detailOf, isFirst, ownStatement, tellGroup } from "./founding.ts";

type Needs = Pick<
  Host & Services,
  "audit" | "bus" | "clock" | "db" | "identity" | "secrets" | "site" | "suite" | "urlFor"
>;

/** New offers of one gateway in a minute: each is a line of the log. */
const offers = { limit: 10, within: 60_000 };

const nothing = encodeCbor({});

/** Answers the calls of `share` sessions. */
export function ceremonyHandler(host: Needs, group: OwnGroup): Handler {
  const { audit, clock, db, identity, site, suite } = host;
  const self = parseId(site);
  const candidates = candidatesOf({ secrets: host.secrets, lock: group.lock });
  /** When each gateway has offered lately. */
  const recent = new Map<string, number[]>();

  async function hello({ nonce }: CeremonyCall): Promise<Uint8Array> {
    const roster = group.current()?.roster;
    return encodeHello({
      ...{ nonce, id: self, url: await host.urlFor("device") },
      ...{ noiseKey: identity.noise.publicKey, signKey: identity.signer.publicKey },
      group: roster === undefined
        ? null
        : { name: roster.group, epoch: roster.epoch, key: roster.commitments[0]! },
    });
  }

  async function offer(call: CallOf<"offer">, peer: Peer): Promise<Uint8Array> {
    const { nonce, share } = call;
    const roster = attempt("malformed", () => decodeRoster(call.roster));
    const dealer = roster.members.find(({ id }) => id === peer.id);
    const isMember = dealer !== undefined && equalBytes(dealer.noiseKey, peer.noiseKey!) &&
      equalBytes(dealer.signKey, peer.signKey!);
    if (!isMember) throw refusal("not_a_member");
    const index = await ownIndex(roster);
    attempt("share_wrong", () => checkShare(share, { index, commitments: roster.commitments }));
    const statement = signRoster(suite, identity.signer, call.roster);
    await db.write(async (tx) => {
      if (await rosterIn(tx) !== null) throw refusal("group_exists");
      const before = await candidates.find(tx, nonce);
      if (before !== null) {
        const isSame = before.dealer === peer.id && equalBytes(before.roster, call.roster) &&
          timingSafeEqual(before.share, share);
        before.share.fill(0);
        if (isSame) return;
        throw refusal("nonce_reused");
      }
      countOffer(peer);
      await candidates.put(tx, { nonce, dealer: peer.id, roster: call.roster, share });
      await audit.append(tx, {
        ...{ type: "share.accepted", actor: peer.id, subject: roster.group },
        ...{ detail: detailOf(roster), statement: suite.sha256(statement) },
      });
    });
    return encodeSigned(statement);
  }

  /** This gateway's place, if the roster says of it what it says itself. */
  async function ownIndex(roster: Roster): Promise<number> {
    const member = roster.members.find(({ id }) => id === self);
    const { noise, signer } = identity;
    const isRight = member !== undefined && equalBytes(member.noiseKey, noise.publicKey) &&
      equalBytes(member.signKey, signer.publicKey) &&
      member.url === await host.urlFor("device") && isFirst(suite, roster);
    if (isRight) return member.index;
    throw refusal("roster_wrong");
  }

  function countOffer({ id }: Peer): void {
    const now = clock();
    const times = (recent.get(id) ?? []).filter((t) => t <= now && now - t < offers.within);
    if (times.length >= offers.limit) throw refusal("too_many");
    recent.set(id, [...times, now]);
  }

  async function commit(call: CallOf<"commit">, peer: Peer): Promise<Uint8Array> {
    const signed = attempt("malformed", () => decodeSignedRoster(call.roster));
    attempt("roster_unsigned", () => verifyRoster(suite, signed));
    const { payload, roster } = signed;
    const keyshare = await db.write(async (tx): Promise<Keyshare | null> => {
      const held = await rosterIn(tx);
      if (held !== null) {
        // a repetition: this gateway's answer was lost
        if (equalBytes(held.payload, payload)) return null;
        throw refusal("group_exists");
      }
      const candidate = await candidates.find(tx, call.nonce);
      if (candidate === null || !equalBytes(candidate.roster, payload)) {
        candidate?.share.fill(0);
        throw refusal("no_candidate");
      }
      const keyshare = await group.keep(tx, { signed: call.roster, share: candidate.share });
      candidate.share.fill(0);
      await candidates.clear(tx);
      await audit.append(tx, {
        ...{ type: "share.committed", actor: peer.id, subject: roster.group },
        ...{ detail: detailOf(roster), statement: ownStatement(suite, identity.signer, signed) },
      });
      return keyshare;
    });
    if (keyshare === null) return nothing;
    group.become(keyshare);
    tellGroup(host, roster);
    return nothing;
  }

  async function abort({ nonce }: CeremonyCall, peer: Peer): Promise<Uint8Array> {
    await db.write(async (tx: Queries) => {
      if (!await candidates.drop(tx, nonce, peer.id)) return;
      await audit.append(tx, { type: "share.aborted", actor: peer.id, subject: site });
    });
    return nothing;
  }

  return async (bytes, peer) => {
    const call = attempt("malformed", () => decodeCeremonyCall(bytes));
    switch (call.call) {
      case "hello":
        return await hello(call);
      case "offer":
        try {
          return await offer(call, peer);
        } finally {
          call.share.fill(0);
        }
      case "commit":
        return await commit(call, peer);
      case "abort":
        return await abort(call, peer);
    }
  };
}

type CallOf<C extends CeremonyCall["call"]> = Extract<CeremonyCall, { readonly call: C }>;

function attempt<T>(code: CeremonyRefusal, job: () => T): T {
  try {
    return job();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw refusal(code, error);
  }
}

function refusal(code: CeremonyRefusal, cause?: unknown): Refusal {
  return new Refusal(code, `Cannot take part in the ceremony: ${code}`, { cause });
}
