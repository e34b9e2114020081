/**
 * Every parser of the wire: what was encoded comes back, and whatever else comes is refused with the
 * parser's own error, never with another one. Many more inputs are in parsers_fuzz_test.ts.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, utf8 } from "../base/bytes.ts";
import type { Id } from "../base/id.ts";
import { type Range, sizeOf } from "../base/ranges.ts";
import { type Cbor, CborError, decodeCbor, encodeCbor } from "../trust/cbor.ts";
import {
  CallError,
  decodeEnrolAnswer,
  decodeEnrolRequest,
  decodeMessage,
  encodeEnrolAnswer,
  encodeEnrolRequest,
  encodeMessage,
  type Message,
} from "../trust/session/call.ts";
import { type Enrolment, EnrolmentError, enrolmentFromJson, enrolmentToJson } from "./enrolment.ts";
import { type Batch, BatchError, decodeBatch, decodeReceipt } from "./reading.ts";
import { encodeBatch, encodeReceipt, readingRefusals, type Receipt } from "./reading.ts";
import { decodeSummary, encodeSummary, type Summary, SummaryError } from "./summary.ts";
import {
  decodeHead,
  decodeKnownRegisters,
  decodeSummariesAnswer,
  decodeUplinkCall,
  encodeHead,
  encodeKnownRegisters,
  encodeSummariesAnswer,
  encodeUplinkCall,
  type Head,
  type KnownRegister,
  type SummariesAnswer,
  type UplinkCall,
  UplinkError,
} from "./uplink.ts";

const plain = { noNullPrototype: true };
const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/) as fc.Arbitrary<Id>;
const int = (min: number, max: number) => fc.integer({ min, max });
const safe = Number.MAX_SAFE_INTEGER;
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const body = fc.uint8Array({ maxLength: 64 });

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constantFrom("call", "enrol"), body }, plain),
  fc.record({ kind: fc.constant("answer"), to: int(0, safe), body }, plain),
  fc.record(
    {
      kind: fc.constant("refusal"),
      to: int(0, safe),
      code: fc.stringMatching(/^[a-z0-9_.]{1,64}$/),
    },
    plain,
  ),
) as fc.Arbitrary<Message>;

const batch: fc.Arbitrary<Batch> = fc.record({
  meter: id,
  register: id,
  readings: fc.array(
    fc.record({
      seq: int(0, safe),
      t: int(0, 2 ** 48),
      energy_Wh: int(0, 2 ** 50),
      power_W: int(-(2 ** 40), 2 ** 40),
      voltage_mV: int(0, 2 ** 40),
      flags: int(0, 15),
    }, plain),
    { minLength: 1, maxLength: 5 },
  ),
}, plain);

const receipt: fc.Arbitrary<Receipt> = fc.record({
  accepted: int(0, 512),
  duplicates: int(0, 512),
  refused: fc.array(
    fc.record({ seq: int(0, safe), reason: fc.constantFrom(...readingRefusals) }, plain),
    { maxLength: 5 },
  ),
}, plain);

const figure = int(-safe, safe);
const positive = int(0, safe);
const seqs = fc.array(fc.tuple(int(2, 99), int(0, 99)), { minLength: 1, maxLength: 3 })
  .map((steps) => {
    let at = -2;
    return steps.map(([gap, length]): Range => [at + gap, at = at + gap + length]);
  });
const registers = mapOf(mapOf(fc.record({ energy_Wh: positive, seqs }, plain)));
const summary: fc.Arbitrary<Summary> = fc.record({
  ...{ fog_id: id, epoch: int(1, 2 ** 31), seq: int(1, safe), revision: int(0, 2 ** 31) },
  window: fc.tuple(int(0, 2 ** 47), int(1, 2 ** 47)).map(([start, length]) => {
    return { start, end: start + length };
  }),
  ...{ registers, sum_power_W: figure, min_power_W: figure, max_power_W: figure },
  ...{ sum_voltage_mV: positive, min_voltage_mV: positive, max_voltage_mV: positive },
  energy_Wh: positive,
  prev: fc.option(bytes(32)),
}, plain).map((rest) => ({
  ...rest,
  num_meters: rest.registers.size,
  n: sizeOf([...rest.registers.values()].flatMap((of) => [...of.values()].flatMap((r) => r.seqs))),
}));

/** A small map from identifiers, never empty. */
function mapOf<T>(value: fc.Arbitrary<T>): fc.Arbitrary<ReadonlyMap<Id, T>> {
  return fc.array(fc.tuple(id, value), { minLength: 1, maxLength: 3 }).map((all) => new Map(all));
}

