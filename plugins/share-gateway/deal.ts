/**
 * One deal (protocols.md §5, "Ceremonies"): a key that nobody will hold is made, and each member offered
 * its share with the roster; once all of them have signed it, one transaction makes it this gateway's
 * own, and from then on it counts. Before that nothing has changed anywhere that is not undone; after
 * it, the others are told until they know.
 *
 * Whoever deals knows the key while it deals. It lives in memory only, and shares are wiped as soon as
 * they are delivered, as far as a runtime with bigints and a garbage collector can.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { deal as dealShares, type Dealing } from "../../core/trust/share/dealing.ts";
import {
  encodeRoster,
  encodeSignedRoster,
  type Member,
  type Roster,
  rosterType,
  type SignedRoster,
  signRoster,
  verifyRoster,
} from "../../core/trust/share/roster.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeSigned, encodeCeremonyCall, nonceLength } from "../../core/wire/ceremony.ts";
import { CeremonyError, memberFailed, reasonOf } from "./ceremony_error.ts";
import type { MemberStep } from "../../core/wire/group_status.ts";
import { beginErrands, commitErrands } from "./errands.ts";
import { dealerOf, detailOf, isFirst, ownStatement, tellGroup } from "./founding.ts";
import type { Gateway } from "./gateways.ts";
import { type OwnGroup, rosterIn } from "./group.ts";
import { greet } from "./members.ts";
import { dropPlan, type Plan } from "./plan.ts";

type Needs = Pick<
  Host & Services,
  "audit" | "bus" | "clock" | "db" | "identity" | "site" | "suite" | "urlFor"
>;

export interface DealParts {
  readonly group: OwnGroup;
  readonly plan: Plan;
  readonly gateways: readonly Gateway[];
  readonly actor: string;
  /** Milliseconds for a question, and for an offer. */
  readonly patience: { readonly hello: number; readonly offer: number };
  /** Hears how far each member is. */
  readonly tell: (member: string, step: MemberStep["step"], why?: string) => void;
  /** Keeps errands of this deal from being done while it is under way. */
  readonly hold: (nonce: Uint8Array) => void;
}

/** Deals. @throws CeremonyError with the member that failed; then nothing has changed */
export async function deal(host: Needs, parts: DealParts): Promise<void> {
  const { db, suite } = host;
  const { plan, tell } = parts;
  const members = await membersOf(host, parts);
  const dealing = dealShares(suite, { k: plan.k, n: members.length });
  try {
    const roster = rosterOf(host, { plan, members, dealing });
    const payload = encodeRoster(roster);
    const nonce = suite.randomBytes(nonceLength);
    const others = members.slice(1).map(({ id }) => id);
    parts.hold(nonce);
    await db.write(async (tx) => {
      if (await rosterIn(tx) !== null) throw groupExists();
      await beginErrands(tx, { members: others, nonce });
      await host.audit.append(tx, {
        ...{ type: "share.offered", actor: parts.actor, subject: roster.group },
        detail: detailOf(roster),
      });
    });
    const own = signRoster(suite, host.identity.signer, payload);
    tell(members[0]!.id, "signed");
    const answers = await Promise.all(
      members.slice(1).map((member) => {
        const share = dealing.shares[member.index - 1]!;
        return offer(host, parts, { member, share, payload, nonce });
      }),
    );
    const failed = answers.find((answer) => answer instanceof CeremonyError);
    if (failed !== undefined) throw failed;
    const statements = [own, ...answers as Uint8Array[]];
    await found(host, parts, {
      ...{ signed: { roster, payload, statements }, nonce },
      share: dealing.shares[0]!,
    });
  } finally {
    for (const share of dealing.shares) share.fill(0);
  }
}

