/**
 * Sharing byte for byte: share.json is what these functions make of their own inputs. What a device or a
 * gateway computes is computed a second time, straight from RFC 9497 and from the definitions in the
 * file.
 */
import { ristretto255, ristretto255_hasher } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, fromHex, toHex, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { checkShare, deal, publicShare } from "../../core/trust/share/dealing.ts";
import { keyEncryptionKey } from "../../core/trust/share/kek.ts";
import { pieceCombiner, type PieceScheme } from "../../core/trust/share/pieces.ts";
import {
  decodeSignedRoster,
  encodeRoster,
  encodeSignedRoster,
  follows,
  type Roster,
  signRoster,
  verifyRoster,
} from "../../core/trust/share/roster.ts";
import type { Combiner } from "../../core/trust/share/scheme.ts";
import { evaluate, volumeInput, voprfCombiner } from "../../core/trust/share/voprf.ts";
import { outcomeOf, same } from "./same.ts";

const { Point } = ristretto255;
const { Fn } = Point;

/** Bytes are hexadecimal throughout. */
export interface DealingInputs {
  readonly k: number;
  readonly n: number;
  /** 64 bytes for each coefficient, the lowest first. */
  readonly drawn: readonly string[];
}

export interface RosterInputs {
  readonly group: string;
  readonly epoch: number;
  readonly members: readonly { id: string; url: string; noise_key: string; seed: string }[];
  readonly commitments: readonly string[];
  readonly dealers: readonly string[];
  /** Seeds of members of the roster before, who sign too. */
  readonly endorsed_by: readonly string[];
  readonly refused: readonly { note: string; signed: string }[];
}

export interface VolumeInputs {
  readonly device: string;
  readonly volume: string;
  readonly device_secret: string;
  /** Members whose answers are combined. */
  readonly combined: readonly number[];
  readonly refused: readonly {
    note: string;
    index: number;
    answer: string;
    proof: string | null;
  }[];
}

export interface PiecesInputs {
  readonly scheme: PieceScheme;
  readonly k: number;
  readonly pieces: readonly string[];
  readonly volume: string;
  readonly device_secret: string;
  readonly combined: readonly number[];
  readonly refused: readonly { note: string; index: number; answer: string }[];
}

export type DealingVector = ReturnType<typeof playDealing>;
export type RosterVector = ReturnType<typeof playRoster>;
export type VolumeVector = Awaited<ReturnType<typeof playVolume>>;
export type PiecesVector = Awaited<ReturnType<typeof playPieces>>;

/** A whole file. */
export interface ShareVectors {
  readonly dealing: DealingVector;
  /** The second follows the first. */
  readonly rosters: readonly RosterVector[];
  readonly voprf: readonly VolumeVector[];
  readonly pieces: readonly PiecesVector[];
}

/** Throws at the first field that differs from what this Suite makes. */
export async function playShares(suite: Suite, file: ShareVectors): Promise<void> {
  const { dealing, rosters: [first, second], voprf, pieces } = file;
  same(playDealing(suite, dealing), dealing, "dealing");
  same(playRoster(suite, first!, null), first, "rosters.0");
  same(playRoster(suite, second!, first!), second, "rosters.1");
  for (const [i, vector] of voprf.entries()) {
    same(await playVolume(suite, { dealing, roster: first! }, vector), vector, `voprf.${i}`);
  }
  for (const [i, vector] of pieces.entries()) {
    same(await playPieces(suite, vector), vector, `pieces.${i}`);
  }
}

export function playDealing(suite: Suite, { k, n, drawn }: DealingInputs) {
  const { shares, commitments } = deal(drawing(suite, ...drawn.map(fromHex)), { k, n });
  const coefficients = drawn.map((bytes) => littleEndian(fromHex(bytes)));
  const public_shares = shares.map((share, i) => {
    checkShare(share, { index: i + 1, commitments });
    const value = coefficients.reduceRight((sum, c) => Fn.create(sum * BigInt(i + 1) + c), 0n);
    same(share, Fn.toBytes(value), `share ${i + 1}`);
    same(publicShare(commitments, i + 1), Point.BASE.multiply(value).toBytes(), "public share");
    return toHex(publicShare(commitments, i + 1));
  });
  return {
    k,
    n,
    drawn,
    shares: shares.map(toHex),
    commitments: commitments.map(toHex),
    public_shares,
  };
}

