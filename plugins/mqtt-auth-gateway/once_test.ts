/** Calls with an effect outside: once for one id, over repetitions, restarts and hooks that fail. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import type { HookCall } from "./hook.ts";
import { onceId, openGateway } from "./_test_gateway.ts";

/** An address of the operator's that counts what it is told, and answers as the test says. */
function openHook(answer: (call: HookCall) => Response | Promise<Response>) {
  const calls: HookCall[] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const call = await request.json() as HookCall;
      calls.push(call);
      return await answer(call);
    },
  );
  return {
    calls,
    url: `http://127.0.0.1:${server.addr.port}/relay`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const relay = (url: string) => `
  allow = ["relay.*", "echo"]
  routes = [{ method = "relay.*", url = "${url}", timeout = "300ms" }]`;

Deno.test("a call that goes to a hook runs once, however often and in whatever session it is made", async () => {
  await using hook = openHook(({ params }) => Response.json({ done: params }));
  await using gateway = await openGateway(relay(hook.url));
  const device = await gateway.device("lamp-1");
  const once = onceId();
  const toggle = () => device.call("relay.toggle", { channel: 2 }, { once });
  assert.deepEqual(await toggle(), { done: { channel: 2 } });
  assert.deepEqual(await toggle(), { done: { channel: 2 } });
  await device.hangUp();
  assert.deepEqual(await toggle(), { done: { channel: 2 } });
  await device.hangUp();
  await gateway.restart();
  assert.deepEqual(await toggle(), { done: { channel: 2 } });
  assert.deepEqual(hook.calls, [{
    ...{ site: "kiosk-7", device: "lamp-1", method: "relay.toggle", params: { channel: 2 }, once },
  }]);
  await device.call("relay.toggle", { channel: 2 }, { once: onceId() });
  assert.equal(hook.calls.length, 2);
});

Deno.test("each call of a hook is in the site's history once, before it is made and with its outcome", async () => {
  const seen: string[] = [];
  let status = 200;
  await using hook = openHook(async () => {
    seen.push(...(await entries()).slice(-1).map(({ type }) => type));
    return new Response("1", { status });
  });
  await using gateway = await openGateway(relay(hook.url));
  const entries = () =>
    gateway.db.read((q) =>
      q.all<{ type: string; actor: string; subject: string; detail: string }>(
        sql`SELECT type, actor, subject, detail FROM audit WHERE type LIKE 'device.hook%' ORDER BY id`,
      )
    );
  const device = await gateway.device("lamp-1");
  const [good, bad] = [onceId(), onceId()];
  for (let i = 0; i < 2; i++) await device.call("relay.on", { pin: "1234" }, { once: good });
  status = 403;
  await assert.rejects(device.call("relay.off", {}, { once: bad }), { code: "hook_refused" });
  assert.deepEqual(seen, ["device.hook_called", "device.hook_called"]);
  const [on, off] = [{ method: "relay.on", once: good }, { method: "relay.off", once: bad }];
  assert.deepEqual(
    (await entries()).map(({ detail, ...entry }) => [entry, JSON.parse(detail)]),
    [
      ["device.hook_called", on] as const,
      ["device.hook_ended", { ...on, outcome: "done" }] as const,
      ["device.hook_called", off] as const,
      ["device.hook_ended", { ...off, outcome: "hook_refused" }] as const,
    ].map(([type, detail]) => [{ type, actor: "lamp-1", subject: "lamp-1" }, detail]),
  );
});

Deno.test("a call that goes to a hook needs an id that makes it run once", async () => {
  await using hook = openHook(() => Response.json(null));
  await using gateway = await openGateway(relay(hook.url));
  const device = await gateway.device("lamp-1");
  await assert.rejects(device.call("relay.on"), { code: "once_required" });
  assert.equal(hook.calls.length, 0);
});

Deno.test("one device's id is not another's, and an id without a hook works too", async () => {
  await using hook = openHook(({ device }) => Response.json(device));
  await using gateway = await openGateway(relay(hook.url));
  const once = onceId();
  const [one, two] = [await gateway.device("one"), await gateway.device("two")];
  assert.equal(await one.call("relay.on", undefined, { once }), "one");
  assert.equal(await two.call("relay.on", undefined, { once }), "two");
  const other = onceId();
  assert.deepEqual(await one.call("echo", [1], { once: other }), [1]);
  assert.deepEqual(await one.call("echo", [2], { once: other }), [1], "it has happened already");
});

Deno.test("what a hook refuses stays refused under its id, and may be asked for anew", async () => {
  let status = 409;
  await using hook = openHook(() => new Response("{}", { status }));
  await using gateway = await openGateway(relay(hook.url));
  const device = await gateway.device("lamp-1");
  const once = onceId();
  await assert.rejects(device.call("relay.on", {}, { once }), { code: "hook_refused" });
  status = 200;
  await assert.rejects(device.call("relay.on", {}, { once }), { code: "hook_refused" });
  assert.deepEqual(await device.call("relay.on", {}, { once: onceId() }), {});
  assert.equal(hook.calls.length, 2);
});

Deno.test("of a call that a hook does not answer in time nobody says that it has not happened", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using hook = openHook(async () => {
    await released;
    return Response.json("late");
  });
  await using gateway = await openGateway(relay(hook.url));
  const device = await gateway.device("lamp-1");
  const once = onceId();
  await assert.rejects(device.call("relay.on", {}, { once }), { code: "outcome_unknown" });
  await assert.rejects(device.call("relay.on", {}, { once }), { code: "outcome_unknown" });
  assert.equal(hook.calls.length, 1);
  release();
});

Deno.test("while a hook has its rest nothing is put on record: the same id may have more luck later", async () => {
  let status = 500;
  await using hook = openHook(() => new Response("7", { status }));
  await using gateway = await openGateway(relay(hook.url));
  const device = await gateway.device("lamp-1");
  for (let i = 0; i < 5; i++) {
    await assert.rejects(device.call("relay.on", {}, { once: onceId() }), { code: "hook_failed" });
  }
  const once = onceId();
  await assert.rejects(device.call("relay.on", {}, { once }), { code: "hook_down" });
  assert.equal(hook.calls.length, 5);
  status = 200;
  await device.hangUp();
  await gateway.restart();
  assert.equal(await device.call("relay.on", {}, { once }), 7);
});

Deno.test("what a hook answers is no harm to the session that carries it", async () => {
  const answers = ['{"__proto__": 1}', "1e999", '"\\ud800"', "[".repeat(40) + "]".repeat(40)];
  await using hook = openHook(() => new Response(answers[hook.calls.length - 1] ?? "[true]"));
  await using gateway = await openGateway(relay(hook.url));
  const device = await gateway.device("lamp-1");
  for (const answer of answers) {
    await assert.rejects(device.call("relay.on", {}, { once: onceId() }), {
      code: "hook_answer",
    }, answer);
  }
  assert.deepEqual(await device.call("relay.on", {}, { once: onceId() }), [true]);
});
