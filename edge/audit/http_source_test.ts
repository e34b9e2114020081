/** What a server may do to an auditor: not much. */
import assert from "node:assert/strict";
import { Secret } from "../../core/base/secret.ts";
import { httpSource } from "./http_source.ts";

const token = new Secret("edgeward_token");

/** A source that reads from this server, and how long it has waited each time it was told to. */
async function withServer(
  answer: (request: Request, count: number) => Response,
  use: (source: ReturnType<typeof httpSource>, delays: number[], url: string) => Promise<void>,
): Promise<void> {
  let count = 0;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => answer(request, count++),
  );
  const delays: number[] = [];
  const pause = (milliseconds: number) => Promise.resolve(void delays.push(milliseconds));
  const url = `http://127.0.0.1:${server.addr.port}/log`;
  using source = httpSource(`${url}/`, { token, pause });
  await use(source, delays, url);
}

Deno.test("httpSource() reads files below an address, with the token, up to a size", async () => {
  const answer = ({ url, headers }: Request) =>
    new URL(url).pathname === "/log/tile/0/000"
      ? new Response(headers.get("authorization"))
      : new Response(null, { status: 404 });
  await withServer(answer, async (source) => {
    const bytes = await source.read("tile/0/000", 100);
    assert.equal(new TextDecoder().decode(bytes!), "Bearer edgeward_token");
    assert.equal(await source.read("tile/0/001", 100), null);
    await assert.rejects(source.read("tile/0/000", 20), { where: "tile/0/000" });
  });
});

Deno.test("httpSource() does not read what has no end", async () => {
  const endless = () =>
    new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1_024)) });
  await withServer(() => new Response(endless()), async (source) => {
    await assert.rejects(source.read("checkpoint", 8_192), { where: "checkpoint" });
  });
});

Deno.test("httpSource() comes back later when it is told so, but not for ever", async () => {
  const busy = (_: Request, count: number) =>
    count < 2
      ? new Response(null, { status: 429, headers: { "retry-after": count === 0 ? "3" : "9999" } })
      : new Response("done");
  await withServer(busy, async (source, delays) => {
    assert.equal((await source.read("checkpoint", 100))!.length, 4);
    assert.deepEqual(delays, [3_000, 30_000]);
  });
  await withServer(() => new Response(null, { status: 429 }), async (source, delays) => {
    await assert.rejects(source.read("checkpoint", 100), { code: "no_answer" });
    assert.equal(delays.length, 20);
  });
});

Deno.test("httpSource() carries its token nowhere else", async () => {
  const answer = () => new Response(null, { status: 302, headers: { location: "/elsewhere" } });
  await withServer(answer, async (source) => {
    await assert.rejects(source.read("checkpoint", 100), { code: "no_answer" });
  });
  for (const url of ["http://fog-1.example/log", "http://localhost.example/log"]) {
    assert.throws(() => httpSource(url, { token }), { code: "usage" });
    httpSource(url)[Symbol.dispose]();
  }
  httpSource("https://fog-1.example/log", { token })[Symbol.dispose]();
});

Deno.test("httpSource() says whether it was refused, or heard nothing", async () => {
  let address = "";
  await withServer((_, count) => new Response(null, { status: count === 0 ? 401 : 500 }), async (
    source,
    _delays,
    url,
  ) => {
    address = url;
    await assert.rejects(source.read("tile/entries/000", 100), { code: "not_allowed" });
    await assert.rejects(source.read("checkpoint", 100), { code: "no_answer" });
  });
  using source = httpSource(address);
  await assert.rejects(source.read("checkpoint", 100), { code: "unreachable" });
});
