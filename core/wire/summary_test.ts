/**
 * What a summary says of registers must be what it has summed up: every reading once, in one list that
 * there is only one way to write.
 */
import assert from "node:assert/strict";
import { type Id, parseId } from "../base/id.ts";
import { type Cbor, decodeCbor, encodeCbor } from "../trust/cbor.ts";
import { decodeSummary, encodeSummary, type RegisterInWindow } from "./summary.ts";
import { type Summary, SummaryError } from "./summary.ts";

const [meter, other] = [parseId("m-1"), parseId("m-2")];
const [import_, export_] = ["1-8-0", "2-8-0"].map(parseId) as [Id, Id];
const summary: Summary = {
  ...{ fog_id: parseId("fog-1"), epoch: 1, seq: 1, window: { start: 0, end: 60_000 }, revision: 0 },
  ...{ num_meters: 2, n: 9, sum_power_W: 9, min_power_W: 1, max_power_W: 1, sum_voltage_mV: 9 },
  ...{ min_voltage_mV: 1, max_voltage_mV: 1, energy_Wh: 9, prev: null },
  registers: new Map<Id, Map<Id, RegisterInWindow>>([
    [meter, new Map([[import_, { energy_Wh: 7, seqs: [[0, 2], [5, 5]] }]])],
    [
      other,
      new Map([
        [import_, { energy_Wh: 0, seqs: [[8, 10]] }],
        [export_, { energy_Wh: 1, seqs: [[1, 1], [3, 3]] }],
      ]),
    ],
  ]),
};

/** The summary with other registers than it was written with. */
function withRegisters(registers: Cbor, change: Record<string, Cbor> = {}): Uint8Array {
  const map = decodeCbor(encodeSummary(summary)) as Map<string, Cbor>;
  return encodeCbor(new Map([...map, ["registers", registers], ...Object.entries(change)]));
}

Deno.test("decodeSummary() gives the numbers of the readings by meter and register", () => {
  assert.deepEqual(decodeSummary(encodeSummary(summary)), summary);
});

Deno.test("decodeSummary() refuses registers that do not hold all readings and meters", () => {
  const one = { "1-8-0": [7, 0, 8] };
  assert.doesNotThrow(() => decodeSummary(withRegisters({ m: one }, { num_meters: 1 })));
  const wrong: [Cbor, Record<string, Cbor>][] = [
    [{ m: one }, { num_meters: 2 }],
    [{ m: one }, { num_meters: 1, n: 8 }],
    [{ m: one }, { num_meters: 1, n: 10 }],
    [{ m: one, o: one }, { num_meters: 2 }],
    [{}, { num_meters: 0, n: 0 }],
    [{ m: {}, o: one }, { num_meters: 2 }],
  ];
  for (const [registers, change] of wrong) {
    const bytes = withRegisters(registers, change);
    assert.throws(() => decodeSummary(bytes), SummaryError, JSON.stringify([registers, change]));
  }
});

Deno.test("decodeSummary() refuses numbers that are in no order, touch, overlap or are none", () => {
  const wrong: Cbor[] = [
    ...[[], [7], [7, 0], [7, 0, 4, 6], "7", null, new Map()],
    ...[[7, 0, 3, 4, 8], [7, 0, 5, 5, 7], [7, 5, 8, 0, 4], [7, 8, 0], [7, -1, 7], [-1, 0, 8]],
    ...[[7, 0.5, 8.5], ["7", 0, 8], [7, "0", "8"], [7, 0, null], [null, 0, 8]],
  ];
  for (const register of wrong) {
    const bytes = withRegisters({ m: { "1-8-0": register } }, { num_meters: 1 });
    assert.throws(() => decodeSummary(bytes), SummaryError, JSON.stringify(register));
  }
  for (const registers of [{ "a b": { r: [7, 0, 8] } }, { m: { "a/b": [7, 0, 8] } }]) {
    const bytes = withRegisters(registers, { num_meters: 1 });
    assert.throws(() => decodeSummary(bytes), SummaryError, JSON.stringify(registers));
  }
});