const place = fc.record({ epoch: int(0, 2 ** 31), seq: int(0, safe) }, plain);
const head: fc.Arbitrary<Head> = fc.record(
  { epoch: int(0, 2 ** 31), seq: int(0, safe), hash: bytes(32), t: int(0, 2 ** 48) },
  plain,
);
const upto = fc.record({ epoch: int(1, 2 ** 31), seq: int(1, safe), hash: bytes(32) }, plain);
const calls = {
  head: fc.record({ call: fc.constant("head" as const), upto: place }, {
    ...plain,
    requiredKeys: ["call"],
  }),
  summaries: fc.record(
    { call: fc.constant("summaries" as const), statements: fc.array(body) },
    plain,
  ),
  lost: fc.record(
    { call: fc.constant("lost" as const), after: upto, upto, reason: fc.string({ maxLength: 64 }) },
    plain,
  ),
  registers: fc.record({ call: fc.constant("registers" as const), after: fc.tuple(id, id) }, {
    ...plain,
    requiredKeys: ["call"],
  }),
} as const;
const uplinkCall: fc.Arbitrary<UplinkCall> = fc.oneof(...Object.values(calls));
const knownRegisters: fc.Arbitrary<KnownRegister[]> = fc.array(
  fc.record({ meter: id, register: id, seq: positive, energy_Wh: positive }, plain),
  { maxLength: 5 },
);
const summariesAnswer: fc.Arbitrary<SummariesAnswer> = fc.record({
  head,
  refused: fc.array(fc.record({ index: fc.nat(63), reason: fc.string() }, plain)),
}, plain);
const enrolment: fc.Arbitrary<Enrolment> = fc.record({
  ...{ code: bytes(16), site: id, noiseKey: bytes(32), expires: int(0, 4_000_000_000_000) },
  url: fc.constantFrom("https://a.example", "http://[::1]:80", "mqtts://b", "mqtt://c:1883"),
}, plain);