/** Who they are now, if that is who was planned with. The first is this gateway. */
async function membersOf(host: Needs, parts: DealParts): Promise<Member[]> {
  const { identity: { noise, signer } } = host;
  const [self, ...others] = parts.plan.members;
  const gateways = others.map(({ id, noiseKey }) => {
    const gateway = parts.gateways.find((one) => one.id === id);
    if (gateway !== undefined && equalBytes(gateway.noiseKey, noiseKey)) return gateway;
    throw new CeremonyError("plan_differs", `Cannot deal: "${id}" is not who it was planned with`, {
      hint: "its code_file is gone or another one: plan again with `edgeward share init`",
    });
  });
  for (const { id } of gateways) parts.tell(id, "asked");
  const greetings = await greet(host.suite, gateways, { within: parts.patience.hello });
  const members: Member[] = [{
    ...{ index: 1, id: self!.id, url: await host.urlFor("device") },
    ...{ noiseKey: noise.publicKey, signKey: signer.publicKey },
  }];
  const troubles = greetings.map(({ id, hello, why }, i) => {
    const planned = others[i]!.signKey;
    const trouble = hello === null
      ? why
      : hello.group !== null
      ? `it belongs to the group "${hello.group.name}" already`
      : planned !== null && !equalBytes(planned, hello.signKey)
      ? "it signs with another key than when it was planned with"
      : null;
    if (hello !== null && trouble === null) {
      const { url, noiseKey, signKey } = hello;
      members.push({ index: i + 2, id, url, noiseKey, signKey });
      return null;
    }
    parts.tell(id, "failed", trouble!);
    return memberFailed(id, trouble!);
  });
  const failed = troubles.find((trouble) => trouble !== null);
  if (failed) throw failed;
  return members;
}

function rosterOf(
  { suite }: Needs,
  { plan, members, dealing }: { plan: Plan; members: readonly Member[]; dealing: Dealing },
): Roster {
  const { commitments } = dealing;
  const dealers = [dealerOf(suite, commitments)];
  const { group, k } = plan;
  return { group, epoch: 1, k, n: members.length, members, commitments, dealers };
}

/** The member's statement over the roster, or why there is none. The share is wiped in any case. */
async function offer(
  { suite }: Needs,
  { gateways, patience, tell }: DealParts,
  { member, share, payload, nonce }: {
    member: Member;
    share: Uint8Array;
    payload: Uint8Array;
    nonce: Uint8Array;
  },
): Promise<Uint8Array | CeremonyError> {
  const { id, signKey } = member;
  const body = encodeCeremonyCall({ call: "offer", nonce, roster: payload, share });
  try {
    const verifier = new StatementVerifier(suite, signKey, rosterType);
    const { channel } = gateways.find((one) => one.id === id)!;
    tell(id, "offered");
    const statement = decodeSigned(await channel.call(body, { within: patience.offer }));
    if (!isOver(statement, verifier, payload)) throw new Error("its signature is wrong");
    tell(id, "signed");
    return statement;
  } catch (error) {
    const why = reasonOf(error);
    tell(id, "failed", why);
    return memberFailed(id, why);
  } finally {
    share.fill(0);
    body.fill(0);
  }
}

function isOver(
  statement: Uint8Array,
  verifier: StatementVerifier,
  payload: Uint8Array,
): boolean {
  try {
    return equalBytes(verifier.open(statement), payload);
  } catch {
    return false;
  }
}

/** From here on it counts. */
async function found(
  host: Needs,
  { group, actor }: DealParts,
  { signed, share, nonce }: { signed: SignedRoster; share: Uint8Array; nonce: Uint8Array },
): Promise<void> {
  const { audit, db, identity, suite } = host;
  const { roster } = signed;
  verifyRoster(suite, signed);
  if (!isFirst(suite, roster)) throw new Error("Cannot found a group: its roster is no first one");
  const bytes = encodeSignedRoster(signed);
  const keyshare = await db.write(async (tx) => {
    if (await rosterIn(tx) !== null) throw groupExists();
    const keyshare = await group.keep(tx, { signed: bytes, share });
    await commitErrands(tx, nonce);
    await dropPlan(tx);
    await audit.append(tx, {
      ...{ type: "share.dealt", actor, subject: roster.group, detail: detailOf(roster) },
      statement: ownStatement(suite, identity.signer, signed),
    });
    return keyshare;
  });
  group.become(keyshare);
  tellGroup(host, roster);
}

/** That a gateway is in one group at most. */
export function groupExists(): CeremonyError {
  return new CeremonyError("group_exists", "Cannot found a group: this gateway has one already", {
    hint: "`edgeward share status` shows it; `edgeward share forget` leaves it",
  });
}
