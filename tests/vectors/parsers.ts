/**
 * Every parser of the PURE floors on samples and on what becomes of them when bytes change: a sample
 * comes back as it was encoded, anything else is refused with the parser's own error. The transcript
 * must be the same in every engine.
 */
import { concat, fromBase64url, fromHex, toBase64url, toHex, utf8 } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { type Cbor, decodeCbor, encodeCbor } from "../../core/trust/cbor.ts";
import {
  decodeEnrolRequest,
  decodeMessage,
  encodeEnrolRequest,
  encodeMessage,
} from "../../core/trust/session/call.ts";
import {
  decodeRpc as decodeLegacyRpc,
  encodeRpc as encodeLegacyRpc,
} from "../../core/trust/legacy/rpc.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../core/trust/session/frame.ts";
import { decodeOpening, encodeOpening, encodePrologue } from "../../core/trust/session/hello.ts";
import { enrolmentFromJson, enrolmentToJson } from "../../core/wire/enrolment.ts";
import { decodeRpc, encodeRpc, type RpcMessage } from "../../core/wire/json_rpc.ts";
import {
  decodeBatch,
  decodeReceipt,
  encodeBatch,
  encodeReceipt,
  Flag,
} from "../../core/wire/reading.ts";
import { decodeSummary, encodeSummary } from "../../core/wire/summary.ts";
import {
  decodeHead,
  decodeKnownRegisters,
  decodeSummariesAnswer,
  decodeUplinkCall,
  encodeHead,
  encodeKnownRegisters,
  encodeSummariesAnswer,
  encodeUplinkCall,
} from "../../core/wire/uplink.ts";
import { same } from "./same.ts";

interface Parser {
  /** Parses, and writes down again what was found. */
  readonly again: (bytes: Uint8Array) => Uint8Array;
  readonly error: string;
  readonly samples: readonly Uint8Array[];
  readonly refused: readonly Uint8Array[];
  /** How many bytes at the end of a sample are not changed. */
  readonly spared: number;
}

const key = fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
const time = 1_900_000_000_000;
const [meter, fog] = ["m-01", "fog_1"].map(parseId) as [Id, Id];
const last = Number.MAX_SAFE_INTEGER;

const refusedTexts = [
  ...[
    "",
    "{}",
    "[]",
    "null",
    '{"jsonrpc":"2.0","id":1}',
    '{"jsonrpc":"2.0","id":null,"method":"a"}',
  ],
  ...['{"jsonrpc":"2.0","id":1,"id":1,"result":1}', '{"jsonrpc":"2.0","id":1,"result":1}{}'],
  ...[
    '{"jsonrpc":"2.0","id":1,"result":{"__proto__":1}}',
    '{"jsonrpc":"2.0","id":1,"result":1e999}',
  ],
  ...['{"jsonrpc":"2.0","id":1,"result":01}', '{"jsonrpc":"2.0","id":1,"result":"\\ud800"}'],
  ...['{"jsonrpc":"2.0","id":1,"result":9007199254740992}', '\ufeff{"jsonrpc":"2.0","id":1}'],
  `{"jsonrpc":"2.0","id":1,"result":${"[".repeat(16)}${"]".repeat(16)}}`,
].map((text) => toHex(utf8(text)));

