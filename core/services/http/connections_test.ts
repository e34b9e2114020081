/** Tests on sockets of how many connections there may be, and of how a listener closes. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { openFilesLimit } from "./_open_files.ts";
import { head, say } from "./_raw_client.ts";
import { testSite } from "./_test_site.ts";

const get = `${head("GET /role/x", "Connection: close")}\r\n`;
const getSlow = `${head("GET /role/slow")}\r\n`;

/** A socket that is open and says nothing. */
async function idle(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function gone(sockets: readonly Socket[]): Promise<void> {
  const closed = sockets.map((socket) => once(socket, "close"));
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
}

/** Resolves when it is true, looking again as long as the test may run. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!await isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

for (const [key, code] of [["maxConnections", "full"], ["maxClientConnections", "client_full"]]) {
  Deno.test(`openHttp() turns away who comes when ${key} are there`, async () => {
    await using site = await testSite({ limits: { [key!]: 3 } });
    const sockets = await Promise.all([idle(site.port), idle(site.port), idle(site.port)]);
    const answer = await say([get], site);
    assert.deepEqual([answer.status, answer.code], [503, code]);
    assert.match(answer.text, /^retry-after: 5\r$/m);
    assert.equal(site.ran(), 0);
    await gone(sockets);
    await until(async () => (await say([get], site)).status === 200);
  });
}

Deno.test("openHttp() lets a trusted proxy have as many connections as there are", async () => {
  const limits = { maxClientConnections: 1 };
  await using site = await testSite({ limits, trustedProxies: ["127.0.0.0/8"] });
  const sockets = await Promise.all([idle(site.port), idle(site.port)]);
  assert.equal((await say([get], site)).status, 200);
  await gone(sockets);
});

Deno.test("openHttp() serves a client while 5,000 idle connections are open", {
  // both ends of each are in this process
  ignore: openFilesLimit() < 12_000,
}, async () => {
  const limits = { maxClientConnections: 10_000, headTimeout: 60_000 };
  await using site = await testSite({ limits });
  const sockets: Socket[] = [];
  while (sockets.length < 5_000) {
    sockets.push(...await Promise.all(Array.from({ length: 100 }, () => idle(site.port))));
  }
  assert.equal((await say([get], site)).status, 200);
  await gone(sockets);
});

Deno.test("openHttp() cuts a connection on which nothing moves while an answer is due", async () => {
  await using site = await testSite({ limits: { stallTimeout: 200 } });
  assert.equal((await say([getSlow], site)).text, "");
  assert.equal((await say([get], site)).status, 200);
});

Deno.test("openHttp() closes idle connections at once and lets requests finish", async () => {
  await using site = await testSite({ limits: { drain: 60_000 } });
  const silent = say([], site);
  const kept = say([`${head("GET /role/x")}\r\n`], site);
  const asked = say([getSlow], site);
  await until(() => site.ran() === 2);
  const closed = site.http[Symbol.asyncDispose]();
  assert.equal((await silent).text, "");
  assert.equal((await kept).status, 200);
  await assert.rejects(idle(site.port), { code: "ECONNREFUSED" });
  site.release();
  const { text } = await asked;
  assert.match(text, /at last$/);
  assert.match(text, /^connection: close\r$/mi);
  await closed;
  await site.http[Symbol.asyncDispose]();
});

Deno.test("openHttp() cuts what has not finished in its time", async () => {
  await using site = await testSite({ limits: { drain: 100 } });
  const asked = say([getSlow], site);
  const sending = say([`${head("POST /role/x", "Content-Length: 10")}\r\n`, "x"], site);
  await until(() => site.ran() === 1);
  await site.http[Symbol.asyncDispose]();
  assert.equal((await asked).text, "");
  assert.equal((await sending).text, "");
});
