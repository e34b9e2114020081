/** What the gateway tells people over HTTP: lists in pages, one device, how it is, and who may ask. */
import assert from "node:assert/strict";
import { openGateway, type TestGateway, until } from "./_test_gateway.ts";

// deno-lint-ignore no-explicit-any -- the test says what it expects
const idsOf = (devices: any[]) => devices.map(({ id }) => id);

/** A gateway with four devices of which one is revoked, and one that waits. */
async function withDevices(use: (gateway: TestGateway) => Promise<void>): Promise<void> {
  await using gateway = await openGateway();
  for (const id of ["b-2", "a-1", "z-6", "d-4"]) await (await gateway.device(id)).call("time");
  await gateway.peers.rename("device", "a-1", "Pump in the Cellar");
  await gateway.peers.revoke("device", "d-4");
  await gateway.peers.openJoin(300_000);
  const stranger = await gateway.stranger("e-5");
  stranger.call("time").catch(() => {});
  await until("it waits", () => gateway.peers.waiting().length === 1);
  gateway.advance(2_000);
  await use(gateway);
}

Deno.test("GET /devices lists everybody, in pages, found and sorted as asked", async () => {
  await withDevices(async (gateway) => {
    const list = async (query: string) => (await gateway.ask(`/devices${query}`)).body;
    const whole = await list("");
    assert.deepEqual(idsOf(whole.devices), ["a-1", "b-2", "d-4", "e-5", "z-6"]);
    assert.deepEqual([whole.next, whole.total, typeof whole.seq], [null, 5, "number"]);
    const [first] = whole.devices;
    assert.deepEqual(Object.keys(first), [
      ...["id", "name", "state", "fingerprint", "profile", "legacy", "first_seen", "last_seen"],
      ...["allow", "calls", "refused", "proof", "words", "ban"],
    ]);
    assert.deepEqual([first.name, first.state, first.calls], [
      ...["Pump in the Cellar", "AUTHORIZED", 1],
    ]);
    assert.match(first.last_seen, /^\d{4}-.*Z$/);
    const waiting = whole.devices[3];
    assert.deepEqual([waiting.state, waiting.proof, waiting.ban], ["PENDING", "key", null]);

    const paged: string[] = [];
    for (let query = "?limit=2&sort=-id";;) {
      const { devices, next, total } = await list(query);
      paged.push(...idsOf(devices));
      assert.equal(total, 5);
      if (next === null) break;
      query = `?limit=2&sort=-id&after=${next}`;
    }
    assert.deepEqual(paged, ["z-6", "e-5", "d-4", "b-2", "a-1"]);
    assert.deepEqual(idsOf((await list("?search=cellar")).devices), ["a-1"]);
    assert.deepEqual(idsOf((await list("?search=Z-")).devices), ["z-6"]);
    assert.deepEqual(idsOf((await list(`?search=${first.fingerprint}`)).devices), ["a-1"]);
    assert.deepEqual(idsOf((await list("?state=REVOKED,PENDING")).devices), ["d-4", "e-5"]);
    assert.deepEqual(idsOf((await list("?sort=name&limit=1&state=AUTHORIZED")).devices), ["b-2"]);
    assert.deepEqual((await list("?search=%3Cscript%3E")).devices, []);
  });
});

Deno.test("GET /devices/{id} tells all of a device, and nothing of one that is not there", async () => {
  await withDevices(async (gateway) => {
    const { status, body } = await gateway.ask("/devices/a-1");
    assert.deepEqual([status, body.id, body.rivals, body.telemetry], [200, "a-1", [], []]);
    const [{ at, ms, ...call }] = body.calls;
    assert.match(at, /^\d{4}-.*Z$/);
    assert.ok(Number.isInteger(ms));
    assert.deepEqual(call, { method: "time", outcome: "done", direction: "in" });
    const nobody = await gateway.ask("/devices/nobody");
    assert.deepEqual([nobody.status, nobody.body.code], [404, "device_unknown"]);
  });
});

Deno.test("GET /status counts devices by state, and says how the gateway is", async () => {
  await withDevices(async (gateway) => {
    const { body: { join, live, broker, ...status } } = await gateway.ask("/status");
    assert.deepEqual(status, {
      devices: {
        ...{ PENDING: 1, CONFLICT: 0, APPROVED: 0, AUTHORIZED: 3, OFFLINE: 0, REVOKED: 1 },
      },
      profiles: ["v2"],
      legacy: null,
    });
    assert.equal(broker.connected, true);
    assert.equal(join.open, true);
    assert.match(join.until, /^\d{4}-.*Z$/);
    assert.equal(live.clients, 0);
    await gateway.peers.closeJoin();
    assert.deepEqual((await gateway.ask("/status")).body.join, { open: false, until: null });
  });
});