interface Parser {
  readonly parse: (bytes: Uint8Array) => unknown;
  readonly error: new (...args: never[]) => Error;
  /** Values that it gives, and how they are written. */
  readonly value: fc.Arbitrary<unknown>;
  readonly encode: (value: never) => Uint8Array;
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const parsers: Record<string, Parser> = {
  decodeMessage: { parse: decodeMessage, error: CallError, value: message, encode: encodeMessage },
  decodeBatch: { parse: decodeBatch, error: BatchError, value: batch, encode: encodeBatch },
  decodeReceipt: { parse: decodeReceipt, error: BatchError, value: receipt, encode: encodeReceipt },
  decodeSummary: {
    parse: decodeSummary,
    error: SummaryError,
    value: summary,
    encode: encodeSummary,
  },
  decodeHead: { parse: decodeHead, error: UplinkError, value: head, encode: encodeHead },
  decodeUplinkCall: {
    ...{ parse: decodeUplinkCall, error: UplinkError, value: uplinkCall },
    encode: encodeUplinkCall,
  },
  decodeSummariesAnswer: {
    ...{ parse: decodeSummariesAnswer, error: UplinkError, value: summariesAnswer },
    encode: encodeSummariesAnswer,
  },
  decodeKnownRegisters: {
    ...{ parse: decodeKnownRegisters, error: UplinkError, value: knownRegisters },
    encode: encodeKnownRegisters,
  },
  decodeEnrolRequest: {
    ...{ parse: decodeEnrolRequest, error: CborError, value: bytes(32) },
    encode: encodeEnrolRequest,
  },
  decodeEnrolAnswer: {
    ...{ parse: decodeEnrolAnswer, error: CborError },
    value: fc.record({ site: fc.oneof(id, fc.string()) }, plain),
    encode: ({ site }: { site: string }) => encodeEnrolAnswer(site),
  },
  enrolmentFromJson: {
    parse: (bytes) => enrolmentFromJson(text(bytes)),
    error: EnrolmentError,
    value: enrolment,
    encode: (value: Enrolment) => utf8(JSON.stringify(enrolmentToJson(value))),
  },
};

for (const [name, { parse, error, value, encode }] of Object.entries(parsers)) {
  Deno.test(`${name}() gives back what was encoded`, () => {
    fc.assert(fc.property(value, (value) => {
      assert.deepEqual(parse(encode(value as never)), value);
    }));
  });

  Deno.test(`${name}() throws only its own error, at anything`, () => {
    const encoded = value.map((value) => encode(value as never));
    const truncated = fc.tuple(encoded, fc.nat()).map(([whole, n]) => {
      return whole.subarray(0, n % whole.length);
    });
    const altered = fc.tuple(encoded, fc.nat(), int(1, 255)).map(([whole, n, flip]) => {
      return whole.map((byte, i) => i === n % whole.length ? byte ^ flip : byte);
    });
    const longer = fc.tuple(encoded, fc.uint8Array({ minLength: 1, maxLength: 3 }))
      .map((parts) => concat(...parts));
    const random = fc.uint8Array({ maxLength: 200 });
    const item = fc.anything({ withNullPrototype: false, values: [fc.string(), int(-9, 9), body] });
    const other = item.map((item) => tryEncode(item as Cbor));
    fc.assert(
      fc.property(fc.oneof(random, truncated, altered, longer, other), (input) => {
        const thrown = errorOf(() => parse(input));
        assert.ok(thrown === null || thrown instanceof error, `${thrown}`);
      }),
      { numRuns: 1_000 },
    );
  });

  Deno.test(`${name}() throws its own error at promises of more than there is`, () => {
    const heads = ["5bffffffffffffffff", "5b001fffffffffffff", "9affffffff", "9b001fffffffffffff"];
    heads.push(
      "baffffffff",
      "bb001fffffffffffff",
      "7affffffff",
      "81".repeat(20_000),
      "c2".repeat(999),
    );
    for (const hex of heads) assert.throws(() => parse(fromHex(hex)), error, hex.slice(0, 20));
  });
}

/** Valid maps of each parser of a map, as a general decoder sees them. */
const maps: [name: string, encoded: Uint8Array][] = [
  ...["decodeBatch", "decodeReceipt", "decodeSummary", "decodeHead", "decodeSummariesAnswer"]
    .concat("decodeEnrolRequest", "decodeEnrolAnswer")
    .map((name) => [name, parsers[name]!.value] as const),
  ...Object.values(calls).map((call) => ["decodeUplinkCall", call] as const),
].map(([name, values]) => {
  const whole = fc.sample(values, { numRuns: 9, seed: 1 }) as object[];
  const longest = whole.reduce((a, b) => Object.keys(b).length > Object.keys(a).length ? b : a);
  return [name, parsers[name]!.encode(longest as never)];
});

Deno.test("parsers of maps refuse unknown members and missing ones", () => {
  for (const [name, encoded] of maps) {
    const { parse, error } = parsers[name]!;
    const map = decodeCbor(encoded) as Map<string, Cbor>;
    assert.doesNotThrow(() => parse(encoded), name);
    for (const extra of ["", "x", "__proto__"]) {
      const more = encodeCbor(new Map([...map, [extra, 0]]));
      assert.throws(() => parse(more), error, `${name} with ${extra}`);
    }
    for (const key of map.keys()) {
      if (map.has("call") && (key === "upto" || key === "after")) continue; // these may be missing
      const less = encodeCbor(new Map([...map].filter(([other]) => other !== key)));
      assert.throws(() => parse(less), error, `${name} without ${key}`);
    }
  }
});

Deno.test("parsers of maps refuse members of another type, floats and integers out of range", () => {
  const wrong: Cbor[] = [null, true, "no identifier", -1, 0.5, [], new Map(), Uint8Array.of(1)];
  for (const [name, encoded] of maps) {
    const { parse, error } = parsers[name]!;
    const map = decodeCbor(encoded) as Map<string, Cbor>;
    for (const [key, value] of map) {
      for (const other of wrong) {
        if (isAllowed(key, value, other)) continue;
        const altered = encodeCbor(new Map([...map, [key, other]]));
        assert.throws(() => parse(altered), error, `${name}: ${key} = ${String(other)}`);
      }
      if (typeof value !== "number") continue;
      for (const hex of ["fb3ff0000000000000", "f93c00", "1b0020000000000000"]) {
        assert.throws(() => parse(replaced(map, key, fromHex(hex))), error, `${name}: ${key}`);
      }
    }
  }
});

Deno.test("decodeBatch() refuses a batch of none, of too many, and numbers that none can be", () => {
  const good = [1, 2, 3, 4, 5, 0];
  const batchOf = (...readings: Cbor[]) => encodeCbor({ meter: "m", register: "r", readings });
  assert.equal(decodeBatch(batchOf(good)).readings.length, 1);
  assert.equal(decodeBatch(batchOf(...Array(512).fill(good))).readings.length, 512);
  const bad: Cbor[][] = [[], Array(513).fill(good), [good.slice(1)], [[...good, 0]], [7], [{}]];
  const wrong: [number, number[]][] = [
    ...[[0, [-1]], [1, [-1, 2 ** 48 + 1]], [2, [-1, 2 ** 50 + 1]]] as [number, number[]][],
    ...[[3, [-(2 ** 40) - 1, 2 ** 40 + 1]], [4, [-1, 2 ** 40 + 1]]] as [number, number[]][],
    [5, [-1, 16]],
  ];
  for (const [at, values] of wrong) {
    for (const value of [...values, 0.5]) bad.push([good.with(at, value)]);
  }
  for (const readings of bad) {
    assert.throws(() => decodeBatch(batchOf(...readings)), BatchError, JSON.stringify(readings[0]));
  }
  for (const meter of ["", "a/b", "x".repeat(65), "ü"]) {
    const batch = encodeCbor({ meter, register: "r", readings: [good] });
    assert.throws(() => decodeBatch(batch), BatchError, meter);
  }
});

const nowhere = { epoch: 0, seq: 0, hash: new Uint8Array(32), t: 0 };

Deno.test("parsers of lists refuse more in an entry than belongs there", () => {
  const receipt = { accepted: 0, duplicates: 0, refused: [[1, "future", "and more"]] };
  assert.throws(() => decodeReceipt(encodeCbor(receipt)), BatchError);
  const answer = { ...nowhere, refused: [[1, "gap", "more"]] };
  assert.throws(() => decodeSummariesAnswer(encodeCbor(answer)), UplinkError);
});

Deno.test("parsers of lists refuse entries of another type", () => {
  for (const statement of ["text", 1, null, [], [Uint8Array.of(1)]]) {
    const call = encodeCbor({ call: "summaries", statements: [Uint8Array.of(1), statement] });
    assert.throws(() => decodeUplinkCall(call), UplinkError, `${statement}`);
  }
  for (
    const entry of ["gap", 1, null, [], [1], ["gap", 1], [1, 2], [null, "future"], [-0.5, "gap"]]
  ) {
    const refused = [entry];
    const answer = { ...nowhere, refused };
    assert.throws(() => decodeSummariesAnswer(encodeCbor(answer)), UplinkError, `${entry}`);
    const receipt = { accepted: 0, duplicates: 0, refused };
    assert.throws(() => decodeReceipt(encodeCbor(receipt)), BatchError, `${entry}`);
  }
});

Deno.test("enrolmentFromJson() takes text where text belongs, and nothing that can be read as such", () => {
  const json = enrolmentToJson(fc.sample(enrolment, { numRuns: 1, seed: 2 })[0]!);
  assert.doesNotThrow(() => enrolmentFromJson(JSON.stringify(json)));
  for (const [key, value] of Object.entries(json)) {
    for (const other of [[value], [...value], { value }, null, 1, undefined]) {
      const altered = JSON.stringify({ ...json, [key]: other });
      assert.throws(() => enrolmentFromJson(altered), EnrolmentError, `${key}: ${typeof other}`);
    }
  }
});

Deno.test("enrolmentFromJson() quotes no code in its error", () => {
  const [one] = fc.sample(enrolment, { numRuns: 1, seed: 1 });
  const json = enrolmentToJson(one!);
  const wrong = [{ ...json, site: "a b" }, { ...json, url: "ftp://x" }, { ...json, expires: "x" }];
  for (const altered of [...wrong.map((w) => JSON.stringify(w)), `${JSON.stringify(json)}x`]) {
    const error = errorOf(() => enrolmentFromJson(altered));
    assert.ok(error instanceof EnrolmentError);
    assert.doesNotMatch(Deno.inspect(error, { depth: 9 }), new RegExp(json.code));
    assert.equal(error.cause, undefined);
  }
});

function errorOf(act: () => unknown): unknown {
  try {
    act();
    return null;
  } catch (error) {
    return error;
  }
}

function tryEncode(item: Cbor): Uint8Array {
  try {
    return encodeCbor(item);
  } catch {
    return new Uint8Array();
  }
}

/** What a member may be besides what it is. */
function isAllowed(key: string, value: Cbor, other: Cbor): boolean {
  if (key === "prev" && other === null) return true;
  if (/^(min|max|sum)_power_W$/.test(key) && other === -1) return true;
  if ((key === "site" || key === "reason") && typeof other === "string") return true;
  return (key === "refused" || key === "statements") && Array.isArray(value) &&
    Array.isArray(other);
}

/** The map with a member whose encoding is these bytes, in its sorted place. */
function replaced(map: ReadonlyMap<string, Cbor>, key: string, value: Uint8Array): Uint8Array {
  const marker = fromHex("4b6d61726b65722d6d61726b"); // a byte string of 11 bytes
  const encoded = encodeCbor(new Map([...map, [key, marker.subarray(1)]]));
  const hex = Array.from(encoded, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const [before, after] = hex.split(
    Array.from(marker, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  );
  return concat(fromHex(before!), value, fromHex(after!));
}
