/** The decoder against cborg: what one takes and gives, the other does, once the rules are the same. */
import assert from "node:assert/strict";
import { decode, encode, rfc8949EncodeOptions } from "cborg";
import fc from "fast-check";
import { equalBytes, fromHex } from "../base/bytes.ts";
import { type Cbor, CborError, decodeCbor, encodeCbor } from "./cbor.ts";

const key = fc.oneof(fc.string({ unit: "binary", maxLength: 6 }), fc.maxSafeInteger());
const { item } = fc.letrec<{ item: Cbor }>((tie) => ({
  item: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(
      ...[
        fc.constant(null),
        fc.boolean(),
        fc.maxSafeInteger(),
        fc.integer({ min: -300, max: 300 }),
      ],
      ...[fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 40 })],
    ),
    fc.array(tie("item"), { maxLength: 5 }),
    fc.array(fc.tuple(key, tie("item")), { maxLength: 5 }).map((entries) => new Map(entries)),
  ),
}));

/** What cborg makes of the bytes under our rules; undefined when it refuses them. */
function theirs(bytes: Uint8Array): unknown {
  try {
    const value = decode(bytes, {
      ...{ useMaps: true, strict: true, allowIndefinite: false, allowUndefined: false },
      ...{ allowInfinity: false, allowNaN: false, allowBigInt: false },
      rejectDuplicateMapKeys: true,
    });
    return equalBytes(encode(value, rfc8949EncodeOptions), bytes) ? value : undefined;
  } catch {
    return undefined;
  }
}

Deno.test("decodeCbor() undoes encodeCbor(), and agrees with cborg about every item", () => {
  fc.assert(
    fc.property(item, (value) => {
      const bytes = encodeCbor(value);
      assert.deepEqual(decodeCbor(bytes), value);
      assert.deepEqual(plain(theirs(bytes)), value);
    }),
    { numRuns: 500 },
  );
});

Deno.test("decodeCbor() takes what cborg takes of altered items, and nothing else", () => {
  let taken = 0;
  fc.assert(
    fc.property(
      item,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      (value, edits) => {
        const bytes = encodeCbor(value).slice();
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        const expected = theirs(bytes);
        let ours: unknown;
        try {
          ours = decodeCbor(bytes);
        } catch (error) {
          assert.ok(error instanceof CborError);
        }
        // floats and names of other kinds are no business of ours, cborg takes them
        if (ours === undefined) return assert.ok(expected === undefined || !isOurs(expected));
        taken++;
        assert.deepEqual(ours, plain(expected));
      },
    ),
    { numRuns: 3_000 },
  );
  assert.ok(taken > 100, `${taken} taken`);
});

Deno.test("decodeCbor() refuses every other spelling of an item", () => {
  const refused: Record<string, string> = {
    "": "nothing",
    "1800": "0 in two bytes",
    "190017": "23 in three",
    "1b0000000000000001": "1 in nine",
    "1b0020000000000000": "2^53",
    "3b001fffffffffffff": "-2^53",
    "5f4100ff": "an indefinite byte string",
    "9fff": "an indefinite array",
    "bfff": "an indefinite map",
    "a2616201616102": "unsorted keys",
    "a2616101616102": "a key twice",
    "a2616102010": "odd",
    "a14000": "a byte string as key",
    "a1f600": "null as key",
    "c000": "a tag",
    "f7": "undefined",
    "f90000": "a float",
    "fb3ff0000000000000": "1.0",
    "f820": "a simple value",
    "61ff": "no UTF-8",
    "62c080": "an overlong NUL",
    "63eda080": "a surrogate",
    "64f4908080": "above U+10FFFF",
    "61c3": "half a character",
    "0000": "two items",
    "8201": "half an array",
    "5bffffffffffffffff": "a string of 2^64 bytes",
    "9bffffffffffffffff": "an array of 2^64 items",
    "9a7fffffff": "an array of 2^31 items",
  };
  for (const [hex, what] of Object.entries(refused)) {
    if (hex.length % 2 === 1) continue;
    assert.throws(() => decodeCbor(fromHex(hex)), { name: "CborError", code: "malformed" }, what);
  }
});

Deno.test("decodeCbor() follows sixteen items into each other, and no further", () => {
  const nested = (depth: number) => fromHex("81".repeat(depth - 1) + "00");
  assert.doesNotThrow(() => decodeCbor(nested(16)));
  assert.throws(() => decodeCbor(nested(17)), { code: "malformed" });
  assert.throws(() => decodeCbor(nested(100_000)), { code: "malformed" });
  assert.throws(() => decodeCbor(fromHex("a100".repeat(100_000) + "00")), { code: "malformed" });
});

Deno.test("decodeCbor() gives byte strings of their own", () => {
  const bytes = encodeCbor([Uint8Array.of(1, 2, 3)]);
  const [inner] = decodeCbor(bytes) as Uint8Array[];
  bytes.fill(0);
  assert.deepEqual(inner, Uint8Array.of(1, 2, 3));
});

/** cborg hands out Buffers. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, plain(one)]));
  return value;
}

function isOurs(value: unknown): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0);
  if (Array.isArray(value)) return value.every(isOurs);
  if (!(value instanceof Map)) return true;
  return [...value].every(([key, one]) =>
    (typeof key === "string" || typeof key === "number") && isOurs(key) && isOurs(one)
  );
}
