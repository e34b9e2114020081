/**
 * JSON-RPC: what was encoded comes back, whatever else comes is refused with the codec's own error, and
 * nothing that two readers could understand differently is taken.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../base/bytes.ts";
import { mutationsOf } from "./_mutations.ts";
import { decodeRpc, encodeRefusal, encodeRpc, readRpc, refusalIn, RpcError } from "./json_rpc.ts";
import { type Json, rpcLimit, type RpcMessage } from "./json_rpc.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const malformed = { name: "RpcError", code: "malformed" };

const id = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/), fc.maxSafeInteger());
const json = fc.jsonValue({ maxDepth: 5, noUnicodeString: false }).map((value) =>
  // whole numbers that a double cannot hold, and these names, are no JSON here
  JSON.parse(
    JSON.stringify(value),
    (_, one) =>
      typeof one === "number" && Number.isInteger(one) && !Number.isSafeInteger(one) ? 0.5 : one,
  ) as Json
).filter((value) => !/\\u[dD][89a-fA-F]|"__proto__":/.test(JSON.stringify(value)));
const params = fc.oneof(fc.array(json), fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), json));
const message = fc.oneof(
  fc.record({
    kind: fc.constant("request"),
    id,
    method: fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/),
    params,
    once: fc.stringMatching(/^[0-9a-f]{32}$/),
  }, { requiredKeys: ["kind", "id", "method"] }),
  fc.record({ kind: fc.constant("result"), id, result: json }),
  fc.record({
    kind: fc.constant("error"),
    id,
    error: fc.record({
      code: fc.maxSafeInteger(),
      message: fc.stringMatching(/^[ -~]*$/),
      data: json,
    }, {
      requiredKeys: ["code", "message"],
    }),
  }),
) as fc.Arbitrary<RpcMessage>;

/** Prototypes apart, and −0, which JSON has and people do not mean. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

Deno.test("decodeRpc() gives back what was encoded, and as the same bytes", () => {
  fc.assert(fc.property(message, (message) => {
    const bytes = encodeRpc(message);
    assert.equal(bytes[0], 0x7b);
    assert.deepEqual(plain(decodeRpc(bytes)), plain(message));
    assert.deepEqual(encodeRpc(decodeRpc(bytes)), bytes);
  }));
});

Deno.test("readRpc() sees of a message whose it is, and whether it is a refusal of ours", () => {
  fc.assert(fc.property(message, (message) => {
    const head = readRpc(encodeRpc(message));
    assert.equal(head.kind, message.kind === "request" ? "request" : "response");
    assert.ok(Object.is(head.id, message.id) || head.id === 0);
  }));
  const refusal = encodeRefusal("x", "too_hot", "It is too hot for that");
  assert.deepEqual(readRpc(refusal), { kind: "response", id: "x", refusal: "too_hot" });
  assert.equal(
    text(refusal),
    '{"jsonrpc":"2.0","id":"x","error":{"code":-32000,"message":"It is too hot for that",' +
      '"data":{"code":"too_hot"}}}',
  );
  for (const [code, number] of [["method_not_found", -32601], ["unavailable", -32603]] as const) {
    const { error } = plain(decodeRpc(encodeRefusal(1, code, ""))) as { error: { code: number } };
    assert.equal(error.code, number);
  }
});

Deno.test("encodeRefusal() makes any message one that can be read", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 500 }), (message) => {
    decodeRpc(encodeRefusal(1, "x", `${message}\ud800`));
  }));
});

Deno.test("refusalIn() takes no other data for a code of ours", () => {
  const data: (Json | undefined)[] = [undefined, null, [], "code", { code: 7 }, { code: "A b" }];
  data.push({ code: "" }, { code: "x".repeat(65) });
  for (const one of data) {
    const error = { code: 1, message: "", ...(one !== undefined && { data: one }) };
    assert.equal(refusalIn(error), null);
  }
  assert.equal(refusalIn({ code: 1, message: "", data: { code: "x.y_9", more: 1 } }), "x.y_9");
});

Deno.test("decodeRpc() refuses what is no message of JSON-RPC 2.0", () => {
  const head = '"jsonrpc":"2.0","id":1';
  const messages = [
    ...["", "{", "{}", "[]", "null", "7", '"x"', " {}", `[{${head},"method":"m"}]`],
    `{${head}}`,
    `{"id":1,"method":"m"}`,
    `{"jsonrpc":"1.0","id":1,"method":"m"}`,
    `{"jsonrpc":2.0,"id":1,"method":"m"}`,
    // a notification, and ids that are none
    ...['{"jsonrpc":"2.0","method":"m"}', '{"jsonrpc":"2.0","id":null,"method":"m"}'],
    ...["1.5", '""', '"a b"', '"ä"', "true", "[1]", "{}", "9007199254740992", `"${"x".repeat(65)}"`]
      .map((id) => `{"jsonrpc":"2.0","id":${id},"method":"m"}`),
    // methods that could be mistaken for something else
    ...['""', '"a b"', '"a\\nb"', '"a/b"', '"a*"', "7", "null", `"${"x".repeat(65)}"`]
      .map((method) => `{${head},"method":${method}}`),
    ...["7", '"x"', "null", "true"].map((params) => `{${head},"method":"m","params":${params}}`),
    ...["7", '"x"', `"${"A".repeat(32)}"`, `"${"a".repeat(31)}"`]
      .map((once) => `{${head},"method":"m","once":${once}}`),
    // members of two kinds of messages, or of none
    `{${head},"method":"m","result":1}`,
    `{${head},"result":1,"error":{"code":1,"message":""}}`,
    `{${head},"result":1,"once":"${"a".repeat(32)}"}`,
    `{${head},"method":"m","more":1}`,
    ...[
      "1",
      "null",
      "[]",
      "{}",
      '{"code":1}',
      '{"code":1.5,"message":""}',
      '{"code":"1","message":""}',
    ]
      .map((error) => `{${head},"error":${error}}`),
    `{${head},"error":{"code":1,"message":7}}`,
    `{${head},"error":{"code":1,"message":"","more":1}}`,
    // what two readers could understand differently
    `{${head},"id":1,"method":"m"}`,
    `{${head},"method":"m","\\u006dethod":"n"}`,
    `{${head},"method":"m","params":{"a":1,"a":2}}`,
    `{${head},"method":"m","params":{"__proto__":{}}}`,
    `{${head},"method":"m","params":["\\ud800"]}`,
    `{${head},"method":"m","params":[1e999]}`,
    `{${head},"method":"m"} x`,
    `{${head},"method":"m","params":${"[".repeat(16)}${"]".repeat(16)}}`,
  ];
  for (const message of messages) {
    assert.throws(() => decodeRpc(utf8(message)), malformed, message);
  }
  assert.throws(() => decodeRpc(Uint8Array.of(0x7b, 0xff, 0x7d)), malformed);
  decodeRpc(utf8(`{${head},"method":"m","params":${"[".repeat(15)}${"]".repeat(15)}}`));
  decodeRpc(utf8(` {${head},"method":"m"}`.trim()));
});

Deno.test("decodeRpc() takes 65,519 bytes and no more", () => {
  const of = (length: number) => {
    const frame = text(encodeRpc({ kind: "result", id: 1, result: "" }));
    return utf8(frame.replace('""', `"${"x".repeat(length - frame.length)}"`));
  };
  assert.equal(of(rpcLimit).length, 65_519);
  decodeRpc(of(rpcLimit));
  assert.throws(() => decodeRpc(of(rpcLimit + 1)), { name: "RpcError", code: "too_large" });
  const result = "x".repeat(rpcLimit);
  assert.throws(() => encodeRpc({ kind: "result", id: 1, result }), { code: "too_large" });
});

Deno.test("encodeRpc() writes nothing that it would not read", () => {
  const wrong: unknown[] = [
    { kind: "request", id: 1, method: "a b" },
    { kind: "request", id: 1, result: 1 },
    { kind: "result", id: 1, method: "m" },
    { kind: "result", id: 1 },
    { kind: "error", id: 1, error: { code: 1 } },
    { kind: "request", id: "", method: "m" },
    { kind: "result", id: 1, result: "\ud800" },
  ];
  for (const message of wrong) assert.throws(() => encodeRpc(message as RpcMessage), malformed);
});

Deno.test("decodeRpc() throws only its own error, at anything that is almost right", () => {
  const samples = [
    encodeRpc({ kind: "request", id: "a-1", method: "relay.set", params: { on: true, n: [1, 2] } }),
    encodeRpc({ kind: "result", id: 7, result: ["ü", null, -0.5e-3] }),
    encodeRefusal(7, "too_hot", "no"),
  ];
  let read = 0;
  for (const bytes of mutationsOf(samples, { seed: 7, count: 50_000 })) {
    try {
      const message = decodeRpc(bytes);
      assert.deepEqual(plain(decodeRpc(encodeRpc(message))), plain(message));
      read++;
    } catch (error) {
      assert.ok(error instanceof RpcError, `${error}: ${text(bytes)}`);
    }
  }
  assert.ok(read > 100, `${read} were read`);
});
