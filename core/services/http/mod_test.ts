/** The public listener: who gets which path, and what happens to what nobody wants. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { openHttp } from "./mod.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };
const listen = { hostname: "127.0.0.1", port: 0 };

async function withServer(
  doors: Record<string, Hono>,
  use: (get: (path: string, init?: RequestInit) => Promise<Response>) => Promise<void>,
): Promise<void> {
  await using http = openHttp({ listen, log });
  const router = http.router("role");
  for (const [path, app] of Object.entries(doors)) {
    if (path === "") router.mount(app);
    else router.claim(path, app);
  }
  const { port } = await http.listen();
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  await use((path, init = {}) => fetch(`http://127.0.0.1:${port}${path}`, { ...init, client }));
}

function saying(text: string, path = "/"): Hono {
  return new Hono().get(path, (c) => c.text(text));
}

Deno.test("openHttp() serves a role below its name and at what it claims", async () => {
  const doors = {
    "": saying("mounted", "/thing"),
    "/summary": saying("claimed"),
    "/log/*": saying("below", "/tile/:n"),
  };
  await withServer(doors, async (get) => {
    assert.equal(await (await get("/role/thing")).text(), "mounted");
    assert.equal(await (await get("/summary")).text(), "claimed");
    assert.equal(await (await get("/log/tile/7")).text(), "below");
  });
});

Deno.test("openHttp() answers 404 as a problem wherever nobody serves", async () => {
  await withServer({ "": saying("x", "/thing"), "/summary": saying("y") }, async (get) => {
    for (const path of ["/", "/x", "/x/y/", "/summary/x", "/role", "/role/", "/role/other", "//"]) {
      const response = await get(path);
      assert.equal(response.status, 404, path);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal((await response.json()).code, "not_found");
    }
  });
});

Deno.test("openHttp() refuses a body above 1 MiB, announced or not", async () => {
  const app = new Hono().post(
    "/",
    async (c) => c.text(String((await c.req.arrayBuffer()).byteLength)),
  );
  await withServer({ "/echo": app }, async (get) => {
    const small = await get("/echo", { method: "POST", body: new Uint8Array(1024 * 1024) });
    assert.equal(await small.text(), "1048576");
    const large = await get("/echo", { method: "POST", body: new Uint8Array(1024 * 1024 + 1) });
    assert.equal(large.status, 413);
    assert.equal((await large.json()).code, "body_too_large");
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < 5; i++) controller.enqueue(new Uint8Array(300_000));
        controller.close();
      },
    });
    const streamed = await get("/echo", { method: "POST", body: chunks });
    assert.equal(streamed.status, 413);
    await streamed.body?.cancel();
  });
});

Deno.test("openHttp() hides what went wrong inside", async () => {
  const app = new Hono().get("/", () => {
    throw new Error("the secret is hunter2");
  });
  await withServer({ "/fail": app }, async (get) => {
    const response = await get("/fail");
    assert.equal(response.status, 500);
    assert.ok(!(await response.text()).includes("hunter2"));
  });
});

Deno.test("openHttp() says that a port is busy", async () => {
  await using first = openHttp({ listen, log });
  const address = await first.listen();
  await using second = openHttp({ listen: address, log });
  await assert.rejects(() => second.listen(), { code: "port_busy" });
});
