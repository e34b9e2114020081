/** The live feed over real WebSockets: who may listen, what is told, and that nothing is missed. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Hono } from "hono";
import type { MiddlewareHandler } from "hono";
import { WebSocket } from "ws";
import type { Guarded } from "../../core/services/access/mod.ts";
import { openHttp, problem } from "../../core/services/http/mod.ts";
import { Feed } from "./feed.ts";
import { liveFeed, type LiveLimits } from "./live.ts";
import { log, openGateway, type TestGateway, until } from "./_test_gateway.ts";

interface Message {
  readonly seq: number;
  readonly type: string;
  readonly reset?: true;
  // deno-lint-ignore no-explicit-any -- the test says what it expects
  readonly [name: string]: any;
}

/** A client that keeps what it hears. */
class Listener {
  readonly heard: Message[] = [];
  readonly socket: WebSocket;
  /** How it ended. */
  readonly closed: Promise<number>;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url, { headers });
    this.socket.on("error", () => {});
    this.socket.on("message", (data: unknown) => this.heard.push(JSON.parse(String(data))));
    this.closed = once(this.socket, "close").then(([code]) => code as number);
  }

  async opened(): Promise<this> {
    await once(this.socket, "open");
    return this;
  }

  close(): Promise<number> {
    this.socket.close();
    return this.closed;
  }

  get last(): number {
    return this.heard.at(-1)!.seq;
  }
}

const liveOf = (gateway: TestGateway, query = "") =>
  `${gateway.url.replace("http", "ws")}/live${query}`;

async function bearer(gateway: TestGateway, role = "viewer") {
  return { authorization: `Bearer ${await gateway.token(role)}` };
}

/** Status and code of a refusal to upgrade. */
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

Deno.test("a viewer hears what happens to devices: states, calls, events", async () => {
  await using gateway = await openGateway();
  const listener = await new Listener(liveOf(gateway), await bearer(gateway)).opened();
  await until("it hears", () => listener.heard.length > 0);
  const device = await gateway.device("pump-7");
  await device.call("telemetry.push", { values: { bar: 2 } });
  await until("it has heard of the call", () => listener.heard.some(({ type }) => type === "call"));
  const told = listener.heard.map((message) =>
    message.type === "device"
      ? `device ${message["id"]} ${message["device"].state}`
      : message.type === "event"
      ? `event ${message["event"].type}`
      : message.type === "call"
      ? `call ${message["device"]} ${message["method"]} ${message["outcome"]}`
      : message.type
  );
  assert.deepEqual(told, [
    "hello",
    "device pump-7 APPROVED",
    "event device.approved",
    "event device.authorized",
    "device pump-7 AUTHORIZED",
    "telemetry",
    "call pump-7 telemetry.push done",
  ]);
  const first = listener.heard[0]!.seq;
  assert.deepEqual(listener.heard.map(({ seq }) => seq - first), [0, 1, 2, 3, 4, 5, 6]);
  await listener.close();
});

Deno.test("whoever comes back goes on where it stopped, and a list says from where to listen", async () => {
  await using gateway = await openGateway();
  const { body: { seq } } = await gateway.ask("/devices");
  const device = await gateway.device("pump-7");
  await device.call("time");
  const headers = await bearer(gateway);
  const one = await new Listener(liveOf(gateway, `?after=${seq}`), headers).opened();
  await until("it hears", () => one.heard.some(({ type }) => type === "call"));
  await one.close();
  await device.call("echo");
  const two = await new Listener(liveOf(gateway, `?after=${one.last}`), headers).opened();
  await until("it hears", () => two.heard.some(({ type }) => type === "call"));
  assert.equal(one.heard[0]!.seq, seq + 1);
  assert.equal(two.heard[0]!.seq, one.last + 1);
  assert.ok([...one.heard, ...two.heard].every(({ reset }) => reset === undefined));
  await two.close();
  await device.hangUp();
  // another run of the gateway: what was before is not there to be told
  await gateway.restart();
  const three = await new Listener(liveOf(gateway, `?after=${two.last}`), headers).opened();
  await until("it hears", () => three.heard.length > 0);
  assert.deepEqual([three.heard[0]!.reset, three.heard[0]!.seq > two.last], [true, true]);
  await three.close();
});

