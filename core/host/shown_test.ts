/** Facts as people read them. */
import assert from "node:assert/strict";
import { addressText, amountText, markOf } from "./shown.ts";

Deno.test("amountText() gives a few digits and a unit that suits them", () => {
  const amounts = [0, 49, 50, 1_234, 94_208, 1_234_567, 999_499_999, 83.4e9, 12e12].map(amountText);
  assert.deepEqual(amounts, [
    ...["0 kB", "0 kB", "0.1 kB", "1.2 kB", "94 kB", "1.2 MB", "999 MB", "83 GB", "12000 GB"],
  ]);
});

Deno.test("addressText() puts IPv6 into brackets", () => {
  assert.equal(addressText({ hostname: "127.0.0.1", port: 80 }), "127.0.0.1:80");
  assert.equal(addressText({ hostname: "::1", port: 80 }), "[::1]:80");
});

Deno.test("markOf() takes what is still starting for not working", () => {
  const states = ["ok", "degraded", "failed", "starting"] as const;
  assert.deepEqual(states.map(markOf), ["[+]", "[~]", "[-]", "[-]"]);
});
