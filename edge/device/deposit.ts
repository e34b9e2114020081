/**
 * Giving each gateway its piece of a new volume's secret. All of them must take theirs: the volume's
 * header names them all. A piece whose volume was never finished is of no use to anybody.
 */
import { pause } from "../../core/services/pause.ts";
import {
  decodeUnlockReply,
  type Denial,
  type Deposit,
  encodeUnlockCall,
} from "../../core/wire/unlock.ts";
import { type GatewayLink, type GatewayOutcome, outcomeOf } from "./gateway_link.ts";
import { denialText, failureOf } from "./reasons.ts";

type Noted = Omit<GatewayOutcome, "id" | "ms"> & { readonly denial?: Denial };

/**
 * Deposits the pieces in the order of the gateways, all at once.
 * @param options.within milliseconds
 * @throws GatewaysError unless every gateway has taken its piece
 */
export async function depositPieces(
  gateways: readonly GatewayLink[],
  { pieces, within, ...deposit }: Omit<Deposit, "n" | "index" | "piece"> & {
    readonly pieces: readonly Uint8Array[];
    readonly within: number;
  },
): Promise<GatewayOutcome[]> {
  const n = gateways.length;
  const started = performance.now();
  const denials: Denial[] = [];
  const outcomes = await Promise.all(gateways.map(async (link, i) => {
    const call = { call: "deposit", ...deposit, n, index: i + 1, piece: pieces[i]! } as const;
    const { outcome, why, denial } = await depositAt(link, encodeUnlockCall(call), within);
    if (denial !== undefined) denials.push(denial);
    return { id: link.id, outcome, why, ms: Math.round(performance.now() - started) };
  }));
  const good = outcomes.filter(({ outcome }) => outcome === "good").length;
  if (good === n) return outcomes;
  throw failureOf({ good, k: n, gateways: outcomes, denials });
}

async function depositAt(link: GatewayLink, call: Uint8Array, within: number): Promise<Noted> {
  const until = performance.now() + within;
  for (;;) {
    try {
      const answer = await link.call(call, until - performance.now());
      if (answer.length === 0) return { outcome: "good", why: null };
      const reply = decodeUnlockReply(answer);
      if (!("denied" in reply)) return { outcome: "bad", why: "its answer is none" };
      const wait = reply.retry_ms ?? Infinity;
      if (performance.now() + wait > until) {
        return { outcome: "denied", why: denialText(reply), denial: reply };
      }
      await pause(Math.max(100, wait), new AbortController().signal);
    } catch (error) {
      return outcomeOf(error);
    }
  }
}
