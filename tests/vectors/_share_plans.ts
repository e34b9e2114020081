/**
 * What share.json is made from: a group of 2 of 3, its roster and the one that follows, volumes of two
 * devices, and pieces. Secrets are SHA-256 of their own description; the pieces of scheme `shamir` were
 * made once by the library.
 */
import { ristretto255 } from "@noble/curves/ed25519.js";
import { concat, fromHex, toHex, utf8 } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { encodeRoster, encodeSignedRoster, signRoster } from "../../core/trust/share/roster.ts";
import {
  type DealingVector,
  type PiecesInputs,
  playDealing,
  playPieces,
  playRoster,
  playVolume,
  type RosterInputs,
  rosterOf,
  type ShareVectors,
  type VolumeInputs,
} from "./share.ts";

const { Point } = ristretto255;

export async function makeShareVectors(suite: Suite): Promise<ShareVectors> {
  const of = (what: string) => toHex(suite.sha256(utf8(`edgeward share.json: ${what}`)));
  const dealing = playDealing(suite, {
    ...{ k: 2, n: 3 },
    drawn: [0, 1].map((j) =>
      of(`coefficient ${j}, first half`) + of(`coefficient ${j}, second half`)
    ),
  });
  const [first, second] = rosterInputs(suite, dealing, of);
  const plain = await playVolume(suite, { dealing, roster: first }, volume("pi-1", of, [1, 3]));
  const { answers } = plain;
  const refused = refusedAnswers(answers[0]!, { second: answers[1]!, hash: plain.hash });
  return {
    dealing,
    rosters: [playRoster(suite, first, null), playRoster(suite, second, first)],
    voprf: [
      await playVolume(suite, { dealing, roster: first }, {
        ...volume("pi-1", of, [1, 3]),
        refused,
      }),
      await playVolume(suite, { dealing, roster: first }, volume("x".repeat(64), of, [3, 2])),
    ],
    pieces: [
      await playPieces(suite, shamirInputs(of)),
      await playPieces(suite, xorInputs(of)),
    ],
  };
}

type Of = (what: string) => string;

function volume(device: string, of: Of, combined: number[]): VolumeInputs {
  return {
    device,
    volume: of(`volume of ${device}`).slice(0, 32),
    device_secret: of(`secret of ${device}`),
    combined,
    refused: [],
  };
}

interface Proven {
  readonly answer: string;
  readonly proof: string;
}

/** Said by the first member, save where the note says more. */
function refusedAnswers(
  { answer, proof }: Proven,
  { second, hash }: { second: Proven; hash: string },
): VolumeInputs["refused"] {
  const first = { answer, proof };
  const flipped = (hex: string, at: number) => {
    const bytes = fromHex(hex);
    return toHex(bytes.with(at, bytes[at]! ^ 1));
  };
  const order = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  return [
    { note: "no proof", index: 1, answer: first.answer, proof: null },
    { note: "another member's answer", index: 1, ...second },
    { note: "the answer of a share 1", index: 1, answer: hash, proof: first.proof },
    { note: "another challenge", index: 1, ...first, proof: flipped(first.proof, 0) },
    { note: "another response", index: 1, ...first, proof: flipped(first.proof, 32) },
    {
      note: "a response that is the order",
      index: 1,
      ...first,
      proof: first.proof.slice(0, 64) + toHex(order),
    },
    { note: "a proof too short", index: 1, ...first, proof: first.proof.slice(2) },
    { note: "the identity", index: 1, ...first, answer: "00".repeat(32) },
    { note: "the negative encoding", index: 1, ...first, answer: flipped(first.answer, 0) },
    { note: "the high bit set", index: 1, ...first, answer: highBit(first.answer) },
    { note: "an answer too long", index: 1, ...first, answer: `${first.answer}00` },
    { note: "nobody", index: 4, ...first },
  ];
}

function highBit(hex: string): string {
  const bytes = fromHex(hex);
  return toHex(bytes.with(31, bytes[31]! | 0x80));
}

