/** Who counts as one machine, and how many places it can take. */
import assert from "node:assert/strict";
import { holderOf, Places } from "./_places.ts";

Deno.test("holderOf() takes an IPv6 network of 64 bits for one machine", () => {
  const same = [
    [
      "2001:db8:0:1::1",
      "2001:db8:0:1:ffff:ffff:ffff:ffff",
      "2001:0DB8::1:0:0:0:9",
      "2001:db8:0:1::/64",
    ],
    ["fe80::1", "fe80::2%eth0"],
    ["::2", "::ffff:0:1"],
    ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:192.0.2.1"],
    ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "0:0:0:0::/64"],
  ];
  const holders = same.map((addresses) => {
    const [holder, ...others] = new Set(addresses.map(holderOf));
    assert.deepEqual(others, [], `${addresses}`);
    return holder;
  });
  assert.equal(new Set(holders).size, same.length);
  assert.notEqual(holderOf("192.0.2.1"), holderOf("192.0.2.2"));
  assert.notEqual(holderOf("2001:db8:0:1::1"), holderOf("2001:db8:0:2::1"));
});

Deno.test("Places bounds each address and all together, and keeps some for this machine", () => {
  const places = new Places({ total: 4, perAddress: 2, reserved: 1 });
  const take = (address: string) => {
    const place = places.take(address);
    assert.ok(typeof place === "function", address);
    return place;
  };
  const [first] = [take("192.0.2.1"), take("192.0.2.1")];
  assert.equal(places.take("192.0.2.1"), "address");
  take("192.0.2.2");
  take("127.0.0.1");
  assert.equal(places.take("192.0.2.3"), "full");
  const local = take("127.0.0.1");
  assert.equal(places.take("127.0.0.1"), "full");
  local();
  assert.equal(places.take("192.0.2.3"), "full");
  first!();
  take("192.0.2.1");
  assert.equal(places.take("192.0.2.1"), "full");
});
