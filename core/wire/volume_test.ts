/**
 * Heads of volumes: a fixed one byte for byte, one read by nothing but WebCrypto and the text of
 * protocols.md §5, and every alteration refused.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, equalBytes, toHex, utf8, viewOf } from "../base/bytes.ts";
import { parseId } from "../base/id.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { type Cbor, decodeCbor, encodeCbor } from "../trust/cbor.ts";
import { deal } from "../trust/share/dealing.ts";
import type { Roster } from "../trust/share/roster.ts";
import { mutationsOf } from "./_mutations.ts";
import {
  decodeVolumeHead,
  encodeVolumeHead,
  mountKey,
  payloadKey,
  prefixLength,
  unwrapFileKey,
  verifyVolumeHead,
  VolumeError,
  type VolumeHeader,
  volumeHeadLength,
  wrapFileKey,
} from "./volume.ts";

const suite = nativeSuite();
const count = (length: number, from: number) => Uint8Array.from({ length }, (_, i) => from + i);
const [volume, salt] = [count(16, 0), count(32, 0x20)];
const [fileKey, kek] = [count(32, 0x40), count(32, 0x60)];

const common = {
  ...{ volume, salt },
  wrapped: concat(count(12, 0x80), suite.aes256gcm.seal(kek, count(12, 0x80), volume, fileKey)),
};
const pieces: VolumeHeader = {
  ...{ scheme: "shamir", k: 2, ...common },
  pieces: ["gw-1", "gw-2", "gw-3"].map((id, i) => {
    return { gateway: parseId(id), commitment: suite.sha256(Uint8Array.of(i)) };
  }),
};
const roster: Roster = {
  ...{ group: parseId("kiosks"), epoch: 4, k: 2, n: 3, dealers: [count(32, 1)] },
  commitments: deal(suite, { k: 2, n: 3 }).commitments,
  members: [1, 2, 3].map((index) => ({
    ...{ index, id: parseId(`gw-${index}`), url: `https://gw-${index}.example` },
    ...{ noiseKey: count(32, 10 * index), signKey: count(32, 100 + 10 * index) },
  })),
};
const shared: VolumeHeader = { scheme: "voprf", ...common, roster };
const heads = [pieces, shared].map((header) => encodeVolumeHead(suite, { header, fileKey }));

/** A header that is not what `encodeVolumeHead` would write, with a MAC that verifies. */
function headOf(header: Cbor, length?: number): Uint8Array {
  const encoded = encodeCbor(header);
  const prefix = heads[0]!.slice(0, prefixLength);
  viewOf(prefix).setUint32(prefixLength - 4, length ?? encoded.length);
  const key = suite.hkdfSha256(fileKey, salt, utf8("edgeward/header/1"), 32);
  return concat(prefix, encoded, suite.hmacSha256(key, concat(prefix, encoded)));
}

function membersOf(head: Uint8Array): ReadonlyMap<string, Cbor> {
  return decodeCbor(head.subarray(prefixLength, -32)) as ReadonlyMap<string, Cbor>;
}

Deno.test("a head is what it was sealed as", () => {
  for (const [i, header] of [pieces, shared].entries()) {
    const head = decodeVolumeHead(heads[i]!);
    assert.deepEqual(head.header, header);
    assert.deepEqual(unwrapFileKey(suite, { kek, header: head.header }), fileKey);
    verifyVolumeHead(suite, { head, fileKey });
    assert.equal(volumeHeadLength(heads[i]!.subarray(0, prefixLength)), heads[i]!.length);
  }
});

Deno.test("the head of fixed keys is these bytes", () => {
  const [head] = heads;
  assert.equal(toHex(head!.subarray(0, 22)), "65646765776172642f766f6c756d652f310a0000011a");
  assert.equal(
    toHex(suite.sha256(head!)),
    "22fe2b2264c601f6a83f2a68cf381b19b9fdf48d045ef837b035eef94bc22d53",
  );
  assert.equal(
    toHex(mountKey(suite, { fileKey, volume })),
    "067b0b6e3eb6e461d718aa6b5e7eb8d4c131430b97c9c314098a5ab70f9c04e3",
  );
  assert.equal(
    toHex(payloadKey(suite, { fileKey, salt })),
    "04c442f329a7c3396ed50b61e0e9baf06ae2192164cd13ef352cb1961d3fcf03",
  );
});

Deno.test("WebCrypto reads a head by the text of the protocol", async () => {
  const [head] = heads;
  const text = new TextDecoder().decode(head!.subarray(0, 18));
  assert.equal(text, "edgeward/volume/1\n");
  const length = new DataView(head!.buffer, head!.byteOffset).getUint32(18);
  const members = membersOf(head!);
  assert.equal(head!.length, 18 + 4 + length + 32);
  assert.deepEqual([members.get("k"), members.get("n"), members.get("scheme")], [2, 3, "shamir"]);
  const ikm = await crypto.subtle.importKey("raw", fileKey, "HKDF", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt, info: new TextEncoder().encode("edgeward/header/1") },
    ikm,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["verify"],
  );
  assert.ok(
    await crypto.subtle.verify(
      "HMAC",
      key,
      head!.slice(18 + 4 + length),
      head!.slice(0, 18 + 4 + length),
    ),
  );
  const wrapped = members.get("wrapped") as Uint8Array;
  const wrapping = await crypto.subtle.importKey("raw", kek, "AES-GCM", false, ["decrypt"]);
  const plain = await crypto.subtle.decrypt(
    { name: "AES-GCM", iv: wrapped.slice(0, 12), additionalData: volume },
    wrapping,
    wrapped.slice(12),
  );
  assert.deepEqual(new Uint8Array(plain), fileKey);
});

