/** The packet meter against a model that sees the whole stream at once. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../base/bytes.ts";
import { packetMeter } from "./_packet_limit.ts";

const limit = 300;

/** A fixed header that announces `length` bytes, and a body that keeps to it. */
function packet(length: number): Uint8Array {
  const header = [0x30];
  let rest = length;
  do {
    header.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return concat(Uint8Array.from(header), new Uint8Array(length).fill(0xff));
}

/** What the meter says about a stream that is cut at the given places. */
function measure(stream: Uint8Array, cuts: number[]): number | undefined {
  const meter = packetMeter(limit);
  const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b)];
  for (const [i, start] of edges.entries()) {
    const said = meter(stream.subarray(start, edges[i + 1]));
    if (said !== undefined) return said;
  }
  return undefined;
}

Deno.test("packetMeter() passes any stream of small packets, cut anywhere", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 0, max: limit - 3 })),
    fc.array(fc.nat()),
    (lengths, cuts) => measure(concat(...lengths.map(packet)), cuts) === undefined,
  ));
});

Deno.test("packetMeter() names the first packet above the limit, cut anywhere", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 0, max: limit - 3 })),
    fc.integer({ min: limit - 2, max: 5_000 }),
    fc.array(fc.nat()),
    (lengths, large, cuts) => {
      const said = measure(concat(...lengths.map(packet), packet(large)), cuts);
      // The low digits of the length come first, so a part of it may exceed the limit already.
      return said !== undefined && said > limit && said <= large + 5;
    },
  ));
});

Deno.test("packetMeter() refuses a length field of more than four bytes", () => {
  assert.equal(packetMeter(limit)(Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0)), Infinity);
  assert.equal(packetMeter(limit)(Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0)), undefined);
});