/** A roster, and one that follows it: shares anew, gw-3 replaced. */
function rosterInputs(
  suite: Suite,
  { commitments }: DealingVector,
  of: Of,
): [RosterInputs, RosterInputs] {
  const member = (id: string, url: string) => {
    return { id, url, noise_key: of(`noise key of ${id}`), seed: of(`seed of ${id}`) };
  };
  const members = [
    member("gw-1", "https://gw-1.example:8443"),
    member("gw-2", "http://10.0.0.2/edgeward"),
    member("gw-3", "mqtts://broker.example"),
  ];
  const dealer = (commitments: readonly string[]) =>
    toHex(suite.sha256(...commitments.map((one) => fromHex(one))));
  const first = {
    ...{ group: "kiosks", epoch: 1, members, commitments, dealers: [dealer(commitments)] },
    ...{ endorsed_by: [], refused: [] },
  };
  const slope = Point.fromHex(commitments[1]!).add(Point.BASE.multiply(7n)).toHex();
  const refreshed = [commitments[0]!, slope];
  const second = {
    ...{ group: "kiosks", epoch: 2, commitments: refreshed, dealers: [dealer(refreshed)] },
    members: members.with(2, member("gw-4", "https://gw-4.example")),
    ...{ endorsed_by: [members[2]!.seed], refused: [] },
  };
  const signed = (roster: RosterInputs, ...seeds: string[]) => {
    const inner = rosterOf(suite, roster);
    const payload = encodeRoster(inner);
    const statements = seeds.map((seed) => {
      return signRoster(suite, suite.ed25519.signer(fromHex(seed)), payload);
    });
    return toHex(encodeSignedRoster({ roster: inner, payload, statements }));
  };
  const seeds = (roster: RosterInputs) => roster.members.map(({ seed }) => seed);
  const bytes = fromHex(signed(first, ...seeds(first)));
  const other = { ...second, commitments: refreshed.toReversed() };
  const fresh = { ...second, members: members.map(({ id, url }) => member(`${id}-new`, url)) };
  return [
    {
      ...first,
      refused: [
        { note: "one member did not sign", signed: signed(first, ...seeds(first).slice(1)) },
        { note: "another signature", signed: toHex(bytes.with(-1, bytes.at(-1)! ^ 1)) },
        { note: "the last byte missing", signed: toHex(bytes.slice(0, -1)) },
        { note: "a byte behind the end", signed: toHex(concat(bytes, Uint8Array.of(0))) },
      ],
    },
    {
      ...second,
      refused: [
        { note: "the roster that is held", signed: toHex(bytes) },
        { note: "another group key", signed: signed(other, ...seeds(other)) },
        {
          note: "another group name",
          signed: signed({ ...second, group: "others" }, ...seeds(second)),
        },
        { note: "all members new, none old", signed: signed(fresh, ...seeds(fresh)) },
        {
          note: "all members new, fewer than k old",
          signed: signed(fresh, ...seeds(fresh), members[0]!.seed),
        },
        { note: "a new member did not sign", signed: signed(second, ...seeds(first)) },
      ],
    },
  ];
}

function shamirInputs(of: Of): PiecesInputs {
  const pieces = [
    "eeae736bbd7619be90ff9e095e6e312f3f9827b4e6445d8df41584bea738834dad",
    "4232bdccc959026497c538bbbfeb5148de94ab8e10debc3fcb0a2d343235c1c350",
    "4d5e98c4eddf24a3ced746271c4d97d77dcae69ccb9d1fa36cef9756b51da9628c",
  ];
  return {
    ...{ scheme: "shamir", k: 2, pieces, combined: [2, 3] },
    ...{ volume: of("volume of shamir").slice(0, 32), device_secret: of("secret of shamir") },
    refused: [
      { note: "another member's piece", index: 1, answer: pieces[1]! },
      { note: "without its place", index: 1, answer: pieces[0]!.slice(0, 64) },
      { note: "nobody", index: 4, answer: pieces[0]! },
    ],
  };
}

function xorInputs(of: Of): PiecesInputs {
  const pieces = [1, 2].map((n) => of(`piece ${n} of xor`));
  return {
    ...{ scheme: "xor", k: 2, pieces, combined: [1, 2] },
    ...{ volume: of("volume of xor").slice(0, 32), device_secret: of("secret of xor") },
    refused: [{ note: "a byte too many", index: 1, answer: `${pieces[0]}00` }],
  };
}
