/** JSON-RPC as profile v1 carries it: back as it went, or refused with this folder's own error. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../base/bytes.ts";
import { decodeRpc, encodeRpc, encodeStamped, type Rpc, rpcLimit } from "./rpc.ts";

const json = fc.jsonValue({ maxDepth: 5 })
  .filter((value) => !/"__proto__"|[^.\d]\d{16,}|:-0\b/.test(JSON.stringify({ value })));
const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const id = fc.oneof(name, fc.maxSafeNat());
const rpc = fc.oneof(
  fc.record({
    kind: fc.constant("request"),
    method: fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/),
    id,
    params: fc.oneof(
      fc.array(json),
      fc.dictionary(name.filter((name) => name !== "__proto__"), json),
    ),
  }, { requiredKeys: ["kind", "method", "id"] }),
  fc.record({ kind: fc.constant("response"), id, result: json }),
  fc.record({
    kind: fc.constant("response"),
    id,
    error: fc.record(
      { code: fc.integer(), message: fc.string({ unit: "grapheme" }), data: json },
      { requiredKeys: ["code", "message"] },
    ),
  }),
).filter((value) => encodeRpc(value as Rpc).length < 10_000) as fc.Arbitrary<Rpc>;

Deno.test("decodeRpc() gives back what encodeRpc() was given", () => {
  fc.assert(fc.property(rpc, (rpc) => {
    const again = decodeRpc(encodeRpc(rpc));
    assert.deepEqual(JSON.parse(JSON.stringify(again)), JSON.parse(JSON.stringify(rpc)));
  }));
});

Deno.test("decodeRpc() throws only LegacyError, which quotes nothing", () => {
  fc.assert(fc.property(rpc, fc.nat(), fc.integer({ min: 1, max: 255 }), (rpc, at, mask) => {
    const bytes = encodeRpc(rpc);
    bytes[at % bytes.length]! ^= mask;
    try {
      decodeRpc(bytes);
    } catch (error) {
      assert.equal((error as Error).name, "LegacyError");
      assert.equal((error as Error).cause, undefined, "a cause may quote what was inside");
    }
  }));
});

Deno.test("encodeStamped() refuses what no receiver takes", () => {
  const stamp = { nonce: "00".repeat(12), timestamp: 1 };
  const request = { kind: "request", method: "ping", id: "a" } as const;
  const deep = JSON.parse("[".repeat(16) + "]".repeat(16));
  for (
    const wrong of [
      { ...request, method: "a\nb" },
      { ...request, method: "" },
      { ...request, id: "a\nb" },
      { ...request, id: -1 },
      { ...request, id: 0.5 },
      { ...request, id: 2 ** 53 },
      { ...request, params: deep },
      { ...request, params: [2 ** 53] },
      { ...request, params: ["\ud834"] },
      { kind: "response", id: "a", error: { code: 0.5, message: "" } } as const,
      { kind: "response", id: "a", error: { code: 1, message: "", why: 1 } } as Rpc,
    ]
  ) {
    assert.throws(() => encodeStamped(wrong, stamp), { code: "malformed" }, JSON.stringify(wrong));
  }
  const overhead = encodeStamped({ ...request, params: [""] }, stamp).length;
  const params = (length: number) => ({ ...request, params: ["x".repeat(length)] });
  assert.equal(encodeStamped(params(rpcLimit - overhead), stamp).length, rpcLimit);
  assert.throws(() => encodeStamped(params(rpcLimit - overhead + 1), stamp), { code: "too_large" });
  assert.throws(() => decodeRpc(utf8(`{"a":"${"x".repeat(rpcLimit)}"}`)), { code: "malformed" });
});
