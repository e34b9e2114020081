/**
 * How many readings a fog takes in a second, durably: sealed frames in, answers out, every reading on
 * disk before its answer. The floor opens the same frames and verifies the same signatures with the
 * runtime's own functions on one thread and does nothing else, so the ratio is what all the rest costs.
 */
import { sql } from "drizzle-orm";
import fogAggregator from "../../plugins/fog-aggregator/mod.ts";
import { type Bench, type Figure, mediansOf, rateOf } from "./figure.ts";
import { openAll, readAll, sendAll } from "./_load.ts";
import { expectAccepted, openMeters } from "./_meters.ts";
import { openRoleSite, type RoleSite } from "./_role_site.ts";
import { ratioOfCores } from "./_cores.ts";

export const fogBenches: Readonly<Record<string, Bench>> = {
  "fog.ingest.1": ingest("fog.ingest.1", { readings: 1, frames: 600 }),
  "fog.ingest.16": ingest("fog.ingest.16", { readings: 16, frames: 400 }),
  "fog.ingest.cores2": (options) => ratioOfCores("fog.ingest.cores2", "fog.ingest.1", options),
};

const meterCount = 20;
/** Frames that a meter has under way at the most: what the product's own channel allows. */
const inFlight = 48;

/** A bench of batches of this many readings, and this many frames from each meter per round. */
function ingest(name: string, work: { readings: number; frames: number }): Bench {
  return async ({ quick, note }): Promise<Figure> => {
    const { readings } = work;
    const frames = quick ? Math.ceil(work.frames / 10) : work.frames;
    await using site = await openRoleSite(fogAggregator);
    const meters = await openMeters(site, meterCount);
    const peers = meters.map(({ peer }) => peer);

    let sent = 0;
    const medians = await mediansOf(quick ? 2 : 9, async () => {
      const queues = meters.map((meter) => meter.prepare(frames, readings));
      const count = meterCount * frames * readings;
      const floor = await rateOf(count, () => openAll(queues));
      let answers: Awaited<ReturnType<typeof sendAll>> = [];
      const value = await rateOf(count, async () => {
        answers = await sendAll(site.responderOf("meter"), queues, inFlight);
      });
      readAll(peers, answers, (body) => expectAccepted(body, readings));
      sent += count;
      note(`${Math.round(value)} readings/s, floor ${Math.round(floor)}`);
      return { floor, value };
    });
    await expectStored(site, { readings: sent, batches: sent / readings });
    return { name, unit: "readings/s", ...medians };
  };
}

/** @throws Error unless the database holds what was acknowledged */
async function expectStored(
  { db }: RoleSite,
  expected: { readings: number; batches: number },
): Promise<void> {
  const [found] = await db.read((q) =>
    q.all<{ readings: number; batches: number }>(sql`SELECT
      (SELECT count(*) FROM fog_aggregator_readings) AS readings,
      (SELECT count(*) FROM fog_aggregator_batches) AS batches`)
  );
  if (found?.readings === expected.readings && found.batches === expected.batches) return;
  throw new Error(`Stored ${JSON.stringify(found)}, acknowledged ${JSON.stringify(expected)}`);
}
