/** Text forms of bytes: inverse to each other, and strict. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, equalBytes, fromBase64url, fromHex, toBase64url, toHex } from "./bytes.ts";
import { Secret } from "./secret.ts";
import { isId, parseId } from "./id.ts";

Deno.test("toHex() and toBase64url() agree with the platform and are undone", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    assert.equal(toHex(bytes), bytes.toHex());
    assert.equal(toBase64url(bytes), bytes.toBase64({ alphabet: "base64url", omitPadding: true }));
    assert.deepEqual(fromHex(toHex(bytes)), bytes);
    assert.deepEqual(fromBase64url(toBase64url(bytes)), bytes);
  }));
});

Deno.test("fromBase64url() refuses padding, foreign characters and stray bits", () => {
  for (const text of ["AA==", "A", "A+", "A/", "AB", "AAB"]) {
    assert.throws(() => fromBase64url(text), SyntaxError, text);
  }
});

Deno.test("equalBytes() compares contents and lengths", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
    assert.equal(equalBytes(a, b), toHex(a) === toHex(b));
    assert.ok(equalBytes(concat(a, b), concat(a, b)));
  }));
});

Deno.test("Secret shows itself to nobody but reveal()", () => {
  const secret = new Secret("hunter2");
  for (const shown of [`${secret}`, JSON.stringify({ secret }), Deno.inspect({ secret })]) {
    assert.ok(!shown.includes("hunter2"), shown);
  }
  assert.equal(secret.reveal(), "hunter2");
});

Deno.test("Secret.wipe() overwrites bytes and forgets them", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const secret = new Secret(bytes);
  secret.wipe();
  assert.deepEqual(bytes, new Uint8Array(3));
  assert.throws(() => secret.reveal());
});

Deno.test("parseId() takes the portable alphabet only", () => {
  for (const id of ["a", "M-01_x", "9".repeat(64)]) assert.equal(parseId(id), id);
  for (const id of ["", "#", "+", "a/b", "a.b", "a b", "ä", "x".repeat(65), "a\n", 7, null]) {
    assert.equal(isId(id), false);
    assert.throws(() => parseId(id), { code: "id_invalid" });
  }
});