Deno.test("weakness 19: a token comes in the header or in the first message, never in the address", async () => {
  await using gateway = await openGateway();
  const url = liveOf(gateway);
  const token = await gateway.token("viewer");
  assert.deepEqual(await refusalOf(url, { authorization: "Bearer edgeward_x" }), [
    401,
    "token_invalid",
  ]);
  for (const query of [`?token=${token}`, "?access_token=x", "?after=x", "?after=-1"]) {
    assert.deepEqual(await refusalOf(url + query), [400, "bad_query"], query);
  }
  assert.deepEqual(await refusalOf(url, { origin: "http://evil.example" }), [403, "wrong_origin"]);

  const browser = await new Listener(url).opened();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(browser.heard, []);
  browser.socket.send(JSON.stringify({ token }));
  await until("it is let in", () => browser.heard[0]?.type === "hello");
  browser.socket.send("something more");
  assert.equal(await browser.closed, 1008);

  const wrong = [
    "x",
    "{}",
    "7",
    "null",
    '{"token": 7}',
    '{"token": "a b"}',
    '{"token": "edgeward"}',
  ];
  for (const said of [...wrong, JSON.stringify({ token: "edgeward_00000000_x" })]) {
    const stranger = await new Listener(url).opened();
    stranger.socket.send(said);
    assert.equal(await stranger.closed, 4401, said);
    assert.deepEqual(stranger.heard, []);
  }
});

Deno.test("a listener is sent away when the gateway stops", async () => {
  await using gateway = await openGateway();
  const listener = await new Listener(liveOf(gateway), await bearer(gateway)).opened();
  await gateway.restart();
  assert.ok([1001, 1006].includes(await listener.closed));
});

/** A feed behind a guard that knows one token, with bounds that can be waited for. */
async function openFeed(limits: Partial<LiveLimits>) {
  const http = openHttp({ listen: { hostname: "127.0.0.1", port: 0 }, log });
  const feed = new Feed({ clock: Date.now });
  const valid = new Set(["Bearer good"]);
  const gate: MiddlewareHandler<Guarded> = async (c, next) => {
    if (valid.has(c.req.header("authorization") ?? "")) return await next();
    return problem(401, "token_invalid", "No.");
  };
  const live = liveFeed(feed, gate, limits);
  http.router("role").mount(new Hono().route("/", live.routes));
  const { port } = await http.listen();
  const url = `ws://127.0.0.1:${port}/role/live`;
  const known = { authorization: "Bearer good" };
  return {
    feed,
    live,
    valid,
    url,
    known,
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

Deno.test("so many listen at once, and few of them are strangers", async () => {
  await using test = await openFeed({ clients: 4, strangers: 2, patience: 60_000 });
  const full = [503, "too_many_listeners"];
  const strangers = [await new Listener(test.url).opened(), await new Listener(test.url).opened()];
  assert.deepEqual(await refusalOf(test.url), full);
  const known = [
    await new Listener(test.url, test.known).opened(),
    await new Listener(test.url, test.known).opened(),
  ];
  assert.deepEqual(await refusalOf(test.url, test.known), full);
  await strangers[0]!.close();
  await until("it is gone", () => test.live.clients() === 3);
  known.push(await new Listener(test.url, test.known).opened());
  for (const one of [strangers[1]!, ...known]) await one.close();
  await until("all are gone", () => test.live.clients() === 0);
});

Deno.test("who shows no token in time is sent away", async () => {
  await using test = await openFeed({ patience: 50 });
  const stranger = await new Listener(test.url).opened();
  assert.equal(await stranger.closed, 4408);
});

Deno.test("who does not keep up is cut, and the others hear everything", async () => {
  await using test = await openFeed({ maxWaiting: 64 * 1024 });
  const slow = await new Listener(test.url, test.known).opened();
  const fast = await new Listener(test.url, test.known).opened();
  slow.socket.pause();
  let told = 0;
  while (test.live.clients() === 2) {
    for (let i = 0; i < 4; i++) test.feed.tell({ type: `t${told++}`, text: "x".repeat(16 * 1024) });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await until("it has heard all", () => fast.heard.length === told + 1);
  slow.socket.terminate();
  await fast.close();
});

Deno.test("whose token is revoked is sent away", async () => {
  await using test = await openFeed({ recheck: 50 });
  const listener = await new Listener(test.url, test.known).opened();
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.equal(listener.socket.readyState, WebSocket.OPEN);
  test.valid.clear();
  assert.equal(await listener.closed, 4401);
});
