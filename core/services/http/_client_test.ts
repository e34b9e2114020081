/** Tests of who counts as one client. */
import assert from "node:assert/strict";
import { clients } from "./_client.ts";

Deno.test("clients() take an IPv4 address, and the /64 of an IPv6 one", () => {
  const { of } = clients();
  const same: Record<string, string> = {
    "192.0.2.1": "192.0.2.1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "2001:DB8:1:2::6": "2001:db8:1:2::/64",
    "2001:db8::6": "2001:db8:0:0::/64",
    "2001:db8::": "2001:db8:0:0::/64",
    "::1": "0:0:0:0::/64",
    "::": "0:0:0:0::/64",
    "fe80::1%eth0": "fe80:0:0:0::/64",
    "64:ff9b::192.0.2.1": "64:ff9b:0:0::/64",
    "1:2:3::4:5:192.0.2.1": "1:2:3:0::/64",
    "1:2:3:4:5:6:192.0.2.1": "1:2:3:4::/64",
  };
  for (const [address, client] of Object.entries(same)) assert.equal(of(address), client);
});

Deno.test("clients() believe nobody unless a proxy is trusted", () => {
  assert.equal(clients().of("192.0.2.1", "198.51.100.7"), "192.0.2.1");
  const { of, isProxy } = clients(["10.0.0.0/8", "::1", "fd00::/8"]);
  assert.equal(of("192.0.2.1", "198.51.100.7"), "192.0.2.1");
  assert.deepEqual(["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "11.1.2.3"].map(isProxy), [
    true,
    true,
    true,
    false,
  ]);
});

Deno.test("clients() take the last entry of X-Forwarded-For that no trusted proxy is", () => {
  const { of } = clients(["10.0.0.0/8", "::1"]);
  const heard: Record<string, string> = {
    "198.51.100.7": "198.51.100.7",
    "203.0.113.9, 198.51.100.7": "198.51.100.7",
    "203.0.113.9,198.51.100.7 , 10.9.9.9": "198.51.100.7",
    "2001:db8::7": "2001:db8:0:0::/64",
    "::ffff:198.51.100.7": "198.51.100.7",
    "": "10.0.0.1",
    "unknown": "10.0.0.1",
    "198.51.100.7, nonsense": "10.0.0.1",
    "nonsense, 198.51.100.7": "198.51.100.7",
    "10.0.0.2, 10.0.0.3": "10.0.0.2",
  };
  for (const [header, client] of Object.entries(heard)) {
    assert.equal(of("10.0.0.1", header), client, header);
  }
  assert.equal(of("10.0.0.1"), "10.0.0.1");
  assert.equal(of("::1", "198.51.100.7"), "198.51.100.7");
});
