/** The frame: its bytes as the specification has them, and which bytes are none. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, toHex } from "../../base/bytes.ts";
import { decodeFrame, encodeFrame, encodeHeader, FrameType, headerLength } from "./frame.ts";

const session = fromHex("a1a2a3a4a5a6a7a8");
const body = fromHex("b1b2b3");
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const malformed = { name: "FrameError", code: "malformed" };

Deno.test("encodeFrame() writes version, type, session, number and body", () => {
  const frames: [string, FrameType, number][] = [
    ["0201a1a2a3a4a5a6a7a80000000000000000b1b2b3", FrameType.message1, 0],
    ["0202a1a2a3a4a5a6a7a80000000000000000b1b2b3", FrameType.message2, 0],
    ["0203a1a2a3a4a5a6a7a80000000000000000b1b2b3", FrameType.message3, 0],
    ["0204a1a2a3a4a5a6a7a80000000000010203b1b2b3", FrameType.data, 0x010203],
    ["0204a1a2a3a4a5a6a7a8001fffffffffffffb1b2b3", FrameType.data, Number.MAX_SAFE_INTEGER],
    ["0205a1a2a3a4a5a6a7a80000000000000000b1b2b3", FrameType.unknown, 0],
  ];
  for (const [hex, type, seq] of frames) {
    assert.equal(toHex(encodeFrame(type, session, seq, body)), hex);
    assert.equal(toHex(encodeHeader(type, session, seq)), hex.slice(0, 36));
    const header = fromHex(hex).subarray(0, headerLength);
    assert.deepEqual(decodeFrame(fromHex(hex)), { type, session, seq, header, body });
  }
});

Deno.test("decodeFrame() gives back what was encoded, as views into the bytes", () => {
  const seqs = fc.oneof(fc.nat(70_000), fc.maxSafeNat());
  fc.assert(fc.property(bytes(8), seqs, fc.uint8Array({ maxLength: 64 }), (session, seq, body) => {
    const whole = encodeFrame(FrameType.data, session, seq, body);
    const frame = decodeFrame(whole);
    const header = whole.subarray(0, headerLength);
    assert.deepEqual(frame, { type: FrameType.data, session, seq, header, body });
    for (const part of [frame.session, frame.header, frame.body]) {
      assert.equal(part.buffer, whole.buffer);
    }
  }));
});

Deno.test("decodeFrame() refuses every version but 2, whatever follows", () => {
  const frame = encodeFrame(FrameType.data, session, 1, body);
  const wrong = { name: "FrameError", code: "wrong_version" };
  for (let version = 0; version < 256; version++) {
    if (version === 2) continue;
    assert.throws(() => decodeFrame(frame.with(0, version)), wrong, `${version}`);
    assert.throws(() => decodeFrame(Uint8Array.of(version)), wrong, `${version}`);
  }
});

Deno.test("decodeFrame() refuses types that there are not, and less than a header", () => {
  const frame = encodeFrame(FrameType.data, session, 0, new Uint8Array(0));
  for (let type = 0; type < 256; type++) {
    if (type >= 1 && type <= 5) assert.equal(decodeFrame(frame.with(1, type)).type, type);
    else assert.throws(() => decodeFrame(frame.with(1, type)), malformed, `${type}`);
  }
  for (let length = 0; length < headerLength; length++) {
    assert.throws(() => decodeFrame(frame.subarray(0, length)), malformed, `${length}`);
  }
});

Deno.test("decodeFrame() refuses numbers above 2^53 - 1, and any but 0 outside of data", () => {
  const numbered = (type: FrameType, hex: string) =>
    concat(Uint8Array.of(2, type), session, fromHex(hex), body);
  for (const hex of ["0020000000000000", "0020000000000001", "8000000000000000", "ff".repeat(8)]) {
    assert.throws(() => decodeFrame(numbered(FrameType.data, hex)), malformed, hex);
  }
  const { seq } = decodeFrame(numbered(FrameType.data, "001fffffffffffff"));
  assert.equal(seq, Number.MAX_SAFE_INTEGER);
  for (const type of [1, 2, 3, 5] as const) {
    for (const hex of ["0000000000000001", "0100000000000000"]) {
      assert.throws(() => decodeFrame(numbered(type, hex)), malformed, `${type} ${hex}`);
    }
  }
});
