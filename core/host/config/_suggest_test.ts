/** Tests of "did you mean". */
import assert from "node:assert/strict";
import { closest, suggest } from "./_suggest.ts";

Deno.test("closest() finds a misspelt word", () => {
  const words = ["window", "cloud", "listen", "tls_cert_file"];
  assert.equal(closest("windo", words), "window");
  assert.equal(closest("clodu", words), "cloud");
  assert.equal(closest("tls-cert-file", words), "tls_cert_file");
  assert.equal(closest("LISTEN", words), "listen");
  assert.equal(closest("url", words), undefined);
  assert.equal(closest("", words), undefined);
  assert.equal(closest("x".repeat(1_000_000), words), undefined);
});

Deno.test("suggest() lists the known words when none is near", () => {
  assert.equal(suggest("windo", ["window"], "keys"), 'did you mean "window"?');
  assert.equal(suggest("qqq", ["a", "b"], "keys"), "known keys: a, b");
  assert.equal(suggest("qqq", [], "keys"), undefined);
});
