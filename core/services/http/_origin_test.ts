/** Who could read a request on its way: TLS, this machine, proxies that are trusted and that are not. */
import assert from "node:assert/strict";
import { clients } from "./_client.ts";
import { originIn } from "./_origin.ts";

const forwarded = { "x-forwarded-for": "192.0.2.1" };
const overTls = { ...forwarded, "x-forwarded-proto": "https" };

Deno.test("originIn() takes for private what came by TLS or from this machine, and nothing else", () => {
  const cases: [boolean, string, Record<string, string>, string[], boolean][] = [
    [true, "192.0.2.1", {}, [], true],
    [true, "192.0.2.1", forwarded, [], true],
    [false, "192.0.2.1", {}, [], false],
    [false, "192.0.2.1", overTls, ["192.0.2.1"], false],
    [true, "127.0.0.1", {}, [], false],
    [true, "127.8.8.8", {}, [], false],
    [true, "::1", {}, [], false],
    [true, "::ffff:127.0.0.1", {}, [], false],
    [false, "::ffff:192.0.2.1", {}, [], false],
    [false, "1270.0.0.1", {}, [], false],
    // a proxy here brings others: whoever they are, and however they came
    [false, "127.0.0.1", forwarded, [], false],
    [false, "127.0.0.1", overTls, [], false],
    [false, "127.0.0.1", { via: "1.1 x" }, [], false],
    [false, "127.0.0.1", {}, ["127.0.0.0/8"], false],
    [false, "127.0.0.1", forwarded, ["127.0.0.0/8"], false],
    [true, "127.0.0.1", overTls, ["127.0.0.0/8"], false],
    [false, "127.0.0.1", { ...overTls, "x-forwarded-proto": "https, http" }, ["127.0.0.1"], false],
  ];
  for (const [isPrivate, from, headers, trusted, secure] of cases) {
    const options = { clients: clients(trusted), client: from, secure };
    const origin = originIn(headers, from, options);
    assert.deepEqual(origin, { client: from, isPrivate }, JSON.stringify([from, headers, trusted]));
  }
});
