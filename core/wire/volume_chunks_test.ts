/**
 * Chunks of a volume: whatever was sealed comes back, in one division; nothing that was cut, moved,
 * altered or added opens.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, toHex } from "../base/bytes.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { nobleSuite } from "../trust/crypto_noble.ts";
import { VolumeError } from "./volume.ts";
import {
  chunkCount,
  chunkLength,
  ChunkOpener,
  ChunkSealer,
  sealedChunkLength,
} from "./volume_chunks.ts";

const suite = nativeSuite();
const key = Uint8Array.from({ length: 32 }, (_, i) => i);
const lengths = [0, 1, 15, 16, 17, chunkLength - 1, chunkLength, chunkLength + 1, 2 * chunkLength];

function payloadOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 31 * i + (i >> 16));
}

/** The chunks of a payload, sealed. */
function sealed(payload: Uint8Array, by = suite): Uint8Array[] {
  const sealer = new ChunkSealer(by, key);
  const chunks = Math.max(1, Math.ceil(payload.length / chunkLength));
  return Array.from({ length: chunks }, (_, i) => {
    const chunk = payload.subarray(i * chunkLength, (i + 1) * chunkLength);
    return sealer.seal(chunk, i === chunks - 1);
  });
}

/** Reads as a file is read: by its length alone. @throws VolumeError */
function opened(bytes: Uint8Array, by = suite): Uint8Array {
  const opener = new ChunkOpener(by, key);
  const chunks = chunkCount(bytes.length);
  return concat(...Array.from({ length: chunks }, (_, i) => {
    const chunk = bytes.subarray(i * sealedChunkLength, (i + 1) * sealedChunkLength);
    return opener.open(chunk, i === chunks - 1);
  }));
}

Deno.test("payloads of every length around a chunk come back, by any Suite", () => {
  const noble = nobleSuite(suite.randomBytes);
  for (const length of lengths) {
    const payload = payloadOf(length);
    const bytes = concat(...sealed(payload));
    const chunks = Math.max(1, Math.ceil(length / chunkLength));
    assert.equal(bytes.length, length + 16 * chunks);
    assert.ok(toHex(suite.sha256(opened(bytes))) === toHex(suite.sha256(payload)), `${length}`);
    if (length <= 17) assert.deepEqual(opened(bytes, noble), payload);
  }
});

Deno.test("chunks of fixed keys are these bytes", () => {
  assert.equal(toHex(concat(...sealed(new Uint8Array(0)))), "367ef8288831557408e102950a16e26a");
  assert.equal(toHex(concat(...sealed(payloadOf(1)))), "150bf78d5d4519e5ec03772a4606838fe3");
  assert.equal(
    toHex(suite.sha256(concat(...sealed(payloadOf(chunkLength + 1))))),
    "88ff5ab35973945e5fb1d3c1886765cf6d7530af34a958e4530fc97f0bc97d2f",
  );
});

Deno.test("a payload ends where it was sealed to end", () => {
  for (const length of lengths) {
    const bytes = concat(...sealed(payloadOf(length)));
    const cuts = new Set([0, 1, 15, 16, 17, bytes.length - 1, bytes.length - 16]);
    for (const multiple of [1, 2]) {
      for (const by of [-1, 0, 1, 16]) cuts.add(multiple * sealedChunkLength + by);
    }
    for (const cut of cuts) {
      if (cut < 0 || cut >= bytes.length) continue;
      assert.throws(() => opened(bytes.subarray(0, cut)), VolumeError, `${length} cut at ${cut}`);
    }
    for (const more of [1, 16, 17, sealedChunkLength]) {
      const longer = concat(bytes, new Uint8Array(more));
      assert.throws(() => opened(longer), VolumeError, `${length} and ${more} more`);
    }
    const twice = concat(bytes, bytes);
    assert.throws(() => opened(twice), VolumeError, `${length} twice`);
  }
});

Deno.test("any cut and any flip of a payload of two chunks is noticed", () => {
  const bytes = concat(...sealed(payloadOf(chunkLength + 100)));
  const place = fc.integer({ min: 0, max: bytes.length - 1 });
  fc.assert(fc.property(place, fc.integer({ min: 0, max: 7 }), (at, bit) => {
    assert.throws(() => opened(bytes.subarray(0, at)), VolumeError);
    const flipped = bytes.slice();
    flipped[at]! ^= 1 << bit;
    assert.throws(() => opened(flipped), VolumeError);
  }));
});

Deno.test("chunks do not change places, and are not taken from another payload", () => {
  const [a, b, c] = sealed(payloadOf(3 * chunkLength));
  for (const order of [[b, a, c], [a, c, b], [a, a, c], [a, b, b], [c, b, a], [b, c]]) {
    assert.throws(() => opened(concat(...order as Uint8Array[])), { code: "chunk_damaged" });
  }
  const other = new ChunkSealer(suite, key.toReversed()).seal(payloadOf(chunkLength), false);
  assert.throws(() => opened(concat(other, b!, c!)), { code: "chunk_damaged" });
});

Deno.test("a payload has one division: nobody seals or opens another", () => {
  const sealer = () => new ChunkSealer(suite, key);
  const whole = payloadOf(chunkLength);
  assert.throws(() => sealer().seal(payloadOf(1), false), { code: "chunk_misplaced" });
  assert.throws(() => sealer().seal(payloadOf(chunkLength + 1), true), { code: "chunk_misplaced" });
  const one = sealer();
  one.seal(whole, false);
  // an empty last chunk: the whole one before it should have been the last
  assert.throws(() => one.seal(payloadOf(0), true), { code: "chunk_misplaced" });
  one.seal(whole, true);
  assert.throws(() => one.seal(payloadOf(1), true), { code: "chunk_misplaced" });
  const opener = new ChunkOpener(suite, key);
  for (const length of [0, 15, 16, sealedChunkLength - 1, sealedChunkLength + 1]) {
    const chunk = new Uint8Array(length);
    assert.throws(() => opener.open(chunk, false), { code: "chunk_misplaced" });
  }
});

Deno.test("the place of a chunk is a number of 11 bytes", () => {
  const nonces: string[] = [];
  const spy = {
    ...suite,
    aes256gcm: {
      ...suite.aes256gcm,
      seal: (_key: Uint8Array, nonce: Uint8Array) => (nonces.push(toHex(nonce)), nonce),
    },
  };
  const sealer = new ChunkSealer(spy, key);
  const whole = new Uint8Array(chunkLength);
  for (let i = 0; i < 65_537; i++) sealer.seal(whole, false);
  sealer.seal(whole, true);
  assert.equal(nonces[0], "00".repeat(12));
  assert.equal(nonces[258], "000000000000000000" + "0102" + "00");
  assert.equal(nonces[65_537], "0000000000000000" + "010001" + "01");
  assert.equal(new Set(nonces).size, nonces.length);
});

Deno.test("chunkCount() refuses lengths that no payload has", () => {
  const whole = sealedChunkLength;
  for (const length of [0, 15, whole + 1, whole + 16, 2 * whole + 8]) {
    assert.throws(() => chunkCount(length), { code: "chunk_damaged" }, `${length}`);
  }
  assert.deepEqual([16, 17, whole, whole + 17, 2 * whole].map(chunkCount), [1, 1, 1, 2, 2]);
});
