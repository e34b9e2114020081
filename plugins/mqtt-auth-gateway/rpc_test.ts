/** Calls of devices over real sessions and a real broker: what they may call, and what comes of it. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { openGateway } from "./_test_gateway.ts";

const put = (body: unknown) => ({ method: "PUT", body: JSON.stringify(body) });

Deno.test("a device with a code comes in and is heard: AUTHORIZED, on the bus and in the list", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  assert.deepEqual(await device.call("echo", { a: [1, "x", null] }), { a: [1, "x", null] });
  const { t } = await device.call("time") as { t: number };
  assert.ok(Math.abs(t - gateway.now()) < 10_000);
  const types = gateway.events.map(({ type, subject }) => `${type} ${subject}`);
  assert.deepEqual(types, ["device.approved pump-7", "device.authorized pump-7"]);
  const { body } = await gateway.ask("/devices/pump-7");
  assert.deepEqual([body.state, body.profile, body.legacy, body.rivals], [
    ...["AUTHORIZED", "v2", false, []],
  ]);
  const calls = body.calls.map(({ method, outcome, direction }: Record<string, string>) =>
    `${method} ${outcome} ${direction}`
  );
  assert.deepEqual(calls, ["time done in", "echo done in"]);
});

Deno.test("weakness 18: a device calls what it may and nothing else, whatever its session says", async () => {
  await using gateway = await openGateway(`allow = ["time"]`);
  const device = await gateway.device("pump-7");
  await device.call("time");
  for (const method of ["echo", "telemetry.push", "relay.on", "nothing"]) {
    await assert.rejects(device.call(method), { name: "Refusal", code: "not_allowed" }, method);
  }
  assert.equal(await gateway.counted("edgeward_rpc_calls_total", 'outcome="not_allowed"'), 4);
  const { body: { calls, refused } } = await gateway.ask("/devices/pump-7");
  assert.deepEqual([calls.length, refused], [5, 4]);
});

Deno.test("permissions of its own take the place of everybody's, outlive a restart, and are recorded", async () => {
  await using gateway = await openGateway(`allow = ["time"]`);
  const device = await gateway.device("pump-7");
  await device.call("time");
  const path = "/devices/pump-7/permissions";
  const { status, body } = await gateway.ask(path, put({ allow: ["echo", "relay.*"] }));
  assert.deepEqual([status, body], [200, { id: "pump-7", allow: ["echo", "relay.*"] }]);

  for (const _ of ["before a restart", "after it"]) {
    await device.call("echo");
    await assert.rejects(device.call("time"), { code: "not_allowed" });
    await assert.rejects(device.call("relay.on"), { code: "method_not_found" });
    assert.deepEqual((await gateway.ask("/devices/pump-7")).body.allow, ["echo", "relay.*"]);
    await device.hangUp();
    await gateway.restart();
  }
  await gateway.ask(path, put({ allow: [] }));
  await assert.rejects(device.call("echo"), { code: "not_allowed" });
  await gateway.ask(path, put({ allow: null }));
  await device.call("time");

  const recorded = await gateway.db.read((q) =>
    q.all<{ actor: string; detail: string }>(
      sql`SELECT actor, detail FROM audit WHERE type = 'policy.changed' ORDER BY id`,
    )
  );
  assert.deepEqual(recorded.map(({ detail }) => JSON.parse(detail).allow), [
    ...[["echo", "relay.*"], [], null],
  ]);
  for (const { actor } of recorded) assert.match(actor, /^token:[0-9a-f]{8}$/);
});

Deno.test("permissions are an admin's business, and of patterns that can be read", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  await device.call("time");
  const path = "/devices/pump-7/permissions";
  for (const role of ["viewer", "operator"]) {
    const answer = await gateway.ask(path, {
      ...put({ allow: ["*"] }),
      headers: { authorization: `Bearer ${await gateway.token(role)}` },
    });
    assert.deepEqual([answer.status, answer.body.code], [403, "role_too_low"]);
  }
  const bad = [{}, { allow: "*" }, { allow: ["a*"] }, { allow: [1] }, {
    allow: Array(65).fill("a"),
  }];
  for (const body of bad) {
    const answer = await gateway.ask(path, put(body));
    assert.deepEqual([answer.status, answer.body.code], [400, "bad_request"], JSON.stringify(body));
  }
  const stranger = await gateway.ask("/devices/nobody/permissions", put({ allow: null }));
  assert.deepEqual([stranger.status, stranger.body.code], [404, "device_unknown"]);
});

Deno.test("weakness 13: a device that calls too often is told so, and others are not held up", async () => {
  await using gateway = await openGateway("calls_per_second = 0.5");
  const [loop, other] = [await gateway.device("loop"), await gateway.device("other")];
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => loop.call("time")));
  const refused = outcomes.flatMap((one) => one.status === "rejected" ? [one.reason.code] : []);
  assert.deepEqual(refused, ["rate_limited", "rate_limited", "rate_limited"]);
  await other.call("time");
});

Deno.test("config.get tells a device its own settings over those of all", async () => {
  await using gateway = await openGateway(`
    config = { unit = "bar", every = 60 }
    devices.pump-7.config = { every = 10, deep = { er = [1, 2] } }`);
  const pump = await gateway.device("pump-7");
  assert.deepEqual(await pump.call("config.get"), { unit: "bar", every: 10, deep: { er: [1, 2] } });
  assert.equal(await pump.call("config.get", { key: "every" }), 10);
  assert.equal(await pump.call("config.get", ["unit"]), "bar");
  for (const key of ["nothing", "constructor", "toString", "__proto"]) {
    assert.equal(await pump.call("config.get", { key }), null, key);
  }
  await assert.rejects(pump.call("config.get", { key: 7 }), { code: "invalid_params" });
  const lamp = await gateway.device("lamp-1");
  assert.deepEqual(await lamp.call("config.get"), { unit: "bar", every: 60 });
});

Deno.test("telemetry.push keeps the latest values and tells the site, which a restart does not undo", async () => {
  await using gateway = await openGateway();
  const device = await gateway.device("pump-7");
  const push = (values: Record<string, number | string | boolean>) =>
    device.call("telemetry.push", { values });
  assert.deepEqual(await push({ bar: 2.5, on: true }), { stored: 2 });
  assert.deepEqual(await push({ bar: 2.75, "mode.now": "eco" }), { stored: 2 });
  const told = gateway.events.filter(({ type }) => `${type}` === "device.telemetry");
  assert.deepEqual(
    told.map(({ subject, detail }) => [subject, { ...detail["values"] as object }]),
    [
      ["pump-7", { bar: 2.5, on: true }],
      ["pump-7", { bar: 2.75, "mode.now": "eco" }],
    ],
  );
  await device.hangUp();
  await gateway.restart();
  const { body: { telemetry } } = await gateway.ask("/devices/pump-7");
  assert.deepEqual(telemetry.map(({ name, value }: Record<string, unknown>) => [name, value]), [
    ...[["bar", 2.75], ["mode.now", "eco"], ["on", true]],
  ]);
});

Deno.test("telemetry.push takes values and nothing else, of 64 names at the most", async () => {
  await using gateway = await openGateway("calls_per_second = 100");
  const device = await gateway.device("pump-7");
  const bad = [
    ...[undefined, [], {}, { values: [] }, { values: {} }, { values: { "a b": 1 } }],
    ...[{ values: { a: null } }, { values: { a: [] } }, { values: { a: {} } }],
    { values: { a: "x".repeat(257) } },
    { values: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`n${i}`, i])) },
  ];
  for (const params of bad) {
    const pushed = device.call("telemetry.push", params as Record<string, never>);
    await assert.rejects(pushed, { code: "invalid_params" }, JSON.stringify(params));
  }
  const values = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`n${i}`, i]));
  await device.call("telemetry.push", { values });
  await assert.rejects(device.call("telemetry.push", { values: { one: 1 } }), {
    code: "too_many_names",
  });
  await device.call("telemetry.push", { values: { n7: 77 } });
  const { body: { telemetry } } = await gateway.ask("/devices/pump-7");
  assert.equal(telemetry.length, 64);
});

Deno.test("a method that the configuration makes an event is told to the site", async () => {
  await using gateway = await openGateway(`
    allow = ["door.*"]
    routes = [{ method = "door.*", event = true }]`);
  const device = await gateway.device("door-1");
  assert.deepEqual(await device.call("door.opened", { by: "key 7" }), {});
  const [event] = gateway.events.filter(({ type }) => `${type}` === "device.event");
  assert.equal(event!.subject, "door-1");
  assert.deepEqual(JSON.parse(JSON.stringify(event!.detail)), {
    method: "door.opened",
    params: { by: "key 7" },
  });
  const long = { text: "x".repeat(5_000) };
  await assert.rejects(device.call("door.opened", long), { code: "invalid_params" });
});

Deno.test("the last calls of a device are kept, and so many of them", async () => {
  await using gateway = await openGateway("calls_kept = 3\ncalls_per_second = 100");
  const [device, other] = [await gateway.device("pump-7"), await gateway.device("other")];
  await other.call("time");
  for (let i = 0; i < 5; i++) await device.call("echo", [i]);
  const shown = (await gateway.ask("/devices/pump-7")).body.calls;
  for (let i = 0; i < 2; i++) await device.call("time");
  const later = (await gateway.ask("/devices/pump-7")).body.calls;
  const methods = (calls: { method: string }[]) => calls.map(({ method }) => method);
  assert.deepEqual([methods(shown), methods(later)], [
    ["echo", "echo", "echo"],
    ["time", "time", "echo"],
  ]);
  const rows = await gateway.db.read((q) =>
    q.all<{ n: number }>(sql`SELECT count(*) AS n FROM mqtt_auth_gateway_calls`)
  );
  assert.deepEqual(rows.map(({ n }) => n), [4]);
});
