/**
 * How many readings a fog takes in a second, durably: sealed frames in, answers out, every reading on
 * disk before its answer. The floor opens the same frames and verifies the same signatures with the
 * runtime's own functions and does nothing else, so the ratio is what all the rest costs.
 */
import { sql } from "drizzle-orm";
import type { Responder } from "../../core/services/sessions/mod.ts";
import { type Bench, type Figure, mediansOf, rateOf } from "./figure.ts";
import { type FogSite, openFogSite } from "./_fog_site.ts";
import { type Meter, openMeter, type Prepared } from "./_meter.ts";
import { nativeOpen, nativeVerify } from "./_native.ts";

export const fogBenches: Readonly<Record<string, Bench>> = {
  "fog.ingest.1": ingest("fog.ingest.1", { readings: 1, frames: 600 }),
  "fog.ingest.16": ingest("fog.ingest.16", { readings: 16, frames: 400 }),
};

const meterCount = 20;
/** Frames that a meter has under way at the most: what the product's own channel allows. */
const inFlight = 48;

/** A bench of batches of this many readings, and this many frames from each meter per round. */
function ingest(name: string, work: { readings: number; frames: number }): Bench {
  return async ({ quick, note }): Promise<Figure> => {
    const { readings } = work;
    const frames = quick ? Math.ceil(work.frames / 10) : work.frames;
    await using site = await openFogSite();
    const meters: Meter[] = [];
    for (let i = 0; i < meterCount; i++) meters.push(await openMeter(site, `meter-${i + 1}`));

    let sent = 0;
    const medians = await mediansOf(quick ? 2 : 9, async () => {
      const queues = meters.map((meter) => meter.prepare(frames, readings));
      const count = meterCount * frames * readings;
      const floor = await rateOf(count, () => {
        for (const queue of queues) {
          for (const { sealed, signed } of queue) {
            nativeOpen(sealed);
            nativeVerify(signed);
          }
        }
      });
      const answers = queues.map((): (Uint8Array | null)[] => []);
      const value = await rateOf(count, async () => {
        await Promise.all(queues.map((queue, i) => drive(site.responder, queue, answers[i]!)));
      });
      answers.forEach((ofMeter, i) => {
        for (const answer of ofMeter) meters[i]!.expectAccepted(answer, readings);
      });
      sent += count;
      note(`${Math.round(value)} readings/s, floor ${Math.round(floor)}`);
      return { floor, value };
    });
    await expectStored(site, { readings: sent, batches: sent / readings });
    return { name, unit: "readings/s", ...medians };
  };
}

/** Sends one meter's frames, the next as soon as an answer has made room. */
async function drive(
  responder: Responder,
  queue: readonly Prepared[],
  answers: (Uint8Array | null)[],
): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (next < queue.length) answers.push(await responder.receive(queue[next++]!.frame));
  }));
}

/** @throws Error unless the database holds what was acknowledged */
async function expectStored(
  { db }: FogSite,
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
