/**
 * What a fog does not believe: batches that their meter has not signed, and readings that cannot be
 * true. An authentic meter is told the reason, the reason is counted, and nothing of it is stored.
 */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { decodeReceipt, readingsType, type Receipt } from "../../core/wire/reading.ts";
import { doors } from "./_doors.ts";
import {
  batch,
  connectedMeter,
  type Meter,
  minute,
  reading,
  readingRefusals,
  refusedAs,
  sessionRefusals,
  startFog,
  storedAt,
} from "./_fog.ts";
import { suite } from "./_raw_peer.ts";

for (const [name, openDoor] of doors) {
  Deno.test(`a fog refuses a batch that is not its meter's own, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await connectedMeter(fog, "m-1", openDoor);
    await using _door = meter.door;
    const { id, peer: { signer } } = meter;
    const readings = [reading(1, fog.clock())];
    const good = batch(id, readings, signer);
    const forged = good.slice();
    forged[good.length - 1]! ^= 1;
    const cases: [string, Uint8Array][] = [
      ["wrong_key", batch(id, readings, suite.ed25519.signer())],
      ["forged", forged],
      ["wrong_meter", batch(parseId("m-2"), readings, signer)],
      ["wrong_type", signStatement(suite, signer, "application/edgeward-x+cbor", good)],
      ["malformed", signStatement(suite, signer, readingsType, good)],
      ["malformed", batch(id, [], signer)],
      ["malformed", batch(id, Array(513).fill(readings[0]), signer)],
      ["malformed", good.subarray(1)],
      ["malformed", new Uint8Array()],
    ];
    for (const [reason, statement] of cases) {
      await refusedAs(fog, reason, async () => {
        assert.equal(await answered(meter, statement), reason);
      });
    }
    assert.deepEqual(await receipt(meter, good), taken(1));
  });

  Deno.test(`a fog refuses readings that cannot be true, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await connectedMeter(fog, "m-1", openDoor);
    await using _door = meter.door;
    const { id, peer: { signer } } = meter;
    const now = fog.clock();
    const stored = await storedAt(fog);
    const cases = [
      ["future", reading(1, now + 60 * minute)],
      ["implausible", reading(1, now, { power_W: 1_000_001 })],
      ["implausible", reading(1, now, { power_W: -1_000_001 })],
      ["implausible", reading(1, now, { voltage_mV: 1_000_001 })],
    ] as const;
    const expected: Record<string, number> = {};
    // the last one tells the time at the meter: were that ahead, the fog would doubt its own clock
    const last = reading(2, now, { power_W: 1_000_001 });
    for (const [reason, wrong] of cases) {
      const refused = [{ seq: 1, reason }, { seq: 2, reason: "implausible" }] as const;
      const answer = await receipt(meter, batch(id, [wrong, last], signer));
      assert.deepEqual(answer, { ...taken(0), refused });
      for (const { reason } of refused) expected[reason] = (expected[reason] ?? 0) + 1;
      assert.deepEqual(await readingRefusals(fog), expected);
      assert.deepEqual(await storedAt(fog), stored);
    }
    // what is at the bounds is believed, and in good company what is wrong is still refused
    const mixed = [
      reading(1, now, { power_W: -1_000_000 }),
      reading(2, now + 60 * minute),
      reading(3, now + minute, { power_W: 1_000_000, voltage_mV: 1_000_000 }),
    ];
    assert.deepEqual(await receipt(meter, batch(id, mixed, signer)), {
      ...taken(2),
      refused: [{ seq: 2, reason: "future" }],
    });
    const seqs = await fog.rows("SELECT seq FROM fog_aggregator_readings ORDER BY seq");
    assert.deepEqual(seqs, [{ seq: 1 }, { seq: 3 }]);
    assert.deepEqual(await sessionRefusals(fog), {});
  });

  Deno.test(`a fog refuses a reading that contradicts an earlier one, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await connectedMeter(fog, "m-1", openDoor);
    await using _door = meter.door;
    const { id, peer: { signer } } = meter;
    const first = reading(1, fog.clock());
    assert.deepEqual(await receipt(meter, batch(id, [first], signer)), taken(1));
    const stored = await fog.rows("SELECT * FROM fog_aggregator_readings");
    const other = batch(id, [{ ...first, power_W: 501 }], signer);
    for (let times = 1; times <= 2; times++) {
      assert.deepEqual(await receipt(meter, other), {
        ...taken(0),
        refused: [{ seq: 1, reason: "conflict" }],
      });
      assert.deepEqual(await readingRefusals(fog), { conflict: times });
    }
    assert.deepEqual(await fog.rows("SELECT * FROM fog_aggregator_readings"), stored);
    // the evidence is kept, once
    const quarantine = await fog.rows(
      "SELECT seq, hex(statement) AS statement FROM fog_aggregator_quarantine",
    );
    assert.deepEqual(quarantine, [{ seq: 1, statement: other.toHex().toUpperCase() }]);
    // and the honest repetition is still a duplicate
    const again = { ...taken(0), duplicates: 1 };
    assert.deepEqual(await receipt(meter, batch(id, [first], signer)), again);
  });
}

function taken(accepted: number): Receipt {
  return { accepted, duplicates: 0, refused: [] };
}

/** What a call with this statement is answered with: a receipt's bytes, or the code of a refusal. */
async function answered(
  { session, door }: Meter,
  statement: Uint8Array,
): Promise<Uint8Array | string> {
  return session.answer(await door.exchange(session.call(statement)));
}

async function receipt(meter: Meter, statement: Uint8Array): Promise<Receipt> {
  const answer = await answered(meter, statement);
  if (typeof answer === "string") throw new Error(`Expected a receipt, got a refusal: ${answer}`);
  return decodeReceipt(answer);
}