Deno.test("every flipped bit of a head, and every cut, is noticed", () => {
  for (const bytes of heads) {
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << (at % 8);
      assert.throws(() => opened(flipped), VolumeError, `byte ${at}`);
      assert.throws(() => opened(bytes.subarray(0, at)), VolumeError, `cut at ${at}`);
    }
    assert.throws(() => opened(concat(bytes, Uint8Array.of(0))), VolumeError);
  }
});

function opened(bytes: Uint8Array): VolumeHeader {
  const head = decodeVolumeHead(bytes);
  verifyVolumeHead(suite, { head, fileKey });
  return head.header;
}

Deno.test("a head of another file key, or another volume's, does not verify", () => {
  const other = suite.randomBytes(32);
  const head = decodeVolumeHead(encodeVolumeHead(suite, { header: pieces, fileKey: other }));
  assert.throws(() => verifyVolumeHead(suite, { head, fileKey }), { code: "header_forged" });
  const moved = { ...pieces, volume: count(16, 1) };
  assert.equal(unwrapFileKey(suite, { kek, header: moved }), null);
  assert.equal(unwrapFileKey(suite, { kek: other, header: pieces }), null);
});

Deno.test("a file key is wrapped under a nonce of its own each time", () => {
  const wrap = () => wrapFileKey(suite, { kek, volume, fileKey });
  const [one, two] = [wrap(), wrap()];
  assert.equal(one.length, 60);
  assert.ok(!equalBytes(one, two));
  assert.deepEqual(unwrapFileKey(suite, { kek, header: { ...pieces, wrapped: one } }), fileKey);
});

Deno.test("a header is strict and bounded, whoever made its MAC", () => {
  const [ofPieces, ofGroup] = heads.map(membersOf);
  const one = [...(ofPieces!.get("pieces") as readonly Cbor[])];
  const wrong: [ReadonlyMap<string, Cbor>, ...Record<string, Cbor>[]][] = [
    [
      ofPieces!,
      ...[{ scheme: "tang" }, { scheme: "xor" }, { k: 1 }, { k: 4 }, { n: 2 }, { n: 33 }, { x: 1 }],
      ...[{ pieces: one.slice(1) }, { pieces: [one[0]!, one[1]!, one[1]!] }, { pieces: "x" }],
      ...[{ pieces: [one[0]!, one[1]!, ["gw-3"]] }, { pieces: [one[0]!, one[1]!, ["a/b", salt]] }],
      ...[{ wrapped: new Uint8Array(59) }, { salt: volume }, { volume: salt }],
      { pieces: [one[0]!, one[1]!, ["gw-3", salt, 1]] },
    ],
    [ofGroup!, { k: 1 }, { n: 4 }, { group: salt }, { pieces: one }, { roster: salt }],
  ];
  for (const [map, ...alterations] of wrong) {
    for (const members of alterations) {
      const bytes = headOf(new Map([...map, ...Object.entries(members as Record<string, Cbor>)]));
      assert.throws(() => decodeVolumeHead(bytes), { code: "header_malformed" });
    }
  }
});

Deno.test("a file that begins otherwise is no volume, and a long header is not read", () => {
  for (
    const text of ["", "edgeward/volume/1", "edgeward/volume/2\n....", "age-encryption.org/v1"]
  ) {
    assert.throws(() => volumeHeadLength(utf8(text)), { code: "not_a_volume" });
  }
  assert.equal(volumeHeadLength(headOf(new Map(), 65_536)), 65_536 + prefixLength + 32);
  assert.throws(() => volumeHeadLength(headOf(new Map(), 65_537)), { code: "header_malformed" });
});

Deno.test("decodeVolumeHead() gives only what it would write itself, or its own error", () => {
  let taken = 0;
  for (const input of mutationsOf(heads, { seed: 5, count: 20_000 })) {
    try {
      const { header } = decodeVolumeHead(input);
      taken++;
      const same = encodeVolumeHead(suite, { header, fileKey });
      assert.deepEqual(same.subarray(0, -32), input.subarray(0, -32));
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
    }
  }
  assert.ok(taken > 100, `${taken}`);
});

Deno.test("a header with as many members as there can be is read", () => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 32 }), (n) => {
    const header: VolumeHeader = {
      ...{ scheme: "xor", k: n, ...common },
      pieces: Array.from({ length: n }, (_, i) => {
        return { gateway: parseId(`gw-${i}`), commitment: count(32, i) };
      }),
    };
    assert.deepEqual(opened(encodeVolumeHead(suite, { header, fileKey })), header);
  }));
});