const parsers: Readonly<Record<string, Parser>> = {
  decodeCbor: parser(decodeCbor, encodeCbor, "CborError", {
    samples: [
      [0, 23, 24, 255, 256, 65_536, 2 ** 32, last, -1, -24, -25, -last, true, false, null],
      ["", "ASCII that is longer than a short one", "Zähler €", "𝄞 \u0000", key, []],
      { "a": 1, "b": { "__proto__": null, "constructor": "x" }, "longer": [[], {}] },
      new Map<number, Cbor>([[1, -19], [3, "application/x"], [4, key], [-1, 0]]),
    ],
    refused: [
      ...["a2616201616101", "a2616101616101", "0000", "fb3ff8000000000000", "1800", "9f01ff"],
      ...["f7", "", "f97e00", "f90000", "1b0020000000000000", "3b001fffffffffffff", "d2f6"],
      ...["5bffffffffffffffff", "9affffffff", "bb001fffffffffffff", "7affffffff", "ff", "f800"],
      ...["62c328", "61ff", "63eda080", "64f4908080", "62c080"],
      ...[1, 2, 4, 8, 16, 32].map((depth) => "81".repeat(depth)),
    ],
  }),
  decodeFrame: parser(
    decodeFrame,
    ({ type, session, seq, body }) => encodeFrame(type, session, seq, body),
    "FrameError",
    {
      samples: [0, 1, 2 ** 16, 2 ** 32 - 1, 2 ** 32, last].map((seq) =>
        decodeFrame(encodeFrame(FrameType.data, key.slice(0, 8), seq, key))
      ),
      refused: ["", "02", "0204", "03".repeat(40), `0206${"00".repeat(16)}`],
    },
  ),
  decodeOpening: parser(
    decodeOpening,
    ({ hello, noiseMessage }) => encodeOpening(encodePrologue(hello), noiseMessage),
    "HelloError",
    {
      samples: [
        decodeOpening(encodeOpening(
          encodePrologue({ purpose: "meter", site: fog, device: meter, versions: [2, 255] }),
          key,
        )),
        decodeOpening(encodeOpening(
          encodePrologue({ purpose: "rpc", site: "", device: meter, versions: [2] }),
          new Uint8Array(0),
        )),
      ],
      refused: ["", "00", "0001", "0201" + "00".repeat(513)],
    },
  ),
  decodeMessage: parser(decodeMessage, encodeMessage, "CallError", {
    samples: [
      { kind: "call", body: key },
      { kind: "enrol", body: new Uint8Array(0) },
      { kind: "answer", to: 2 ** 32 + 5, body: key },
      { kind: "refusal", to: 7, code: "too_many.2" },
    ],
    refused: ["", "00", "05", "02", "030000000000000000", "0300000000000000004d"],
  }),
  decodeEnrolRequest: parser(decodeEnrolRequest, encodeEnrolRequest, "CborError", {
    samples: [key],
    refused: ["a0", "a1687369676e5f6b657940", "80"],
  }),
  decodeBatch: parser(decodeBatch, encodeBatch, "BatchError", {
    samples: [{
      ...{ meter, register: parseId("1-8-0") },
      readings: [
        { seq: 0, t: 0, energy_Wh: 0, power_W: -5_000, voltage_mV: 0, flags: Flag.clockUnset },
        {
          seq: last,
          t: time,
          energy_Wh: 2 ** 50,
          power_W: 2 ** 40,
          voltage_mV: 230_000,
          flags: 15,
        },
      ],
    }],
    refused: ["a0", "80"],
  }),
  decodeReceipt: parser(decodeReceipt, encodeReceipt, "BatchError", {
    samples: [
      { accepted: 512, duplicates: 0, refused: [] },
      { accepted: 0, duplicates: 2, refused: [{ seq: last, reason: "future" }] },
    ],
    refused: ["a0", "80"],
  }),
  decodeSummary: parser(decodeSummary, encodeSummary, "SummaryError", {
    samples: [null, key].map((prev) => ({
      ...{ fog_id: fog, epoch: 1, seq: last, window: { start: time, end: time + 60_000 } },
      ...{ revision: 0, num_meters: 1, n: 4, sum_power_W: -1, min_power_W: -3, max_power_W: 2 },
      ...{ sum_voltage_mV: 460_000, min_voltage_mV: 229_000, max_voltage_mV: 231_000 },
      ...{ energy_Wh: 3, prev },
      registers: new Map([[
        meter,
        new Map([[fog, { energy_Wh: 2 ** 40, seqs: [[0, 2], [last, last]] }]]),
      ]]),
    })),
    refused: ["a0", "80"],
  }),
  decodeHead: parser(decodeHead, encodeHead, "UplinkError", {
    samples: [{ epoch: 2 ** 31, seq: last, hash: key, t: time }],
    refused: ["a0", "80"],
  }),
  decodeUplinkCall: parser(decodeUplinkCall, encodeUplinkCall, "UplinkError", {
    samples: [
      ...[{ call: "head" }, { call: "head", upto: { epoch: 1, seq: last } }] as const,
      { call: "summaries", statements: [key, key] },
      {
        call: "lost",
        after: { epoch: 1, seq: 2, hash: key },
        upto: { epoch: 1, seq: last, hash: key },
        reason: "pruned",
      },
      ...[{ call: "registers" }, { call: "registers", after: [meter, fog] }] as const,
    ],
    refused: ["a0", "80", "a16463616c6c6461736b73"],
  }),
  decodeSummariesAnswer: parser(decodeSummariesAnswer, encodeSummariesAnswer, "UplinkError", {
    samples: [{
      head: { epoch: 0, seq: 0, hash: new Uint8Array(32), t: time },
      refused: [{ index: 63, reason: "gap" }],
    }],
    refused: ["a0", "80"],
  }),
  decodeKnownRegisters: parser(decodeKnownRegisters, encodeKnownRegisters, "UplinkError", {
    samples: [[], [{ meter, register: fog, seq: last, energy_Wh: 2 ** 40 }]],
    refused: ["a0", "8100", "818461616162"],
  }),
  decodeRpc: parser<RpcMessage>(decodeRpc, encodeRpc, "RpcError", {
    samples: [
      {
        kind: "request",
        id: "a-1",
        method: "sensor.read",
        params: { room: "Küche 𝄞", n: [1, -2.5] },
      },
      { kind: "request", id: last, method: "relay.set", params: [], once: toHex(key.slice(0, 16)) },
      {
        kind: "result",
        id: 0,
        result: { "10": 1e21, "9": [null, true, 5e-324], "": '" \\ \u0007' },
      },
      {
        kind: "error",
        id: "x",
        error: { code: -32_000, message: "stuck", data: { code: "stuck" } },
      },
    ],
    refused: refusedTexts,
  }),
  decodeLegacyRpc: parser(decodeLegacyRpc, encodeLegacyRpc, "LegacyError", {
    samples: [
      { kind: "request", id: "a-1", method: "ping", params: [0.1, { "b": "é", "a": {} }] },
      { kind: "response", id: last, result: "𝄞" },
      { kind: "response", id: 7, error: { code: 1, message: "", data: [1.5e300] } },
    ],
    refused: refusedTexts,
  }),
  enrolmentFromJson: parser(
    (bytes) => enrolmentFromJson(String.fromCharCode(...bytes)),
    (enrolment) => utf8(JSON.stringify(enrolmentToJson(enrolment))),
    "EnrolmentError",
    {
      samples: [{
        ...{ code: key.slice(0, 16), site: fog, url: "https://[::1]:8080" },
        ...{ noiseKey: key, expires: time },
      }],
      refused: ["", "7b7d", "6e756c6c", "5b5d"],
      spared: '"2030-03-17T17:46:40.000Z"}'.length, // engines differ about what is no date
    },
  ),
  fromBase64url: parser(
    (bytes) => fromBase64url(String.fromCharCode(...bytes)),
    (bytes) => utf8(toBase64url(bytes)),
    "SyntaxError",
    {
      samples: [0, 1, 2, 3].map((n) => key.slice(n)),
      refused: ["41413d3d", "41", "412b", "4142", "414142"],
    },
  ),
};

