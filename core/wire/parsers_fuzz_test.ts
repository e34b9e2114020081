/**
 * Every parser of what comes from outside, at 100,000 inputs each that are almost right or plain noise:
 * it gives a value, which it would write as just these bytes, or throws its own error and no other.
 * Shapes and bounds are in parsers_test.ts.
 */
import assert from "node:assert/strict";
import { equalBytes, toHex, utf8 } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { type Id, parseId } from "../base/id.ts";
import { type Cbor, CborError, decodeCbor, encodeCbor } from "../trust/cbor.ts";
import {
  CallError,
  decodeEnrolAnswer,
  decodeEnrolRequest,
  decodeMessage,
  encodeEnrolAnswer,
  encodeEnrolRequest,
  encodeMessage,
} from "../trust/session/call.ts";
import { decodeFrame, encodeFrame, FrameError } from "../trust/session/frame.ts";
import { decodeOpening, encodeOpening, encodePrologue } from "../trust/session/hello.ts";
import { HelloError, purposes } from "../trust/session/hello.ts";
import { mutationsOf } from "./_mutations.ts";
import { EnrolmentError, enrolmentFromJson, enrolmentToJson } from "./enrolment.ts";
import { BatchError, decodeBatch, decodeReceipt, encodeBatch, encodeReceipt } from "./reading.ts";
import { decodeSummary, encodeSummary, type RegisterInWindow } from "./summary.ts";
import { type Summary, SummaryError } from "./summary.ts";
import { decodeHead, decodeKnownRegisters, decodeSummariesAnswer } from "./uplink.ts";
import { decodeUplinkCall, encodeHead, encodeKnownRegisters } from "./uplink.ts";
import { encodeSummariesAnswer, encodeUplinkCall, UplinkError } from "./uplink.ts";

const count = 100_000;
const safe = Number.MAX_SAFE_INTEGER;
const [meter, other] = [parseId("m-1"), parseId("Meter_2")];
const hash = Uint8Array.from({ length: 32 }, (_, i) => 7 * i);
const bytes = (n: number) => hash.subarray(0, n);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

interface Parser<T> {
  readonly parse: (bytes: Uint8Array) => T;
  readonly error: new (...args: never[]) => Error;
  readonly samples: readonly T[];
  readonly write: (value: T) => Uint8Array;
}

const reading = {
  seq: 5,
  t: 1_700_000_000_000,
  energy_Wh: 12,
  power_W: -40,
  voltage_mV: 0,
  flags: 9,
};
const summary: Summary = {
  ...{ fog_id: meter, epoch: 1, seq: safe, revision: 0, num_meters: 2, n: 300 },
  ...{ sum_power_W: -5, min_power_W: -safe, max_power_W: 70_000, sum_voltage_mV: 23 },
  ...{ min_voltage_mV: 0, max_voltage_mV: 256, energy_Wh: 65_536 },
  ...{ window: { start: 0, end: 60_000 }, prev: hash },
  registers: new Map<Id, Map<Id, RegisterInWindow>>([
    [
      meter,
      new Map([[other, { energy_Wh: 1, seqs: [[0, 97], [99, 298], [safe, safe]] }]]),
    ],
    [other, new Map([[meter, { energy_Wh: safe, seqs: [[24, 24]] }]])],
  ]),
};
const head = { epoch: 2, seq: 300, hash, t: 1_700_000_000_000 };
const url = "https://a.example";

