/** Messages that are too large, in a stream that is cut anywhere. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../base/bytes.ts";
import { withoutLargeMessages } from "./_large_messages.ts";
import { publishPacket } from "./_raw_peer.ts";

const limit = 300;

/** What is left of a stream that is cut at the given places. */
function passed(stream: Uint8Array, cuts: readonly number[]): Uint8Array {
  const follow = withoutLargeMessages(limit);
  const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b)];
  return concat(...edges.flatMap((start, i) => follow(stream.subarray(start, edges[i + 1]))));
}

Deno.test("withoutLargeMessages() empties what is too large and alters nothing else, cut anywhere", () => {
  const message = fc.record({
    topic: fc.stringMatching(/^[a-z/]{1,200}$/),
    length: fc.integer({ min: 0, max: 20_000 }),
    id: fc.option(fc.integer({ min: 1, max: 65_535 })),
    retain: fc.boolean(),
  });
  const stream = fc.array(message, { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(stream, fc.array(fc.nat()), (messages, cuts) => {
    const packets = messages.map(({ topic, length, id, retain }) => {
      const options = { retain, ...(id !== null && { id }) };
      const whole = publishPacket(topic, new Uint8Array(length).fill(0xb2), options);
      const empty = publishPacket(topic, new Uint8Array(), options);
      return { whole, left: whole.length > limit ? empty : whole };
    });
    const came = passed(concat(...packets.map(({ whole }) => whole)), cuts);
    assert.deepEqual(came, concat(...packets.map(({ left }) => left)));
  }));
});

Deno.test("withoutLargeMessages() refuses what is too large and no message, and what has no end", () => {
  const follow = (...bytes: number[]) => () => passed(Uint8Array.from(bytes), []);
  assert.throws(follow(0x90, 0xff, 0x7f), /a packet of 16386 bytes/);
  assert.throws(follow(0x30, 0x80, 0x80, 0x80, 0x80, 0), /whose length is none/);
  assert.throws(follow(0x30, 0xff, 0x7f, 0xff, 0xff), /without an end/);
  assert.equal(follow(0x90, 0x03, 0, 1, 0)().length, 5);
});
