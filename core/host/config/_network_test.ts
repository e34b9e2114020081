/** Tests of networks as people write them. */
import assert from "node:assert/strict";
import { network } from "./_network.ts";

const schema = network();

Deno.test("network() takes addresses and networks of both families", () => {
  for (const text of ["192.0.2.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "fd00::/8", "::/128"]) {
    assert.equal(schema.parse(text), text);
  }
});

Deno.test("network() refuses whatever else", () => {
  const texts = [
    "",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "::/129",
    "10.0.0/8",
    "a.example",
    "1.2.3.4/x",
  ];
  for (const text of texts) assert.equal(schema.safeParse(text).success, false, text);
});
