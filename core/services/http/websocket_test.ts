/** Tests of upgrades that routes take, and of the WebSockets that they make of them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Hono } from "hono";
import { WebSocket } from "ws";
import { problem, type SocketLimits, type TextSocket, webSocket } from "./mod.ts";
import { testSite } from "./_test_site.ts";

/** A site whose `/feed/live` sends back what it hears, behind a guard at `/feed/shut`. */
async function openFeed(limits: Partial<SocketLimits> = {}) {
  const site = await testSite();
  const sockets: TextSocket[] = [];
  const heard: string[] = [];
  const { promise: gone, resolve: onClose } = Promise.withResolvers<void>();
  const routes = new Hono();
  routes.get("/shut", () => problem(401, "token_required", "This needs an API token."));
  routes.get("/page", (c) => c.text("a page"));
  routes.get("/live", (c) =>
    webSocket(c, (socket) => {
      sockets.push(socket);
      const onText = (text: string) => {
        heard.push(text);
        socket.send(`you said ${text}`);
      };
      return { onText, onClose };
    }, limits));
  site.http.router("feed").mount(routes);
  const url = (path = "/live") => `ws://127.0.0.1:${site.port}/feed${path}`;
  return { ...site, url, sockets, heard, gone };
}

/** The status and the code that a client gets which is not let in. */
async function refusalOf(url: string, headers: Record<string, string> = {}) {
  const client = new WebSocket(url, { headers });
  client.on("error", () => {});
  const [, response] = await once(client, "unexpected-response") as [
    unknown,
    AsyncIterable<Uint8Array> & { statusCode: number },
  ];
  let text = "";
  for await (const part of response) text += new TextDecoder().decode(part);
  return [response.statusCode, JSON.parse(text).code];
}

async function connect(url: string, options: Record<string, unknown> = {}): Promise<WebSocket> {
  const client = new WebSocket(url, options);
  client.on("error", () => {});
  await once(client, "open");
  return client;
}

Deno.test("webSocket() lets a route and its client talk, until either says goodbye", async () => {
  await using feed = await openFeed();
  const client = await connect(feed.url());
  client.send("hello");
  assert.equal(String((await once(client, "message"))[0]), "you said hello");
  feed.sockets[0]!.close(4001, "enough");
  const [code, reason] = await once(client, "close");
  assert.deepEqual([code, String(reason)], [4001, "enough"]);
  await feed.gone;
  feed.sockets[0]!.send("nobody hears this");
});

Deno.test("webSocket() is behind the guards of its route, whose problem a client gets", async () => {
  await using feed = await openFeed();
  assert.deepEqual(await refusalOf(feed.url("/shut")), [401, "token_required"]);
  assert.deepEqual(await refusalOf(feed.url("/page")), [404, "not_found"]);
  assert.deepEqual(await refusalOf(feed.url("/nothing")), [404, "not_found"]);
});

Deno.test("webSocket() tells a request that asks for no WebSocket what is spoken here", async () => {
  await using feed = await openFeed();
  const response = await fetch(feed.url().replace("ws", "http"));
  assert.deepEqual([response.status, (await response.json()).code], [426, "upgrade_required"]);
  assert.equal(response.headers.get("upgrade"), "websocket");
});

Deno.test("webSocket() lets in pages of its own host only", async () => {
  await using feed = await openFeed();
  for (const origin of ["http://evil.example", "null", "file://"]) {
    assert.deepEqual(await refusalOf(feed.url(), { origin }), [403, "wrong_origin"]);
  }
  const client = await connect(feed.url(), { origin: `http://127.0.0.1:${feed.port}` });
  client.terminate();
  await feed.gone;
});

Deno.test("webSocket() cuts a client that does not read, and not before", async () => {
  await using feed = await openFeed({ maxWaiting: 64 * 1024 });
  const client = await connect(feed.url());
  client.pause();
  let isGone = false;
  const { sockets: [socket], gone } = feed;
  void gone.then(() => isGone = true);
  socket!.send("x".repeat(60 * 1024));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isGone, false);
  while (!isGone) {
    socket!.send("x".repeat(16 * 1024));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  client.terminate();
});

Deno.test("webSocket() gives a client up that answers no ping", async () => {
  await using feed = await openFeed({ pingInterval: 50 });
  const well = await connect(feed.url());
  const client = await connect(feed.url(), { autoPong: false });
  await once(client, "close");
  assert.equal(well.readyState, WebSocket.OPEN);
  well.terminate();
});

Deno.test("webSocket() takes short texts and nothing else", async () => {
  await using feed = await openFeed({ maxText: 16 });
  const codes: [string | Uint8Array, number][] = [
    [new Uint8Array(3), 1003],
    ["x".repeat(17), 1009],
  ];
  for (const [said, expected] of codes) {
    const client = await connect(feed.url());
    client.send(said);
    const [code] = await once(client, "close");
    assert.equal(code, expected);
  }
  assert.deepEqual(feed.heard, []);
});

Deno.test("webSocket() does not wait for ever for the other side's goodbye", async () => {
  await using feed = await openFeed({ farewell: 50 });
  const client = await connect(feed.url());
  client.pause();
  feed.sockets[0]!.close(1001, "the role stops");
  await feed.gone;
  client.terminate();
});
