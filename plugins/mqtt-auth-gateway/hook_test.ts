/** Tests of hooks, against a real HTTP server that does what addresses do. */
import assert from "node:assert/strict";
import { type Hook, type HookCall, hookOf } from "./hook.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };

type Answer = (request: Request) => Response | Promise<Response>;

/** A server on this machine, and a hook to it in a time that the test turns. */
async function withServer(
  answer: Answer,
  use: (
    server: { hook: Hook; time: { now: number }; asked: Request[]; url: string },
  ) => Promise<void>,
  route: { timeout?: number; token_file?: string } = {},
): Promise<void> {
  const asked: Request[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    asked.push(request.clone() as Request);
    return answer(request);
  });
  const url = `http://127.0.0.1:${server.addr.port}/relay`;
  const time = { now: 0 };
  const hook = hookOf({ timeout: 5_000, ...route, url }, { clock: () => time.now, log });
  try {
    await use({ hook, time, asked, url });
  } finally {
    await server.shutdown();
  }
}

const call: HookCall = {
  ...{ site: "kiosk-7", device: "pump-7", method: "relay.on", params: { channel: 2 } },
  once: "0123456789abcdef0123456789abcdef",
};

Deno.test("hookOf() posts the call as JSON, with its token, and gives the answer", async () => {
  const token_file = await Deno.makeTempFile();
  await Deno.writeTextFile(token_file, "s3cret\n");
  await withServer(() => Response.json({ on: true }), async ({ hook, asked }) => {
    assert.equal(JSON.stringify(await hook.run(call)), '{"on":true}');
    const [request] = asked as [Request];
    assert.deepEqual([request.method, await request.json()], ["POST", call]);
    assert.equal(request.headers.get("authorization"), "Bearer s3cret");
    assert.equal(request.headers.get("content-type"), "application/json");
    assert.equal(request.headers.get("idempotency-key"), call.once);
  }, { token_file });
  await Deno.remove(token_file);
});

Deno.test("hookOf() does not tell where its token should be", async () => {
  const token_file = "/nowhere/relay.token";
  await withServer(() => Response.json(1), async ({ hook, asked }) => {
    await assert.rejects(hook.run(call), (error: Error & { code: string }) => {
      assert.equal(error.code, "hook_unreachable");
      assert.ok(!error.message.includes("nowhere"));
      return true;
    });
    assert.equal(asked.length, 0);
  }, { token_file });
});

Deno.test("hookOf() takes an answer without a body for null, and shows no token that it has not", async () => {
  await withServer(() => new Response(null, { status: 204 }), async ({ hook, asked }) => {
    assert.equal(await hook.run(call), null);
    assert.equal(asked[0]!.headers.get("authorization"), null);
  });
});

Deno.test("hookOf() says what went wrong, and whether the call may have happened", async () => {
  const moved = (url: string) => new Response(null, { status: 307, headers: { location: url } });
  const cases: [string, Answer][] = [
    ["hook_refused", () => new Response("no", { status: 403 })],
    ["hook_failed", () => new Response("oops", { status: 500 })],
    ["hook_failed", () => moved("http://127.0.0.1:1/elsewhere")],
    ["hook_answer", () => new Response("<html>")],
    ["hook_answer", () => new Response('1,"error":{"code":1,"message":""}')],
    ["hook_answer", () => new Response("1}")],
    ["hook_answer", () => new Response(`"${"x".repeat(40_000)}"`)],
    ["outcome_unknown", () => new Promise((resolve) => setTimeout(resolve, 300, new Response()))],
  ];
  for (const [code, answer] of cases) {
    await withServer(answer, async ({ hook, asked }) => {
      await assert.rejects(hook.run(call), { name: "RpcRefusal", code });
      assert.equal(asked.length, 1, "nothing is tried twice, no redirect is followed");
    }, { timeout: 100 });
  }
});

Deno.test("hookOf() knows that nothing was sent where nobody listens", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const url = `http://127.0.0.1:${listener.addr.port}/`;
  listener.close();
  const hook = hookOf({ url, timeout: 5_000 }, { clock: () => 0, log });
  await assert.rejects(hook.run(call), { code: "hook_unreachable" });
});

Deno.test("hookOf() sends a call once whose connection is cut, and knows not what became of it", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  let connections = 0;
  const cutting = (async () => {
    for await (const connection of listener) {
      connections++;
      await connection.read(new Uint8Array(10_000));
      connection.close();
    }
  })();
  const url = `http://127.0.0.1:${listener.addr.port}/`;
  const hook = hookOf({ url, timeout: 5_000 }, { clock: () => 0, log });
  await assert.rejects(hook.run(call), { code: "outcome_unknown" });
  listener.close();
  await cutting;
  assert.equal(connections, 1);
});

Deno.test("hookOf() leaves an address in peace that fails, and then tries it with one call", async () => {
  let status = 500;
  let release = () => {};
  const answer = async () => {
    if (status === 200) await new Promise<void>((resolve) => release = resolve);
    return new Response("null", { status });
  };
  await withServer(answer, async ({ hook, time, asked }) => {
    for (let i = 0; i < 5; i++) await assert.rejects(hook.run(call), { code: "hook_failed" });
    const isDown = { code: "hook_down" };
    await assert.rejects(hook.run(call), isDown);
    assert.throws(() => hook.check(), isDown);
    time.now = 29_999;
    await assert.rejects(hook.run(call), isDown);
    assert.equal(asked.length, 5);
    // it still fails: another rest
    time.now = 30_000;
    await assert.rejects(hook.run(call), { code: "hook_failed" });
    await assert.rejects(hook.run(call), isDown);
    time.now = 60_000;
    status = 200;
    const trial = hook.run(call);
    await assert.rejects(hook.run(call), isDown);
    while (asked.length < 7) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 1));
    release();
    await trial;
    hook.check();
  });
});

Deno.test("hookOf() has 16 calls under way and no more", async () => {
  const gate = Promise.withResolvers<void>();
  const answer = async () => {
    await gate.promise;
    return new Response();
  };
  await withServer(answer, async ({ hook }) => {
    const calls = Array.from({ length: 16 }, () => hook.run(call));
    await assert.rejects(hook.run(call), { code: "hook_busy" });
    gate.resolve();
    await Promise.all(calls);
    await hook.run(call);
  });
});
