/** The bounds of what a fog may say in an uplink session, and of what it is answered. */
import assert from "node:assert/strict";
import { parseId } from "../base/id.ts";
import { type Cbor, encodeCbor } from "../trust/cbor.ts";
import {
  decodeKnownRegisters,
  decodeUplinkCall,
  encodeKnownRegisters,
  maxRegisters,
  UplinkError,
} from "./uplink.ts";

Deno.test("decodeUplinkCall() refuses places that none can be, and reasons that are too long", () => {
  const link = { epoch: 1, seq: 1, hash: new Uint8Array(32) };
  const after = [0, 0, new Uint8Array(32)];
  const lost = { call: "lost", after, ...link, reason: "x".repeat(64) };
  const wrong: Record<string, Cbor>[] = [
    ...[{ epoch: 0 }, { seq: 0 }, { reason: "x".repeat(65) }, { after: [0, 0] }].map((bad) => ({
      ...lost,
      ...bad,
    })),
    ...[[], [1], [1, 2, 3], [2 ** 31 + 1, 1], [1, -1], [0.5, 1], ["a", "b"], { epoch: 1, seq: 1 }]
      .map((upto) => ({ call: "head", upto })),
    ...[[], ["m"], ["m", "r", "s"], ["m", 1], ["m", "a/b"], ["", "r"], "m"]
      .map((after) => ({ call: "registers", after })),
  ];
  assert.doesNotThrow(() => decodeUplinkCall(encodeCbor(lost)));
  for (const call of wrong) {
    assert.throws(() => decodeUplinkCall(encodeCbor(call)), UplinkError, JSON.stringify(call));
  }
});

Deno.test("decodeKnownRegisters() refuses more than a page, and entries that are none", () => {
  const [meter, register] = [parseId("m-1"), parseId("1-8-0")];
  const page = Array(maxRegisters).fill({ meter, register, seq: 0, energy_Wh: 0 });
  assert.equal(decodeKnownRegisters(encodeKnownRegisters(page)).length, maxRegisters);
  const tooMany = encodeKnownRegisters([...page, page[0]!]);
  assert.throws(() => decodeKnownRegisters(tooMany), UplinkError);
  const wrong: Cbor[] = [
    ...[[], ["m", "r", 1], ["m", "r", 1, 2, 3], ["a b", "r", 1, 2], ["m", "", 1, 2], "m", null],
    ...[["m", "r", -1, 2], ["m", "r", 1, -2], ["m", "r", "1", 2], ["m", "r", 1, 0.5]],
  ];
  for (const entry of wrong) {
    assert.throws(() => decodeKnownRegisters(encodeCbor([entry])), UplinkError, `${entry}`);
  }
});
