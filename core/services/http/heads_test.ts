/** Tests on sockets of what a request's head may be: how long it takes, how large it is, what is in it. */
import assert from "node:assert/strict";
import { head, type Part, say } from "./_raw_client.ts";
import { hasty, testSite } from "./_test_site.ts";

const get = `${head("GET /role/x")}\r\n`;
const getAndClose = `${head("GET /role/x", "Connection: close")}\r\n`;

/** What is refused, and how. Each site goes on to serve a client that behaves. */
const refusals: Record<string, [parts: Part[], status: number, code: string]> = {
  "nothing": [[], 408, "head_timeout"],
  "a slow head": [["GET /ro", 200, "le/x HT", 200, "TP"], 408, "head_timeout"],
  "a head that lacks its end": [[head("GET /role/x")], 408, "head_timeout"],
  "a large header": [[head("GET /role/x", `X: ${"x".repeat(20_000)}`)], 431, "head_too_large"],
  "a header of 2 MB": [[head("GET /role/x", `X: ${"x".repeat(2e6)}`)], 431, "head_too_large"],
  "a long target": [[`${head(`GET /role/${"x".repeat(20_000)}`)}\r\n`], 431, "head_too_large"],
  "many headers": [
    [head("GET /role/x", ...Array(2_000).fill("X: x")), "Connection: close\r\n\r\n"],
    431,
    "head_too_large",
  ],
  "no HTTP": [["\x16\x03\x01\x02\x00\x01\r\n\r\n"], 400, "malformed"],
  "HTTP/2": [["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400, "malformed"],
  "an unknown method": [["BREW /role/x HTTP/1.1\r\nHost: a\r\n\r\n"], 400, "malformed"],
  "lines without CR": [["GET /role/x HTTP/1.1\nHost: a\n\n"], 400, "malformed"],
  "two lengths of a body": [
    [`${head("POST /role/x", "Content-Length: 5", "Transfer-Encoding: chunked")}\r\n0\r\n\r\n`],
    400,
    "malformed",
  ],
  "CONNECT": [["CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"], 400, "malformed"],
};

for (const [name, [parts, status, code]] of Object.entries(refusals)) {
  Deno.test(`openHttp() refuses ${name} with ${status}`, async () => {
    await using site = await testSite({ limits: status === 408 ? hasty : {} });
    const answer = await say(parts, site);
    assert.deepEqual([answer.status, answer.code], [status, code], answer.text);
    assert.match(answer.text, /^content-type: application\/problem\+json\r$/m);
    assert.match(answer.text, /^connection: close\r$/mi);
    assert.equal(site.ran(), 0);
    assert.equal((await say([getAndClose], site)).status, 200);
  });
}

/** What a parser lets through, and the listener does not. */
const malformed: Record<string, string> = {
  "without a Host": "GET /role/x HTTP/1.1\r\n\r\n",
  "with two Hosts": "GET /role/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "with a Host that is none": "GET /role/x HTTP/1.1\r\nHost: a/role b\r\n\r\n",
  "of a later version": "GET /role/x HTTP/2.0\r\nHost: a\r\n\r\n",
  "for no path": "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
  "for a path with a backslash": "GET /role\\x HTTP/1.1\r\nHost: a\r\n\r\n",
};

for (const [name, text] of Object.entries(malformed)) {
  Deno.test(`openHttp() refuses a request ${name}`, async () => {
    await using site = await testSite();
    const closing = text.replace(/\r\n$/, "Connection: close\r\n\r\n");
    const answer = await say([closing], site);
    assert.equal(answer.status, 400);
    assert.equal(answer.code, "malformed");
    assert.equal(site.ran(), 0);
  });
}

/** A target, and the path that its route sees. */
const targets: Record<string, string | null> = {
  "http://other.example/role/x": "/role/x",
  "/other/../role/./x": "/role/x",
  "/other/%2e%2E/role/x": "/role/x",
  "/%72ole/x": "/role/x",
  "/role//x": "/role//x",
  "//role/x": null,
  "/role": null,
  "/role/../x": null,
  "http://role/x": null,
};

Deno.test("openHttp() finds the door of a target as its route does", async () => {
  await using site = await testSite();
  for (const [target, path] of Object.entries(targets)) {
    const answer = await say([`${head(`GET ${target}`, "Connection: close")}\r\n`], site);
    if (path === null) assert.equal(answer.code, "not_found", target);
    else assert.ok(answer.text.endsWith(`\r\n\r\n${path}`), `${target}: ${answer.text}`);
  }
});

Deno.test("openHttp() answers HTTP/1.0, which need not name a Host, and closes", async () => {
  await using site = await testSite();
  const answer = await say(["GET /role/x HTTP/1.0\r\n\r\n"], site);
  assert.equal(answer.status, 200);
});

Deno.test("openHttp() keeps a connection for a while, but not for a slow head", async () => {
  await using site = await testSite({ limits: { ...hasty, keepAlive: 200 } });
  assert.deepEqual((await say([get, 50, get], site)).statuses, [200, 200]);
  assert.deepEqual((await say([get, 50, "GET /", 200, "x"], site)).statuses, [200, 408]);
});

Deno.test("openHttp() answers what came before nonsense, then refuses that", async () => {
  await using site = await testSite();
  const answered = say([`${head("GET /role/slow")}\r\n`, get, "nonsense\r\n\r\n", 50], site);
  setTimeout(site.release, 100);
  const { statuses, code } = await answered;
  assert.deepEqual(statuses, [200, 200, 400]);
  assert.equal(code, "malformed");
});

Deno.test("openHttp() answers who has closed its own side", async () => {
  await using site = await testSite();
  const answered = say([`${head("GET /role/slow")}\r\n`], { ...site, half: true });
  setTimeout(site.release, 100);
  assert.match((await answered).text, /at last$/);
  assert.equal((await say(["GET /role"], { ...site, half: true })).text, "");
});

Deno.test("openHttp() keeps keys named __proto__ from doing harm", async () => {
  await using site = await testSite();
  const target = "/role/x?__proto__[a]=1&__proto__=2&constructor.prototype.a=3";
  const fields = ["__proto__: x", "constructor: x", "Connection: close"];
  assert.equal((await say([`${head(`GET ${target}`, ...fields)}\r\n`], site)).status, 200);
  assert.equal(({} as Record<string, unknown>)["a"], undefined);
});