/** @param before the roster that it follows, if it does */
export function playRoster(suite: Suite, inputs: RosterInputs, before: RosterInputs | null) {
  const { group, epoch, members, commitments, dealers, endorsed_by, refused } = inputs;
  const roster = rosterOf(suite, inputs);
  const payload = encodeRoster(roster);
  const seeds = [...members.map(({ seed }) => seed), ...endorsed_by];
  const statements = seeds.map((seed) => {
    return signRoster(suite, suite.ed25519.signer(fromHex(seed)), payload);
  });
  const held = before === null ? null : rosterOf(suite, before);
  const take = (bytes: Uint8Array) => {
    const signed = decodeSignedRoster(bytes);
    verifyRoster(suite, signed);
    if (held !== null) follows(suite, held, signed);
  };
  const signed = encodeSignedRoster({ roster, payload, statements });
  take(signed);
  same(decodeSignedRoster(signed), { roster, payload, statements }, "what is read of it");
  return {
    ...{ group, epoch, members, commitments, dealers, endorsed_by },
    payload: toHex(payload),
    statements: statements.map(toHex),
    signed: toHex(signed),
    refused: refused.map(({ note, signed }) => {
      return { note, signed, outcome: outcomeOf(() => take(fromHex(signed))) };
    }),
  };
}

export function rosterOf(suite: Suite, inputs: RosterInputs): Roster {
  const { group, epoch, members, commitments, dealers } = inputs;
  return {
    group: parseId(group),
    epoch,
    k: commitments.length,
    n: members.length,
    members: members.map(({ id, url, noise_key, seed }, i) => ({
      index: i + 1,
      id: parseId(id),
      url,
      noiseKey: fromHex(noise_key),
      signKey: suite.ed25519.signer(fromHex(seed)).publicKey,
    })),
    commitments: commitments.map(fromHex),
    dealers: dealers.map(fromHex),
  };
}

/** Evaluates a volume's input at every member of a group, with proofs whose nonces are drawn from it. */
export async function playVolume(
  suite: Suite,
  { dealing, roster }: { dealing: DealingVector; roster: RosterInputs },
  { device, volume, device_secret, combined, refused }: VolumeInputs,
) {
  const input = volumeInput(parseId(device), fromHex(volume));
  same(
    input,
    concat(utf8("edgeward/volume/1"), Uint8Array.of(device.length), utf8(device), fromHex(volume)),
    "input",
  );
  const hash = ristretto255_hasher.hashToCurve(input, {
    DST: utf8("HashToGroup-OPRFV1-\x01-ristretto255-SHA512"),
  });
  const answers = dealing.shares.map((share, i) => {
    const drawn = suite.sha256(utf8(`nonce of ${i + 1} for ${device}`)).slice();
    const nonce = concat(drawn, new Uint8Array(16));
    const [key, own] = [fromHex(dealing.public_shares[i]!), fromHex(share)];
    const made = evaluate(drawing(suite, nonce), {
      share: own,
      publicShare: key,
      input,
      proof: true,
    });
    same(made.answer, hash.multiply(Fn.fromBytes(own)).toBytes(), "answer");
    same(isProven({ key, hash: hash.toBytes(), ...made }), true, "whether the proof holds");
    return { nonce: toHex(nonce), answer: toHex(made.answer), proof: toHex(made.proof!) };
  });
  const combiner = () =>
    voprfCombiner(suite, { roster: rosterOf(suite, roster), input, proofs: "required" });
  const taking = combiner();
  for (const index of combined) {
    const { answer, proof } = answers[index - 1]!;
    taking.take(index, { answer: fromHex(answer), proof: fromHex(proof) });
  }
  const result = await resultOf(taking);
  const key = littleEndian(fromHex(dealing.drawn[0]!)); // the one that nobody should hold
  const element = hash.multiply(key).toBytes();
  same(result, sha512(concat(sized(input), sized(element), utf8("Finalize"))), "result");
  return {
    ...{ device, volume, device_secret, combined },
    input: toHex(input),
    hash: hash.toHex(),
    answers,
    element: toHex(element),
    result: toHex(result),
    kek: kekOf(suite, { result, device_secret, volume }),
    refused: refused.map(({ note, index, answer, proof }) => {
      const given = { answer: fromHex(answer), proof: proof === null ? null : fromHex(proof) };
      const outcome = outcomeOf(() => combiner().take(index, given));
      return { note, index, answer, proof, outcome };
    }),
  };
}

