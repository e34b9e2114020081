/**
 * How many summaries a cloud stores in a second, durably: ten fogs, a hundred meters each, calls of as
 * many summaries as a fog sends at once. The floor opens the same frames and verifies the same
 * signatures on one thread and does nothing else.
 */
import { sql } from "drizzle-orm";
import { parseId } from "../../core/base/id.ts";
import { encodeSummary, summaryType, type WindowFigures } from "../../core/wire/summary.ts";
import { decodeSummariesAnswer, encodeUplinkCall } from "../../core/wire/uplink.ts";
import cloudSummary from "../../plugins/cloud-summary/mod.ts";
import { type Bench, type Figure, mediansOf, rateOf } from "./figure.ts";
import { openAll, readAll, sendAll } from "./_load.ts";
import { type BenchPeer, openPeer, type Prepared } from "./_peer.ts";
import { openRoleSite } from "./_role_site.ts";

export const cloudBenches: Readonly<Record<string, Bench>> = { "cloud.summaries": summaries };

const fogCount = 10;
const metersOfFog = 100;
/** What fits into a frame of any binding at this size. */
const perCall = 48;
const minute = 60_000;

async function summaries({ quick, note }: Parameters<Bench>[0]): Promise<Figure> {
  await using site = await openRoleSite(cloudSummary);
  const fogs: BenchFog[] = [];
  for (let i = 1; i <= fogCount; i++) {
    const options = { kind: "fog", purpose: "uplink", name: `fog-${i}` } as const;
    fogs.push(fogOf(await openPeer(site, options)));
  }
  const calls = quick ? 2 : 8;
  let sent = 0;
  const medians = await mediansOf(quick ? 2 : 9, async () => {
    const queues = fogs.map((fog) => fog.prepare(calls));
    const count = fogCount * calls * perCall;
    const floor = await rateOf(count, () => openAll(queues));
    let answers: Awaited<ReturnType<typeof sendAll>> = [];
    const value = await rateOf(count, async () => {
      answers = await sendAll(site.responderOf("uplink"), queues, 1);
    });
    readAll(fogs.map(({ peer }) => peer), answers, expectStored);
    sent += count;
    note(`${Math.round(value)} summaries/s, floor ${Math.round(floor)}`);
    return { floor, value };
  });
  const [found] = await site.db.read((q) =>
    q.all<{ n: number }>(sql`SELECT count(*) AS n FROM cloud_summary_summaries`)
  );
  if (found?.n !== sent) throw new Error(`Stored ${found?.n}, acknowledged ${sent}`);
  return { name: "cloud.summaries", unit: "summaries/s", ...medians };
}

interface BenchFog {
  readonly peer: BenchPeer;
  /** Calls that go on with the fog's chain, a minute a summary. */
  prepare(calls: number): Prepared[];
}

function fogOf(peer: BenchPeer): BenchFog {
  let seq = 0;
  let prev: Uint8Array | null = null;
  function statement(): Uint8Array {
    const start = 1_800_000_000_000 + seq * minute;
    seq++;
    const payload = encodeSummary({
      ...figures(peer, seq),
      ...{ fog_id: peer.id, epoch: 1, seq, revision: 0, prev },
      window: { start, end: start + minute },
    });
    const signed = peer.sign(summaryType, payload);
    prev = peer.suite.sha256(signed);
    return signed;
  }
  return {
    peer,
    prepare: (calls) =>
      Array.from({ length: calls }, () => {
        const statements = Array.from({ length: perCall }, statement);
        return peer.prepare(encodeUplinkCall({ call: "summaries", statements }));
      }),
  };
}

/** One reading of each meter. */
function figures({ id }: BenchPeer, seq: number): WindowFigures {
  const register = parseId("r1");
  const inWindow = { energy_Wh: 10 * seq, seqs: [[seq, seq]] as const };
  const meters = Array.from({ length: metersOfFog }, (_, i) => parseId(`${id}-m${i}`));
  return {
    num_meters: metersOfFog,
    n: metersOfFog,
    ...{ sum_power_W: 100 * seq, min_power_W: 1, max_power_W: seq },
    ...{ sum_voltage_mV: 230_000 * metersOfFog, min_voltage_mV: 230_000, max_voltage_mV: 230_000 },
    energy_Wh: 10 * metersOfFog,
    registers: new Map(meters.map((meter) => [meter, new Map([[register, inWindow]])])),
  };
}

function expectStored(body: Uint8Array): void {
  const { refused } = decodeSummariesAnswer(body);
  if (refused.length > 0) throw new Error(`Summaries were refused: ${JSON.stringify(refused)}`);
}