Deno.test("a question that cannot be read is a problem", async () => {
  await using gateway = await openGateway();
  const bad = [
    ...["limit=0", "limit=501", "limit=x", "limit=1.5", "sort=", "sort=allow", "sort=--id"],
    ...["state=", "state=pending", "state=PENDING,x", "after=", "after=x", "after=e30"],
    `search=${"x".repeat(101)}`,
  ];
  for (const query of bad) {
    const { status, body } = await gateway.ask(`/devices?${query}`);
    assert.deepEqual([status, body.code], [400, "bad_query"], query);
  }
  for (const id of ["%23", "%2B", "a%2Fb", "a%20b", "x".repeat(65)]) {
    const { status, body } = await gateway.ask(`/devices/${id}`);
    assert.deepEqual([status, body.code], [400, "bad_request"], id);
  }
  for (const body of ["[]", "x", '"x"', "null"]) {
    const answer = await gateway.ask("/devices/a/call", { method: "POST", body });
    assert.deepEqual([answer.status, answer.body.code], [400, "bad_request"], body);
  }
});

Deno.test("weakness 19: nobody sees or does anything here without a token of the right role", async () => {
  await using gateway = await openGateway();
  const routes: [string, string, string][] = [
    ["GET", "/status", "viewer"],
    ["GET", "/devices", "viewer"],
    ["GET", "/devices/a", "viewer"],
    ["POST", "/devices/a/call", "operator"],
    ["PUT", "/devices/a/permissions", "admin"],
    ["PUT", "/devices/a/psk", "admin"],
    ["DELETE", "/devices/a/psk", "admin"],
  ];
  const roles = ["viewer", "operator", "admin"];
  for (const [method, path, needed] of routes) {
    const nobody = await gateway.ask(path, { method, headers: {} });
    assert.deepEqual([nobody.status, nobody.body.code], [401, "token_required"], path);
    for (const role of roles) {
      const { status, body } = await gateway.ask(path, {
        method,
        token: await gateway.token(role),
      });
      const isEnough = roles.indexOf(role) >= roles.indexOf(needed);
      assert.equal(body.code === "role_too_low", !isEnough, `${method} ${path} ${role}`);
      assert.equal(status === 403, !isEnough);
    }
  }
});

Deno.test("a gateway of 5,000 devices lists them all, each once, in pages of 500", async () => {
  await using gateway = await openGateway();
  await gateway.stopped(async (execute) => {
    await execute(`INSERT INTO peers
        (kind, id, state, noise_key, sign_key, psk, code_expires, enrolled_at, bound_at, name)
      WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
      SELECT 'device', 'device-' || i, 'approved', randomblob(32), randomblob(32), x'00', 0, 0, 0,
        'Pump ' || (i % 10) FROM n`);
  });
  const ids = new Set<string>();
  for (let query = "?limit=500&sort=name", pages = 0; pages < 20; pages++) {
    const { devices, next, total } = (await gateway.ask(`/devices${query}`)).body;
    assert.equal(total, 5_000);
    for (const id of idsOf(devices)) ids.add(id);
    if (next === null) break;
    query = `?limit=500&sort=name&after=${next}`;
  }
  assert.equal(ids.size, 5_000);
  assert.equal((await gateway.ask("/devices?search=pump+7&limit=1")).body.total, 500);
  assert.equal((await gateway.ask("/status")).body.devices.APPROVED, 5_000);
});

Deno.test("weakness 20: names and ids are data, and no browser takes them for anything else", async () => {
  await using gateway = await openGateway();
  await (await gateway.device("a-1")).call("time");
  await gateway.peers.rename("device", "a-1", "<script>alert(1)</script>");
  gateway.advance(2_000);
  const headers = { authorization: `Bearer ${await gateway.token("viewer")}` };
  const response = await fetch(`${gateway.url}/devices?search=<script>`, { headers });
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  assert.equal((await response.json()).devices[0].name, "<script>alert(1)</script>");
});

Deno.test("without v1 there are no psks", async () => {
  await using gateway = await openGateway();
  for (const method of ["PUT", "DELETE"]) {
    const { status, body } = await gateway.ask("/devices/a/psk", { method });
    assert.deepEqual([status, body.code], [409, "v1_off"]);
  }
});
