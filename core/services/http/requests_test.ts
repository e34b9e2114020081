/** Tests of what every request meets on its way: the rate of its client, headers, metrics, failures. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { MetricsRegistry } from "../metrics.ts";
import { head, say } from "./_raw_client.ts";
import { hasty, testSite } from "./_test_site.ts";

function get(path: string, ...fields: string[]): string {
  return `${head(`GET ${path}`, "Connection: close", ...fields)}\r\n`;
}

/** A token in 1,000 seconds, beyond the burst. */
function rates(open: number, session: number) {
  return { open: { perSecond: 0.001, burst: open }, session: { perSecond: 0.001, burst: session } };
}

Deno.test("openHttp() answers 429 to a client that comes too often, wherever it knocks", async () => {
  await using site = await testSite({ limits: { rates: rates(2, 5) } });
  assert.equal((await say([get("/role/x")], site)).status, 200);
  assert.equal((await say([get("/nobody")], site)).status, 404);
  const refused = await say([get("/role/x")], site);
  assert.deepEqual([refused.status, refused.code], [429, "rate_limited"]);
  assert.match(refused.text, /^retry-after: (999|1000)\r$/m);
  assert.equal(site.ran(), 1);
});

Deno.test("openHttp() has a bucket of its own for session endpoints", async () => {
  await using site = await testSite({ limits: { rates: rates(1, 3) } });
  const routes = new Hono().get("/", (c) => c.text("ok"));
  site.http.router("fog").claim("/fog/session", routes);
  const statuses = [];
  for (const path of ["/role/x", "/role/x", ...Array(4).fill("/fog/session")]) {
    statuses.push((await say([get(path)], site)).status);
  }
  assert.deepEqual(statuses, [200, 429, 200, 200, 200, 429]);
});

Deno.test("openHttp() believes X-Forwarded-For only from a trusted proxy", async () => {
  const limits = { rates: rates(1, 1) };
  const statuses = async (trustedProxies: string[]) => {
    await using site = await testSite({ limits, trustedProxies });
    const clients = ["192.0.2.1", "192.0.2.1", "192.0.2.2"];
    const answers = [];
    for (const client of clients) {
      answers.push((await say([get("/role/x", `X-Forwarded-For: ${client}`)], site)).status);
    }
    return answers;
  };
  assert.deepEqual(await statuses([]), [200, 429, 429]);
  assert.deepEqual(await statuses(["127.0.0.1"]), [200, 429, 200]);
});

Deno.test("openHttp() sets headers that an API wants, and leaves a page its own", async () => {
  await using site = await testSite();
  const policy = "default-src 'self'";
  const page = new Hono().get("/", (c) => c.html("hi", 200, { "content-security-policy": policy }));
  site.http.router("other").claim("/page", page);
  for (const path of ["/role/x", "/nobody", "/page"]) {
    const { text } = await say([get(path)], site);
    assert.match(text, /^x-content-type-options: nosniff\r$/m);
    assert.match(text, /^referrer-policy: no-referrer\r$/m);
    const [, own] = /^content-security-policy: (.*)\r$/m.exec(text)!;
    assert.equal(own, path === "/page" ? policy : "default-src 'none'; frame-ancestors 'none'");
    assert.equal(/^cache-control: no-store\r$/m.test(text), path === "/nobody");
  }
});

Deno.test("openHttp() sends a body as it comes, and cuts it off when it fails", async () => {
  await using site = await testSite({ limits: hasty });
  const streamed = (parts: number) => {
    let sent = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (sent++ < parts) return controller.enqueue(new TextEncoder().encode("part "));
          throw new Error("the secret is hunter2");
        },
      }),
    );
  };
  const lines = new Hono()
    .get("/none", () => streamed(0))
    .get("/some", () => streamed(2))
    .get("/large", (c) => c.body(new Uint8Array(3_000_000)))
    .get("/cookies", () => {
      const response = new Response(null, { status: 204 });
      response.headers.append("set-cookie", "a=1");
      response.headers.append("set-cookie", "b=2");
      return response;
    });
  site.http.router("lines").mount(lines);
  const none = await say([get("/lines/none")], site);
  assert.deepEqual([none.status, none.code], [500, "internal"]);
  assert.doesNotMatch(none.text, /hunter2/);
  const some = await say([get("/lines/some")], site);
  assert.equal(some.status, 200);
  assert.match(some.text, /part [^]*part \r\n$/);
  assert.doesNotMatch(some.text, /hunter2|\r\n0\r\n/);
  const large = await say([get("/lines/large")], site);
  assert.match(large.text, /^content-length: 3000000\r$/m);
  assert.equal(large.text.split("\r\n\r\n")[1]!.length, 3_000_000);
  const { text } = await say([get("/lines/cookies")], site);
  assert.match(text, /^set-cookie: a=1\r\nset-cookie: b=2\r$/m);
});

Deno.test("openHttp() counts by role, method and status, and never by path", async () => {
  const registry = new MetricsRegistry();
  await using site = await testSite({ limits: hasty, metrics: registry.scoped("http") });
  await say([get("/role/x")], site);
  await say([get("/role/y?z=1")], site);
  await say([get("/secret/path")], site);
  await say([`${head("PROPFIND /role/x", "Connection: close")}\r\n`], site);
  await say(["nonsense\r\n\r\n"], site);
  await say([`${head("POST /role/x", "Content-Length: 9999999")}\r\n`], site);
  const lines = (await registry.text()).split("\n").filter((line) => /^\w/.test(line));
  const counted = lines.filter((line) => /^edgeward_http_(requests|refused)_total/.test(line));
  assert.deepEqual(counted.sort(), [
    'edgeward_http_refused_total{role="http",reason="body_too_large"} 1',
    'edgeward_http_refused_total{role="http",reason="malformed"} 1',
    'edgeward_http_refused_total{role="http",reason="not_found"} 1',
    'edgeward_http_requests_total{role="none",method="GET",status="404"} 1',
    'edgeward_http_requests_total{role="role",method="GET",status="200"} 2',
    'edgeward_http_requests_total{role="role",method="OTHER",status="404"} 1',
    'edgeward_http_requests_total{role="role",method="POST",status="413"} 1',
  ]);
  assert.ok(lines.includes('edgeward_http_request_seconds_count{role="role"} 4'));
  assert.ok(lines.includes('edgeward_http_connections{role="http"} 0'));
});