const parsers = {
  decodeFrame: parser({
    ...{ parse: decodeFrame, error: FrameError },
    samples: [1, 2, 3, 4, 5].map((n) =>
      decodeFrame(encodeFrame(n as 1, bytes(8), n === 4 ? safe - 3 : 0, bytes(n * 6)))
    ),
    write: ({ type, session, seq, body }) => encodeFrame(type, session, seq, body),
  }),
  decodeOpening: parser({
    ...{ parse: decodeOpening, error: HelloError },
    samples: purposes.map((purpose, i) => {
      const hello = {
        purpose,
        site: i === 1 ? "" as const : other,
        device: meter,
        versions: [2, i],
      };
      return { hello, prologue: encodePrologue(hello), noiseMessage: bytes(4 * i) };
    }),
    write: ({ hello, noiseMessage }) => encodeOpening(encodePrologue(hello), noiseMessage),
  }),
  decodeMessage: parser({
    ...{ parse: decodeMessage, error: CallError, write: encodeMessage },
    samples: [
      ...(["call", "enrol"] as const).map((kind) => ({ kind, body: bytes(20) })),
      { kind: "answer", to: safe, body: bytes(9) },
      ...["pending", "a.b_9", "x".repeat(64)].map((code) => ({
        kind: "refusal" as const,
        to: 2 ** 32,
        code,
      })),
    ],
  }),
  decodeEnrolRequest: parser({
    ...{ parse: decodeEnrolRequest, error: CborError, write: encodeEnrolRequest },
    samples: [hash, new Uint8Array(32)],
  }),
  decodeEnrolAnswer: parser({
    ...{ parse: decodeEnrolAnswer, error: CborError },
    samples: ["", "kiosk-7", "x".repeat(64), "no identifier, 日本"].map((site) => ({ site })),
    write: ({ site }) => encodeEnrolAnswer(site),
  }),
  decodeBatch: parser({
    ...{ parse: decodeBatch, error: BatchError, write: encodeBatch },
    samples: [1, 2, 3].map((n) => {
      return { meter, register: other, readings: Array(n).fill(reading) };
    }),
  }),
  decodeReceipt: parser({
    ...{ parse: decodeReceipt, error: BatchError, write: encodeReceipt },
    samples: [
      { accepted: 512, duplicates: 0, refused: [] },
      { accepted: 0, duplicates: 24, refused: [{ seq: safe, reason: "implausible" }] },
      { accepted: 1, duplicates: 1, refused: [{ seq: 0, reason: "future" }] },
    ],
  }),
  decodeSummary: parser({
    ...{ parse: decodeSummary, error: SummaryError, write: encodeSummary },
    samples: [
      summary,
      {
        ...{ ...summary, prev: null, num_meters: 1, n: 3 },
        registers: new Map<Id, Map<Id, RegisterInWindow>>([[
          meter,
          new Map([[meter, { energy_Wh: 0, seqs: [[0, 2]] }]]),
        ]]),
      },
    ],
  }),
  decodeHead: parser({
    ...{ parse: decodeHead, error: UplinkError, write: encodeHead },
    samples: [head, { ...head, epoch: 0, seq: safe }],
  }),
  decodeUplinkCall: parser({
    ...{ parse: decodeUplinkCall, error: UplinkError, write: encodeUplinkCall },
    samples: [
      { call: "head" },
      { call: "head", upto: { epoch: 2, seq: 300 } },
      {
        call: "lost",
        after: { epoch: 1, seq: 2, hash },
        upto: { epoch: 1, seq: safe, hash },
        reason: "refused: ü",
      },
      { call: "registers" },
      { call: "registers", after: [meter, other] },
      { call: "summaries", statements: [] },
      { call: "summaries", statements: [bytes(32), bytes(0), bytes(24)] },
    ],
  }),
  decodeSummariesAnswer: parser({
    ...{ parse: decodeSummariesAnswer, error: UplinkError, write: encodeSummariesAnswer },
    samples: [
      { head, refused: [] },
      { head, refused: [{ index: 63, reason: "gap" }, { index: 0, reason: "" }] },
    ],
  }),
  decodeKnownRegisters: parser({
    ...{ parse: decodeKnownRegisters, error: UplinkError, write: encodeKnownRegisters },
    samples: [
      [],
      [{ meter, register: other, seq: safe, energy_Wh: 0 }],
      [meter, other].map((register) => ({ meter, register, seq: 1, energy_Wh: 70_000 })),
    ],
  }),
  decodeCbor: parser<Cbor>({
    ...{ parse: decodeCbor, error: CborError, write: encodeCbor },
    samples: [
      ...[null, true, 0, -1, 23, 24, 255, 65_536, safe, -safe, "", "ü\0", bytes(3)],
      ...[[], [[], [1, [2]]], new Map(), new Map<string | number, Cbor>([[1, 2], ["b", null]])],
      new Map<string, Cbor>([["__proto__", 1], ["constructor", [null, "x"]], ["", bytes(1)]]),
    ],
  }),
  parseId: parser<Id>({
    parse: (bytes) => parseId(text(bytes)),
    error: CodedError,
    samples: ["a", "M-1_", "x".repeat(64), "09AZaz-_"].map(parseId),
    write: (id) => {
      const isGood = (c: string) =>
        c >= "0" && c <= "9" || c >= "A" && c <= "Z" || c >= "a" && c <= "z" || c === "-" ||
        c === "_";
      assert.ok(id.length >= 1 && id.length <= 64 && [...id].every(isGood), id);
      return utf8(id);
    },
  }),
};