/** One line for each input: what it parses to, or why not. @throws Error when a parser misbehaves */
export function transcribeParsers(): string[] {
  const lines: string[] = [];
  for (const [name, parser] of Object.entries(parsers)) {
    for (const sample of parser.samples) same(outcomeOf(parser, sample), toHex(sample), name);
    for (const input of parser.refused) {
      const outcome = outcomeOf(parser, input);
      if (outcome !== parser.error) throw new Error(`${name} takes ${toHex(input)}`);
    }
    for (const sample of parser.samples) {
      for (const input of changesOf(sample, sample.length - parser.spared)) {
        lines.push(`${name} ${outcomeOf(parser, input)}`);
      }
    }
  }
  return lines;
}

/** Cut short, longer, and with each byte before the end changed in several ways. */
function changesOf(sample: Uint8Array, end: number): Uint8Array[] {
  const changes = [concat(sample, Uint8Array.of(0)), concat(Uint8Array.of(0), sample)];
  for (let at = 0; at < sample.length; at++) {
    changes.push(sample.slice(0, at));
    for (const mask of at < end ? [0x01, 0x20, 0x80, 0xff] : []) {
      const altered = sample.slice();
      altered[at]! ^= mask;
      changes.push(altered);
    }
  }
  return changes;
}

function outcomeOf(parser: Parser, input: Uint8Array): string {
  try {
    return toHex(parser.again(input));
  } catch (error) {
    const { name, message } = error as Error;
    if (name === parser.error) return name;
    throw new Error(`Cannot parse ${toHex(input)}: ${name}, not ${parser.error}: ${message}`);
  }
}

function parser<T>(
  parse: (bytes: Uint8Array) => T,
  encode: (value: T) => Uint8Array,
  error: string,
  inputs: { samples: readonly NoInfer<T>[]; refused: readonly string[]; spared?: number },
): Parser {
  return {
    again: (bytes) => encode(parse(bytes)),
    error,
    samples: inputs.samples.map(encode),
    refused: inputs.refused.map(fromHex),
    spared: inputs.spared ?? 0,
  };
}