export async function playPieces(suite: Suite, inputs: PiecesInputs) {
  const { scheme, k, pieces, volume, device_secret, combined, refused } = inputs;
  const commitments = pieces.map((piece) => suite.sha256(fromHex(piece)));
  const combiner = () => pieceCombiner(suite, { scheme, k, commitments });
  const taking = combiner();
  for (const index of combined) {
    taking.take(index, { answer: fromHex(pieces[index - 1]!), proof: null });
  }
  const result = await resultOf(taking);
  return {
    ...{ scheme, k, pieces, volume, device_secret, combined },
    commitments: commitments.map(toHex),
    result: toHex(result),
    kek: kekOf(suite, { result, device_secret, volume }),
    refused: refused.map(({ note, index, answer }) => {
      const given = { answer: fromHex(answer), proof: null };
      return { note, index, answer, outcome: outcomeOf(() => combiner().take(index, given)) };
    }),
  };
}

async function resultOf(combiner: Combiner): Promise<Uint8Array> {
  const result = await combiner.result();
  if (result === null) throw new Error("Cannot combine the answers: there are fewer than k");
  return result;
}

function kekOf(
  suite: Suite,
  { result, device_secret, volume }: { result: Uint8Array; device_secret: string; volume: string },
): string {
  const parts = { result, deviceSecret: fromHex(device_secret), volume: fromHex(volume) };
  const kek = keyEncryptionKey(suite, parts);
  // RFC 5869: extract, then the first block of expand
  const extracted = suite.hmacSha256(parts.deviceSecret, result);
  const info = concat(utf8("edgeward/kek/1"), parts.volume, Uint8Array.of(1));
  same(kek, suite.hmacSha256(extracted, info), "kek");
  return toHex(kek);
}

/** VerifyProof for one element (RFC 9497 §2.2.2), the composites straight from §2.2.1. */
function isProven(
  { key, hash, answer, proof }: {
    key: Uint8Array;
    hash: Uint8Array;
    answer: Uint8Array;
    proof: Uint8Array | null;
  },
): boolean {
  const context = utf8("OPRFV1-\x01-ristretto255-SHA512");
  const toScalar = (...parts: Uint8Array[]) =>
    ristretto255_hasher.hashToScalar(concat(...parts), {
      DST: concat(utf8("HashToScalar-"), context),
    });
  const seed = sha512(concat(sized(key), sized(concat(utf8("Seed-"), context))));
  const place = Uint8Array.of(0, 0);
  const weight = toScalar(sized(seed), place, sized(hash), sized(answer), utf8("Composite"));
  const [M, Z] = [hash, answer].map((element) => Point.fromBytes(element).multiply(weight));
  const [c, s] = [proof!.slice(0, 32), proof!.slice(32)].map((one) => Fn.fromBytes(one));
  const t2 = Point.BASE.multiply(s!).add(Point.fromBytes(key).multiply(c!));
  const t3 = M!.multiply(s!).add(Z!.multiply(c!));
  const elements = [M!, Z!, t2, t3].map((element) => sized(element.toBytes()));
  return toScalar(sized(key), ...elements, utf8("Challenge")) === c;
}

/** I2OSP(length, 2) | bytes. */
function sized(bytes: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes);
}

function littleEndian(bytes: Uint8Array): bigint {
  return Fn.create(BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`));
}

/** A Suite that draws these, one after the other. */
function drawing(suite: Suite, ...draws: Uint8Array[]): Suite {
  return {
    ...suite,
    randomBytes(length) {
      const bytes = draws.shift();
      if (bytes?.length !== length) throw new Error(`Cannot draw ${length} bytes: none are given`);
      return bytes.slice();
    },
  };
}
