/** Calls of people to devices, over HTTP, the broker and the device's own session. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { CodedError } from "../../core/base/errors.ts";
import type { RpcRequest } from "../../core/wire/json_rpc.ts";
import { onceId, openGateway, type TestGateway, until } from "./_test_gateway.ts";

const post = (body: unknown) => ({ method: "POST", body: JSON.stringify(body) });

/** A gateway with a device that answers calls, and how to call it as an operator. */
async function withDevice(
  onCall: (request: RpcRequest) => unknown,
  use: (test: {
    gateway: TestGateway;
    asked: RpcRequest[];
    device: Awaited<ReturnType<TestGateway["device"]>>;
    // deno-lint-ignore no-explicit-any -- the test says what it expects
    call: (body: unknown, role?: string) => Promise<{ status: number; body: any }>;
  }) => Promise<void>,
): Promise<void> {
  await using gateway = await openGateway();
  const asked: RpcRequest[] = [];
  const device = await gateway.device("lamp-1", {
    onCall(request) {
      asked.push(request);
      return onCall(request) as null;
    },
  });
  await device.call("time");
  const call = async (body: unknown, role = "operator") =>
    await gateway.ask("/devices/lamp-1/call", { ...post(body), token: await gateway.token(role) });
  await use({ gateway, asked, device, call });
}

const recordOf = (gateway: TestGateway) =>
  gateway.db.read((q) =>
    q.all<{ actor: string; subject: string; detail: string }>(
      sql`SELECT actor, subject, detail FROM audit WHERE type = 'device.called' ORDER BY id`,
    )
  );

Deno.test("an operator calls a device, and gets its answer; the call is in the history", async () => {
  await withDevice(({ params }) => ({ you: params ?? null }), async ({ gateway, asked, call }) => {
    const once = onceId();
    const answer = await call({ method: "relay.on", params: { pin: "s3cret" }, once });
    assert.deepEqual(answer, { status: 200, body: { result: { you: { pin: "s3cret" } } } });
    assert.deepEqual((await call({ method: "ping" }, "admin")).body, { result: { you: null } });
    assert.deepEqual(asked.map(({ method, once }) => [method, once]), [
      ["relay.on", once],
      ["ping", undefined],
    ]);
    const record = await recordOf(gateway);
    assert.deepEqual(record.map(({ subject, detail }) => [subject, JSON.parse(detail)]), [
      ["lamp-1", { method: "relay.on", within_ms: 10_000, once }],
      ["lamp-1", { method: "ping", within_ms: 10_000 }],
    ]);
    assert.match(record[0]!.actor, /^token:/);
    assert.ok(!JSON.stringify(record).includes("s3cret"));
    const { body: { calls } } = await gateway.ask("/devices/lamp-1");
    const out = calls.filter(({ direction }: { direction: string }) => direction === "out");
    assert.deepEqual(out.map((c: Record<string, string>) => [c["method"], c["outcome"]]), [
      ["ping", "done"],
      ["relay.on", "done"],
    ]);
  });
});

Deno.test("what a device refuses is its answer", async () => {
  const no = () => Promise.reject(new CodedError("too_hot", "Cannot switch: it is too hot"));
  await withDevice(no, async ({ call }) => {
    const { status, body } = await call({ method: "relay.on" });
    assert.deepEqual([status, body.error.data], [200, { code: "too_hot" }]);
  });
});

Deno.test("a device that does not answer in time, or not at all, is told from one that is not there", async () => {
  await withDevice(() => new Promise(() => {}), async ({ gateway, device, call, asked }) => {
    const late = await call({ method: "relay.on", within_ms: 100 });
    assert.deepEqual([late.status, late.body.code], [504, "no_answer"]);

    const answer = call({ method: "relay.on", within_ms: 20_000 });
    await until("the device is asked", () => asked.length === 2);
    await gateway.peers.revoke("device", "lamp-1");
    const lost = await answer;
    assert.deepEqual([lost.status, lost.body.code], [502, "outcome_unknown"]);
    await device.hangUp();
    await until(
      "it is revoked",
      async () => (await gateway.ask("/devices/lamp-1")).body.state === "REVOKED",
    );
    const revoked = await call({ method: "relay.on" });
    assert.deepEqual([revoked.status, revoked.body.code], [404, "device_unknown"]);

    // restarted, so that nobody has a session
    const other = await gateway.device("other");
    await other.call("time");
    await other.hangUp();
    await gateway.restart();
    const away = await gateway.ask("/devices/other/call", post({ method: "relay.on" }));
    assert.deepEqual([away.status, away.body.code], [409, "not_connected"]);
    assert.ok(away.body.hint.length > 0);
    const outcomes = (await gateway.ask("/devices/other")).body.calls;
    assert.equal(outcomes[0].outcome, "not_connected");
  });
});

Deno.test("a viewer calls nothing, and what cannot be sent is refused before it is recorded", async () => {
  await withDevice(() => null, async ({ gateway, asked, call }) => {
    const viewer = await call({ method: "relay.on" }, "viewer");
    assert.deepEqual([viewer.status, viewer.body.code], [403, "role_too_low"]);
    const bad: unknown[] = [
      ...[{}, [], "x", { method: 7 }, { method: "a b" }, { method: "rpc.x" }],
      ...[{ method: "a", params: 1 }, { method: "a", params: null }, { method: "a", once: "x" }],
      ...[{ method: "a", within_ms: 0 }, { method: "a", within_ms: 60_001 }],
      { method: "a", within_ms: 1.5 },
    ];
    for (const body of bad) {
      const { status, body: { code } } = await call(body);
      assert.deepEqual([status, code], [400, "bad_request"], JSON.stringify(body));
    }
    const deep = JSON.parse("[".repeat(20) + "]".repeat(20));
    const malformed = await call({ method: "a", params: deep });
    assert.deepEqual([malformed.status, malformed.body.code], [400, "malformed"]);
    const large = await call({ method: "a", params: ["x".repeat(70_000)] });
    assert.deepEqual([large.status, large.body.code], [400, "too_large"]);
    for (const id of ["nobody", "a%2Fb", "%23", "__proto__", "x".repeat(65)]) {
      const answer = await gateway.ask(`/devices/${id}/call`, post({ method: "a" }));
      const isId = /^[\w-]{1,64}$/.test(id);
      assert.deepEqual([answer.status, answer.body.code], [
        ...(isId ? [404, "device_unknown"] : [400, "bad_request"]),
      ], id);
    }
    assert.equal(asked.length, 0);
    assert.deepEqual(await recordOf(gateway), []);
  });
});
