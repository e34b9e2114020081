/** The strict reader: what it takes it reads as the engine does, and it takes no second spelling of a name. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "./bytes.ts";
import { type Json, readObject } from "./json.ts";

function read(text: string, depth = 16): unknown {
  const members = readObject(utf8(text), depth);
  return Object.fromEntries(Array.from(members, ([name, { value }]) => [name, plain(value)]));
}

/** With the engine's own prototypes, for comparisons. */
function plain(value: Json): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  assert.equal(Object.getPrototypeOf(value), null);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

const value = fc.jsonValue({ maxDepth: 6 })
  .filter((value) => !JSON.stringify(value).includes('"__proto__"'))
  // the engine writes -0 as 0, and doubles above 2^53 as whole numbers
  .filter((value) => !/[^.\d]\d{16,}|:-0\b/.test(JSON.stringify({ value })));

Deno.test("readObject() reads what the engine writes, with any white space", () => {
  fc.assert(fc.property(value, fc.constantFrom(0, 1, "\t", "\r\n "), (value, space) => {
    const text = JSON.stringify({ value }, null, space);
    assert.deepEqual(read(text), JSON.parse(text));
  }));
});

Deno.test("readObject() reads what the engine reads, or refuses it", () => {
  const character = fc.constantFrom(...'{}[]":,\\/ \n019.-+eEtrufalsn"""aux\u0000é€𝄞');
  const text = fc.array(character, { maxLength: 24 }).map((parts) => `{"a":${parts.join("")}}`);
  let taken = 0;
  fc.assert(
    fc.property(text, (text) => {
      let found: unknown;
      try {
        found = read(text);
      } catch (error) {
        assert.ok(error instanceof SyntaxError);
        return void assert.match(error.message, /^Cannot read JSON: [ -~]+$/);
      }
      taken++;
      assert.deepEqual(found, JSON.parse(text));
    }),
    { numRuns: 20_000 },
  );
  assert.ok(taken > 20, `${taken} taken`);
});

Deno.test("readObject() throws nothing but SyntaxError, whatever the bytes are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      assert.throws(() => readObject(Uint8Array.of(0x7b, 0x22, ...bytes), 16), SyntaxError);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("readObject() refuses what two readers could understand differently", () => {
  const refused = [
    ...['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"b":{"a":1,"a":2}}', '{"b":[{"a":1,"a":2}]}'],
    ...['{"__proto__":1}', '{"a":{"__proto__":1}}', '{"a":{"\\u005f_proto__":1}}'],
    ...['{"a":9007199254740992}', '{"a":-9007199254740992}', '{"a":1e999}', '{"a":-1e999}'],
    ...['{"a":"\\ud834"}', '{"a":"\\udd1e"}', '{"a":"\\udd1e\\ud834"}', '{"\\ud834":1}'],
    ...['{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":1e}', '{"a":--1}', '{"a":NaN}'],
    ...['{"a":"\n"}', '{"a":"\\x41"}', "{'a':1}", "{a:1}", '{"a":1,}', '{"a":[1,]}', "{,}"],
    ...["", "1", "[]", "null", " {}", "\ufeff{}", "{}{}", '{"a":1}\u00a0', "{", '{"a', '{"a\\"}'],
  ];
  for (const text of refused) {
    const ours = /^Cannot read JSON: [a-zA-Z0-9 ,'{:"-]+$/; // the engine's messages quote the text
    assert.throws(() => read(text), { name: "SyntaxError", message: ours }, text);
  }
  for (const name of ["constructor", "toString", "hasOwnProperty", ""]) {
    assert.deepEqual(read(`{"a":{"${name}":1}}`), { a: { [name]: 1 } });
  }
});

Deno.test("readObject() refuses bytes that are not UTF-8", () => {
  const invalid = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [
    0xe2,
    0x82,
  ]];
  for (const bytes of invalid) {
    const object = Uint8Array.of(...utf8('{"a":"'), ...bytes, ...utf8('"}'));
    assert.throws(() => readObject(object, 16), SyntaxError, String(bytes));
  }
  assert.deepEqual(read('{"a":"%41%"}'), { a: "%41%" });
});

Deno.test("readObject() counts how deep it goes, and stops before the stack does", () => {
  for (const depth of [1, 2, 16]) {
    const nested = (n: number) => '{"a":'.repeat(n) + "1" + "}".repeat(n);
    const arrays = (n: number) => `{"a":${"[".repeat(n - 1)}${"]".repeat(n - 1)}}`;
    read(nested(depth), depth);
    assert.throws(() => read(nested(depth + 1), depth), SyntaxError);
    if (depth > 1) read(arrays(depth), depth);
    assert.throws(() => read(arrays(depth + 1), depth), SyntaxError);
  }
  assert.throws(() => read(`{"a":${"[".repeat(60_000)}`), SyntaxError);
});
