/**
 * Which roster to seal with: the one that at least k enrolled gateways serve alike, each of them listed
 * in it under the key of its enrolment, with the whole chain that led to it. A device that holds a
 * roster of the group already moves on only by what follows it.
 */
import { equalBytes, toHex } from "../../core/base/bytes.ts";
import { pause } from "../../core/services/pause.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import {
  decodeSignedRoster,
  encodeRoster,
  follows,
  type Roster,
  type SignedRoster,
  verifyRoster,
} from "../../core/trust/share/roster.ts";
import { DeviceError, GatewaysError } from "./error.ts";
import { type GatewayLink, type GatewayOutcome, outcomeOf } from "./gateway_link.ts";
import type { DeviceHome } from "./home.ts";
import { faultText } from "./reasons.ts";

/** The epochs of a group, oldest first. */
type Chain = readonly SignedRoster[];

interface Served {
  readonly chain: Chain;
  readonly by: GatewayLink[];
}

/** Milliseconds for those who are a little later than the others. */
const moment = 300;
/** Answers with rosters that a gateway may give before it is taken to have no end. */
const maxParts = 16;

/** @throws DeviceError "unreachable", "roster_disputed" */
export async function agreedRoster(
  home: DeviceHome,
  { suite, links, within }: {
    suite: Suite;
    links: readonly GatewayLink[];
    /** Milliseconds. */
    within: number;
  },
): Promise<Roster> {
  const gateways: GatewayOutcome[] = [];
  const served = new Map<string, Served>();
  const isAgreed = Promise.withResolvers<void>();
  const everybody = Promise.all(links.map(async (link) => {
    gateways.push(await ask(link, { suite, within, served }));
    if ([...served.values()].some(hasQuorum)) isAgreed.resolve();
  }));
  const isOver = new AbortController();
  void everybody.then(() => isOver.abort());
  // who hangs is not waited for, and who is a little later may still disagree
  await Promise.race([everybody, isAgreed.promise]);
  await pause(moment, isOver.signal);
  const agreed = [...served.values()].filter(hasQuorum);
  if (agreed.length === 1) return taken(home, { suite, chain: agreed[0]!.chain });
  gateways.sort((a, b) => a.id < b.id ? -1 : 1);
  throw disagreement({ gateways, isSplit: agreed.length > 1 });
}

/** Notes what a gateway serves. */
async function ask(
  link: GatewayLink,
  { suite, within, served }: { suite: Suite; within: number; served: Map<string, Served> },
): Promise<GatewayOutcome> {
  const { id } = link;
  try {
    const chain = await chainOf(link, within);
    if (chain.length === 0) {
      return { id, outcome: "denied", why: "it is in no group yet", ms: null };
    }
    const name = toHex(suite.sha256(...chain.map(({ payload }) => payload)));
    const same = served.get(name) ?? { chain, by: [] };
    same.by.push(link);
    served.set(name, same);
    const why = `it is at epoch ${chain.at(-1)!.roster.epoch}`;
    return { id, outcome: "good", why, ms: null };
  } catch (error) {
    return { id, ...outcomeOf(error), ms: null };
  }
}

/** All of a gateway's chain, which comes in parts. @throws ShareError, UnlockError, ChannelError */
async function chainOf(link: GatewayLink, within: number): Promise<Chain> {
  const chain: SignedRoster[] = [];
  const until = performance.now() + within;
  for (let part = 0; part < maxParts; part++) {
    const after = chain.at(-1)?.roster.epoch ?? 0;
    const next = await link.rosters({ after, within: until - performance.now() });
    if (next.length === 0) break;
    for (const bytes of next) {
      const signed = decodeSignedRoster(bytes);
      if (signed.roster.epoch <= (chain.at(-1)?.roster.epoch ?? 0)) {
        throw new DeviceError("roster_disputed", "Its rosters are not in order");
      }
      chain.push(signed);
    }
  }
  return chain;
}

function hasQuorum({ chain, by }: Served): boolean {
  const { k, members } = chain.at(-1)!.roster;
  const listed = by.filter(({ id, enrolment }) =>
    members.some((member) => member.id === id && equalBytes(member.noiseKey, enrolment.noiseKey))
  );
  return listed.length >= k;
}

/** Checks the chain, and keeps its end. @throws DeviceError "roster_disputed" */
function taken(home: DeviceHome, { suite, chain }: { suite: Suite; chain: Chain }): Roster {
  const [first] = chain;
  const newest = chain.at(-1)!.roster;
  try {
    verifyRoster(suite, first!);
    for (let i = 1; i < chain.length; i++) follows(suite, chain[i - 1]!.roster, chain[i]!);
    const held = home.roster(newest.commitments[0]!);
    if (held !== null) requireOnward(suite, { held, chain });
  } catch (error) {
    throw new DeviceError(
      "roster_disputed",
      `Cannot take the group's roster: ${faultText(error)}`,
      {
        hint: "`edgeward share` at the gateways shows which roster each of them holds",
        cause: error,
      },
    );
  }
  home.keepRoster(newest);
  return newest;
}

/** Throws unless the chain leads on from what is held. @throws ShareError, DeviceError */
function requireOnward(
  suite: Suite,
  { held, chain }: { held: Roster; chain: Chain },
): void {
  let last = held;
  for (const next of chain) {
    if (next.roster.epoch <= held.epoch) continue;
    follows(suite, last, next);
    last = next.roster;
  }
  const end = chain.at(-1)!;
  if (last !== held || equalBytes(encodeRoster(held), end.payload)) return;
  throw new DeviceError(
    "roster_disputed",
    `this device holds epoch ${held.epoch}, and it does not lead there`,
  );
}

function disagreement(
  { gateways, isSplit }: { gateways: readonly GatewayOutcome[]; isSplit: boolean },
): DeviceError {
  if (isSplit) {
    return new GatewaysError(
      "roster_disputed",
      "Cannot choose a group: the gateways are in several",
      { gateways, hint: "enrol the device at the gateways of one group only" },
    );
  }
  const good = gateways.filter(({ outcome }) => outcome === "good").length;
  if (gateways.some(({ outcome }) => outcome === "unreachable")) {
    return new GatewaysError(
      "unreachable",
      `Too few gateways say who is in their group: ${good} of ${gateways.length} do`,
      { gateways, hint: "are they running, and is the network up?" },
    );
  }
  return new GatewaysError(
    "roster_disputed",
    "Cannot seal: not enough gateways serve the same roster, under the keys of their enrolments",
    {
      gateways,
      hint: "deal the group's key first with `edgeward share`, and enrol the device at k members",
    },
  );
}
