/** The opening of a handshake: what it says in clear, and what is refused before any key is touched. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, toHex, utf8 } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { type Cbor, encodeCbor } from "../cbor.ts";
import { decodeOpening, encodeOpening, encodePrologue } from "./hello.ts";
import { type Hello, isPurpose, purposes } from "./hello.ts";

const hello: Hello = {
  ...{ purpose: "rpc", site: parseId("kiosk-7"), device: parseId("m-1"), versions: [2] },
};
const malformed = { name: "HelloError", code: "malformed" };
const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/).map(parseId);
const hellos: fc.Arbitrary<Hello> = fc.record({
  purpose: fc.constantFrom(...purposes),
  site: fc.oneof(fc.constant("" as const), id),
  device: id,
  versions: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 8 }),
}, { noNullPrototype: true });

function openingOf(prologue: Uint8Array, length = prologue.length): Uint8Array {
  return concat(Uint8Array.of(length >> 8, length & 255), prologue, utf8("noise"));
}

Deno.test("encodePrologue() writes the array of the specification", () => {
  const hex = [
    "86", // an array of six
    "686564676577617264", // "edgeward"
    "02",
    "63727063", // "rpc"
    "676b696f736b2d37", // "kiosk-7"
    "636d2d31", // "m-1"
    "8102", // versions
  ].join("");
  assert.equal(toHex(encodePrologue(hello)), hex);
  const opening = encodeOpening(fromHex(hex), utf8("noise"));
  assert.equal(toHex(opening), `001d${hex}6e6f697365`);
});

Deno.test("decodeOpening() gives the hello, its bytes as they came, and the Noise message", () => {
  fc.assert(fc.property(hellos, fc.uint8Array({ maxLength: 100 }), (hello, noiseMessage) => {
    const prologue = encodePrologue(hello);
    const opening = decodeOpening(encodeOpening(prologue, noiseMessage));
    assert.deepEqual(opening, { hello, prologue, noiseMessage });
  }));
});

Deno.test("decodeOpening() refuses a prologue with a member that it cannot have", () => {
  const good: Cbor[] = ["edgeward", 2, "rpc", "kiosk-7", "m-1", [2]];
  assert.deepEqual(decodeOpening(openingOf(encodeCbor(good))).hello, hello);
  const members: Cbor[][] = [
    ["Edgeward", "", 0, null, utf8("edgeward")],
    [1, 3, "2", null, [2]],
    ["", "RPC", "rpcs", "__proto__", 0, null],
    ["a/b", "#", "x".repeat(65), "ü", 0, null],
    ["", "a/b", "+", "x".repeat(65), "m-1\n", 0, null],
    [[], 2, null, [-1], [256], ["2"], [[2]], [2, null], Array(9).fill(2), new Map([[0, 2]])],
  ];
  for (const [at, wrong] of members.entries()) {
    for (const member of wrong) {
      const prologue = encodeCbor(good.with(at, member));
      assert.throws(() => decodeOpening(openingOf(prologue)), malformed, `${at}: ${member}`);
    }
  }
  for (const items of [good.slice(0, 5), [...good, 0], [], [good]]) {
    assert.throws(() => decodeOpening(openingOf(encodeCbor(items))), malformed);
  }
  const map = encodeCbor(new Map(good.map((item, i) => [i, item])));
  assert.throws(() => decodeOpening(openingOf(map)), malformed);
});

Deno.test("decodeOpening() refuses a prologue that is written in another way", () => {
  const hex = toHex(encodePrologue(hello));
  const others = [
    hex.replace(/^86/, "9806"), // a longer head
    hex.replace(/^86(.*)$/, "9f$1ff"), // of no definite length
    hex.replace(/8102$/, "811802"), // a longer number
    hex.replace(/8102$/, "81f94000"), // a float
    `${hex}00`, // something behind it
    hex.slice(0, -2),
    "",
  ];
  for (const other of others) {
    assert.throws(() => decodeOpening(openingOf(fromHex(other))), malformed, other);
  }
});

Deno.test("decodeOpening() refuses a length beyond the body, or above 512", () => {
  const prologue = encodePrologue(hello);
  const body = openingOf(prologue);
  for (const length of [prologue.length - 1, prologue.length + 1, 0, 513, 0xffff]) {
    assert.throws(() => decodeOpening(openingOf(prologue, length)), malformed, `${length}`);
  }
  for (let length = 0; length < 2 + prologue.length; length++) {
    assert.throws(() => decodeOpening(body.subarray(0, length)), malformed, `${length}`);
  }
  assert.equal(decodeOpening(body.subarray(0, 2 + prologue.length)).noiseMessage.length, 0);
  // all of the prologue is there, and nothing of what is promised beyond it
  const promising = openingOf(prologue, prologue.length + 1).subarray(0, 2 + prologue.length);
  assert.throws(() => decodeOpening(promising), malformed);
});

Deno.test("isPurpose() knows the purposes, and no property of a list", () => {
  for (const purpose of purposes) assert.ok(isPurpose(purpose));
  for (const other of ["", "length", "0", "Rpc", 0, null, undefined, ["rpc"]]) {
    assert.equal(isPurpose(other), false);
  }
});