/** Only its own types meet in a parser. */
function parser<T>(parser: Parser<T>): Parser<unknown> {
  return parser as Parser<unknown>;
}

/** Takes what the parser may do, and gives the value or null; fails at anything else. */
function take<T>(
  { parse, error }: Pick<Parser<T>, "parse" | "error">,
  input: Uint8Array,
): T | null {
  try {
    return parse(input);
  } catch (thrown) {
    if (thrown instanceof error) return null;
    throw new Error(`At ${toHex(input)}: ${thrown}`, { cause: thrown });
  }
}

for (const [name, parser] of Object.entries(parsers)) {
  Deno.test(`${name}() gives only what it would write itself, or its own error`, () => {
    const samples = parser.samples.map((sample) => parser.write(sample));
    for (const sample of samples) {
      assert.ok(take(parser, sample) !== null || isNull(name, sample), toHex(sample));
    }
    let [taken, refused] = [0, 0];
    for (const input of mutationsOf(samples, { seed: name.length, count })) {
      const before = input.slice();
      const value = take(parser, input);
      if (!equalBytes(input, before)) assert.fail(`It has altered its input ${toHex(before)}`);
      if (value === null && !isNull(name, input)) {
        refused++;
        continue;
      }
      taken++;
      if (!equalBytes(parser.write(value), input)) assert.fail(`It takes ${toHex(input)}`);
    }
    assert.equal(taken + refused, count);
    assert.ok(taken > 100 && refused > 10_000, `${taken} taken, ${refused} refused`);
  });
}

Deno.test("enrolmentFromJson() gives only what it would write itself, or its own error", () => {
  const samples = [0, 1, 2].map((n) => {
    const code = bytes(16 + n).subarray(n);
    const enrolment = { code, site: other, url, noiseKey: hash, expires: 1_700_000_000_000 + n };
    return utf8(JSON.stringify(enrolmentToJson(enrolment)));
  });
  const own = {
    parse: (input: Uint8Array) => enrolmentFromJson(text(input)),
    error: EnrolmentError,
  };
  let taken = 0;
  for (const input of mutationsOf(samples, { seed: 1, count })) {
    const enrolment = take(own, input);
    if (enrolment === null) continue;
    taken++;
    assert.deepEqual([enrolment.code.length, enrolment.noiseKey.length], [16, 32]);
    parseId(enrolment.site);
    assert.match(enrolment.url, /^(https?|mqtts?|wss?):\/\//);
    const { code, site, url, noise_key, expires } = JSON.parse(text(input));
    assert.deepEqual(enrolmentToJson(enrolment), { code, site, url, noise_key, expires });
  }
  assert.ok(taken > 100, `${taken}`);
});

/** The one value that looks like a refusal. */
function isNull(name: string, input: Uint8Array): boolean {
  return name === "decodeCbor" && input.length === 1 && input[0] === 0xf6;
}
