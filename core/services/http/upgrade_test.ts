/** Tests of WebSocket upgrades: whose they are, and that they are connections like others. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import { head, say } from "./_raw_client.ts";
import { Hono } from "hono";
import { hasty, testSite } from "./_test_site.ts";
import { type Origin, originOf, takeOver, type UpgradeHandler } from "./mod.ts";

const upgrade = ["Connection: Upgrade", "Upgrade: websocket"];

/** Completes the handshake (RFC 6455 §4.2.2), says "hi" and throws back what it gets. */
const hi: UpgradeHandler = (request, socket, early) => {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  const lines = ["HTTP/1.1 101 Switching Protocols", ...upgrade, `Sec-WebSocket-Accept: ${accept}`];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  socket.write(Buffer.from("\x81\x02hi", "latin1"));
  if (early.length > 0) socket.write(early);
  socket.on("data", (data) => socket.write(data));
};

Deno.test("HttpService.upgrade() hands the socket over, which a WebSocket finds in order", async () => {
  await using site = await testSite();
  site.http.upgrade("/live", hi);
  const client = new WebSocket(`ws://127.0.0.1:${site.port}/live?from=7`);
  const said = await new Promise((resolve) => client.onmessage = ({ data }) => resolve(data));
  assert.equal(said, "hi");
  const closed = new Promise((resolve) => client.onclose = resolve);
  await site.http[Symbol.asyncDispose]();
  await closed;
});

Deno.test("HttpService.upgrade() hands over what was sent early, and what comes later", async () => {
  await using site = await testSite({ limits: hasty });
  const sockets: Duplex[] = [];
  site.http.upgrade("/live", (request, socket, early, origin) => {
    sockets.push(socket);
    hi(request, socket, early, origin);
  });
  const parts = [`${head("GET /live", ...upgrade)}\r\nearly`, 500, "late", 50];
  const heard = say(parts, site);
  // neither the time for heads nor that of idle connections is a WebSocket's
  await new Promise((resolve) => setTimeout(resolve, 700));
  sockets[0]!.destroy();
  assert.match((await heard).text, /hiearlylate$/);
});

Deno.test("openHttp() refuses an upgrade that nobody takes", async () => {
  await using site = await testSite();
  const close = site.http.upgrade("/live", hi);
  const ask = (path: string) => say([`${head(`GET ${path}`, ...upgrade)}\r\n`], site);
  for (const path of ["/", "/live/", "/other", "/role/x"]) {
    assert.equal((await ask(path)).code, "not_found", path);
  }
  close();
  assert.equal((await ask("/live")).code, "not_found");
  const { status } = await say([`${head("GET /live", "Connection: close")}\r\n`], site);
  assert.equal(status, 404);
  assert.throws(() => {
    site.http.upgrade("/live", hi);
    site.http.upgrade("/live", hi);
  });
});

Deno.test("openHttp() answers as usual who would like another protocol", async () => {
  await using site = await testSite();
  const fields = ["Connection: Upgrade, close", "Upgrade: h2c"];
  assert.equal((await say([`${head("GET /role/x", ...fields)}\r\n`], site)).status, 200);
});

Deno.test("openHttp() counts an upgraded connection, and ends it when it closes", async () => {
  await using site = await testSite({ limits: { maxConnections: 1, drain: 60_000 } });
  const { promise: upgraded, resolve } = Promise.withResolvers<void>();
  site.http.upgrade("/live", (request, socket, early, origin) => {
    hi(request, socket, early, origin);
    resolve();
  });
  const heard = say([`${head("GET /live", ...upgrade)}\r\n`], site);
  await upgraded;
  assert.equal((await say([`${head("GET /role/x")}\r\n`], site)).code, "full");
  await site.http[Symbol.asyncDispose]();
  assert.match((await heard).text, /hi$/);
});

Deno.test("whoever takes an upgrade knows where it comes from, as with any other request", async () => {
  await using site = await testSite({ trustedProxies: ["127.0.0.1"] });
  const found: (Origin | null)[] = [];
  const note: UpgradeHandler = (_request, socket, _head, origin) => {
    found.push(origin);
    socket.destroy();
  };
  site.http.upgrade("/live", note);
  site.http.router("asker").mount(
    new Hono().get("/live", (c) => {
      found.push(originOf(c));
      return takeOver(c, note);
    }),
  );
  const from = (client: string, scheme: string) => [
    ...[...upgrade, `X-Forwarded-For: ${client}`, `X-Forwarded-Proto: ${scheme}`],
  ];
  await say([`${head("GET /live", ...from("192.0.2.1", "https"))}\r\n`], site);
  await say([`${head("GET /asker/live", ...from("192.0.2.2", "http"))}\r\n`], site);
  assert.deepEqual(found, [
    { client: "192.0.2.1", isPrivate: true },
    { client: "192.0.2.2", isPrivate: false },
    { client: "192.0.2.2", isPrivate: false },
  ]);
});

Deno.test("clients behind one proxy have each their own rate of upgrades", async () => {
  const rates = { open: { perSecond: 0.001, burst: 1 }, session: { perSecond: 1, burst: 1 } };
  await using site = await testSite({ limits: { rates }, trustedProxies: ["127.0.0.1"] });
  const ask = (client: string) =>
    say([`${head("GET /live", ...upgrade, `X-Forwarded-For: ${client}`)}\r\n`], site);
  assert.equal((await ask("192.0.2.1")).code, "not_found");
  assert.equal((await ask("192.0.2.1")).code, "rate_limited");
  assert.equal((await ask("192.0.2.2")).code, "not_found");
});

Deno.test("openHttp() counts upgrades at the rate of their client", async () => {
  const rates = { open: { perSecond: 0.001, burst: 1 }, session: { perSecond: 1, burst: 1 } };
  await using site = await testSite({ limits: { rates } });
  const ask = () => say([`${head("GET /live", ...upgrade)}\r\n`], site);
  assert.equal((await ask()).code, "not_found");
  assert.equal((await ask()).code, "rate_limited");
});
