/** Tests on sockets of what a request's body may be: how large, how slow, how many at a time. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { head, type Part, say } from "./_raw_client.ts";
import { testSite } from "./_test_site.ts";

const MiB = 1024 * 1024;

function post(...fields: string[]): string {
  return `${head("POST /role/x", ...fields)}\r\n`;
}

const chunked = post("Transfer-Encoding: chunked");
const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;

/** What is refused, and how. */
const refusals: Record<string, [parts: Part[], status: number, code: string]> = {
  "a body announced with 100 MB": [[post("Content-Length: 100000000")], 413, "body_too_large"],
  "a body announced with 100 MB that comes": [
    [post("Content-Length: 100000000"), ...Array(100).fill("x".repeat(1e6))],
    413,
    "body_too_large",
  ],
  "100 MB in chunks": [[chunked, ...Array(1_600).fill(chunk)], 413, "body_too_large"],
  "a body that is offered too large": [
    [post("Expect: 100-continue", "Content-Length: 100000000")],
    413,
    "body_too_large",
  ],
  "a body that comes byte by byte": [
    [post("Content-Length: 100"), ...Array(10).fill(["x", 100]).flat()],
    408,
    "body_timeout",
  ],
  "chunks that come byte by byte": [
    [chunked, ...Array(10).fill(["1\r\nx\r\n", 100]).flat()],
    408,
    "body_timeout",
  ],
  "a chunk extension without end": [
    [chunked, "1;x=", ...Array(10).fill(["x".repeat(1_000), 100]).flat()],
    408,
    "body_timeout",
  ],
  "chunks that are none": [[chunked, "zz\r\nx\r\n"], 400, "body_cut"],
  "an expectation it does not know": [
    [post("Expect: tea", "Content-Length: 1")],
    417,
    "expectation_failed",
  ],
};

for (const [name, [parts, status, code]] of Object.entries(refusals)) {
  Deno.test(`openHttp() refuses ${name}`, async () => {
    await using site = await testSite({ limits: status === 408 ? { bodyTimeout: 300 } : {} });
    const answer = await say(parts, site);
    assert.deepEqual([answer.status, answer.code], [status, code], answer.text);
    assert.doesNotMatch(answer.text, /100 Continue/);
    assert.equal(site.ran(), 0);
    const { text } = await say([post("Content-Length: 2", "Connection: close"), "ab"], site);
    assert.match(text, /2 bytes$/);
  });
}

Deno.test("openHttp() refuses a body whose sender has closed before its end", async () => {
  await using site = await testSite();
  const answer = await say([post("Content-Length: 100"), "x"], { ...site, half: true });
  assert.equal(answer.code, "body_cut");
});

Deno.test("openHttp() takes a body of 1 MiB, announced, in chunks or offered", async () => {
  await using site = await testSite();
  const whole = "x".repeat(MiB);
  const length = `Content-Length: ${MiB}`;
  const close = "Connection: close";
  const ways: Part[][] = [
    [post(length, close), whole],
    [post("Transfer-Encoding: chunked", close), ...Array(16).fill(chunk), "0\r\n\r\n"],
    [post(length, close, "Expect: 100-continue"), 50, whole],
  ];
  for (const [i, parts] of ways.entries()) {
    const { text } = await say(parts, site);
    assert.match(text, /1048576 bytes$/);
    assert.equal(text.startsWith("HTTP/1.1 100 Continue\r\n\r\n"), i === 2);
  }
  const more = [post(`Content-Length: ${MiB + 1}`), `${whole}x`];
  assert.equal((await say(more, site)).code, "body_too_large");
});

Deno.test("RoleRouter.claim() lets a route say how large a body may be", async () => {
  await using site = await testSite();
  const echo = new Hono().post("/", async (c) => c.text(`${(await c.req.text()).length} bytes`));
  const router = site.http.router("other");
  router.claim("/large", echo, { maxBody: 4 * MiB });
  router.claim("/small", echo, { maxBody: 10 });
  const send = (path: string, size: number) => {
    const fields = [`Content-Length: ${size}`, "Connection: close"];
    return say([`${head(`POST ${path}`, ...fields)}\r\n`, "x".repeat(size)], site);
  };
  assert.match((await send("/large", 4 * MiB)).text, /4194304 bytes$/);
  assert.match((await send("/large", 4 * MiB + 1)).text, /larger than 4 MiB/);
  assert.match((await send("/small", 10)).text, /10 bytes$/);
  assert.match((await send("/small", 11)).text, /larger than 10 bytes/);
  assert.equal((await send("/large/../small", 11)).code, "body_too_large");
});

Deno.test("openHttp() bounds what the bodies of one client, and of all, hold together", async () => {
  const limits = { maxClientBodies: 30_000, maxBodies: 50_000, bodyTimeout: 2_000 };
  await using site = await testSite({ limits, trustedProxies: ["127.0.0.1"] });
  const slow = (client: string) =>
    say([post("Content-Length: 20001", `X-Forwarded-For: ${client}`), "x".repeat(20_000), 300], {
      ...site,
      half: true,
    });
  const held = [slow("192.0.2.1"), slow("192.0.2.2")];
  await new Promise((resolve) => setTimeout(resolve, 100));
  const fields = ["Content-Length: 15000", "Connection: close"];
  const quick = (client: string) =>
    say([post(...fields, `X-Forwarded-For: ${client}`), "x".repeat(15_000)], site);
  const own = await quick("192.0.2.1");
  assert.equal(own.code, "bodies_full");
  assert.match(own.text, /^retry-after: 1\r$/m);
  assert.equal((await quick("192.0.2.3")).code, "bodies_full");
  await Promise.all(held);
  assert.equal((await quick("192.0.2.1")).status, 200);
});
