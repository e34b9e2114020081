/** Entries of the log: the encoding by hand against the encoder, and what is no entry. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeCbor } from "../trust/cbor.ts";
import { decodeLogEntry, encodeLogEntry, type LogEntry, maxEntry } from "./log_entry.ts";

const text = fc.string({ unit: "grapheme", maxLength: 30 });
const entry = fc.record({
  t: fc.maxSafeNat(),
  role: text,
  type: text,
  actor: text,
  subject: text,
  detail: fc.oneof(
    text,
    fc.string({ minLength: 200, maxLength: 300 }),
    fc.constant("x".repeat(3_000)),
  ),
  statement: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 })),
}, { noNullPrototype: true });

Deno.test("encodeLogEntry() gives what the encoder gives, and decodeLogEntry() reads it", () => {
  fc.assert(fc.property(entry, (one: LogEntry) => {
    const bytes = encodeLogEntry(one);
    assert.deepEqual(bytes, encodeCbor({ ...one }));
    assert.deepEqual(decodeLogEntry(bytes), one);
  }));
  const long = { ...fc.sample(entry, 1)[0]!, detail: "x".repeat(70_000) };
  assert.deepEqual(encodeLogEntry(long), encodeCbor({ ...long }));
});

Deno.test("decodeLogEntry() refuses what is too long, incomplete or more than an entry", () => {
  const one = { t: 1, role: "r", type: "t", actor: "a", subject: "s", detail: "{}" };
  for (
    const wrong of [
      one,
      { ...one, statement: new Uint8Array(31) },
      { ...one, statement: null, more: 1 },
      { ...one, statement: "hash" },
      { ...one, statement: null, detail: "x".repeat(maxEntry) },
    ]
  ) assert.throws(() => decodeLogEntry(encodeCbor(wrong)), { code: "malformed" });
});
