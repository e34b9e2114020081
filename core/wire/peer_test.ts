/** Which device a topic of sessions names, and that no device can name another's. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Id, parseId } from "../base/id.ts";
import { purposes } from "../trust/session/hello.ts";
import { deviceOf, sessionTopics } from "./peer.ts";

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/) as fc.Arbitrary<Id>;
const device = parseId("d-1");

Deno.test("sessionTopics() keeps the topics that rpc has always had", () => {
  assert.deepEqual(sessionTopics("rpc", device), {
    connect: "jrpc/v2/connect/d-1",
    up: "jrpc/gateway/rx",
    down: "jrpc/devices/d-1/rx",
  });
  assert.deepEqual(sessionTopics("meter", device), {
    connect: "edgeward/meter/connect/d-1",
    up: "edgeward/meter/up/d-1",
    down: "edgeward/meter/down/d-1",
  });
  assert.deepEqual(sessionTopics("rpc", "+").connect, "jrpc/v2/connect/+");
});

Deno.test("deviceOf() tells whom a topic names, but on the one that all devices share", () => {
  fc.assert(fc.property(fc.constantFrom(...purposes), id, (purpose, id) => {
    const { connect, up } = sessionTopics(purpose, id);
    assert.equal(deviceOf(purpose, connect), id);
    assert.equal(deviceOf(purpose, up), purpose === "rpc" ? null : id);
  }));
});

Deno.test("deviceOf() takes nothing for a name that is none", () => {
  for (const name of ["", "a b", "#", "ä", "x".repeat(65), "a.b"]) {
    assert.equal(deviceOf("rpc", `jrpc/v2/connect/${name}`), undefined);
    assert.equal(deviceOf("meter", `edgeward/meter/up/${name}`), undefined);
  }
});
