/** What an operator sees and decides over HTTP. */
import assert from "node:assert/strict";
import type { MiddlewareHandler } from "hono";
import { toHex } from "../../core/base/bytes.ts";
import type { ApiRole, Guarded } from "../../core/services/access/mod.ts";
import { requestName } from "../../core/wire/unlock.ts";
import { gatewayRoutes } from "./routes.ts";
import {
  another,
  boot,
  depositing,
  device,
  minute,
  noon,
  openTestUnlock,
  type Options,
  peer,
  reportOf,
  suite,
  TestGroup,
  volume,
} from "./_test_unlock.ts";

const ranks: readonly ApiRole[] = ["viewer", "operator", "admin"];
const volumeText = toHex(volume);
const at = (t: number) => new Date(t).toISOString();

/** The routes, for whoever has this role. */
async function openRoutes({ as = "operator", ...options }: { as?: ApiRole } & Options = {}) {
  const config = { rate: "1000/s", rate_all: "1000/s", ...options.config };
  const group = options.group ?? new TestGroup();
  const test = await openTestUnlock({ ...options, config, group });
  const require = (needed: ApiRole): MiddlewareHandler<Guarded> => async (c, next) => {
    if (ranks.indexOf(as) < ranks.indexOf(needed)) return c.json({ code: "role_too_low" }, 403);
    c.set("principal", { id: "7", role: as });
    return await next();
  };
  const host = { ...test.now.host, access: { require } };
  const routes = gatewayRoutes(host, { group, operations: test.now.operations });
  return {
    test,
    async ask(path: string, method = "GET") {
      const response = await routes.request(path, { method });
      return { http: response.status, ...await response.json() };
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

Deno.test("GET /status says what this gateway holds and what waits", async () => {
  const group = new TestGroup();
  await using site = await openRoutes({ as: "viewer", group, config: { approval: true } });
  await site.test.ask();
  assert.deepEqual(await site.ask("/status"), {
    http: 200,
    group: { name: "home", epoch: 3, index: 1, k: 1, n: 2 },
    ...{ pending: 1, awaited: 0, suspended: 0 },
  });
  group.keyshare = null;
  assert.equal((await site.ask("/status")).group, null);
});

Deno.test("a viewer looks and an operator decides", async () => {
  await using site = await openRoutes({ as: "viewer" });
  for (const path of ["/status", "/requests", "/devices", "/volumes", "/releases"]) {
    assert.equal((await site.ask(path)).http, 200, path);
  }
  const decisions = [
    ...[["/requests/abcdefgh/approve", "POST"], ["/requests/abcdefgh/deny", "POST"]],
    ...[["/devices/kiosk-7/clear", "POST"], [`/volumes/kiosk-7/${volumeText}`, "DELETE"]],
  ] as const;
  for (const [path, method] of decisions) {
    assert.equal((await site.ask(path, method)).http, 403, path);
  }
});

Deno.test("POST /requests/…/approve and deny decide, under the name of whoever did", async () => {
  await using site = await openRoutes({ config: { approval: true } });
  await site.test.ask();
  await site.test.ask({}, another("kiosk-8"));
  const { requests } = await site.ask("/requests");
  const id = requestName(suite, { device, volume, boot: boot(1) });
  const mine = requests.find((one: { id: string }) => one.id === id);
  assert.deepEqual(mine, {
    ...{ id, device, volume: volumeText, boot: 1, scheme: "voprf", seal: false, state: "pending" },
    ...{ asked: at(noon), expires: at(noon + 10 * minute), decided_by: null },
  });
  const approved = await site.ask(`/requests/${id}/approve`, "POST");
  assert.deepEqual([approved.http, approved.state, approved.decided_by], [
    ...[200, "approved", "token:7"],
  ]);
  const other = requests.find((one: { id: string }) => one.id !== id).id;
  assert.equal((await site.ask(`/requests/${other}/deny`, "POST")).state, "refused");
  const cases: [string, number, string][] = [
    [`/requests/${id}/deny`, 409, "request_decided"],
    ["/requests/aaaaaaaa/approve", 404, "request_unknown"],
    ["/requests/%1b%5b2J/approve", 404, "request_unknown"],
  ];
  for (const [path, status, code] of cases) {
    const answer = await site.ask(path, "POST");
    assert.deepEqual([answer.http, answer.code], [status, code], path);
  }
});

Deno.test("GET /devices shows starts, suspicions and what became of the last release", async () => {
  await using site = await openRoutes();
  await site.test.ask({ boot: boot(4) });
  await site.test.now.report(reportOf({ boot: boot(4) }), peer);
  await site.test.ask({ boot: boot(2) }, another("a-9"));
  await site.test.ask({ boot: boot(1) }, another("a-9"));
  const { devices, next } = await site.ask("/devices");
  assert.equal(next, null);
  assert.deepEqual(devices, [
    {
      ...{ device: "a-9", boot: 2, boot_at: at(noon), suspended: at(noon), volumes: 1 },
      ...{ released: at(noon), outcome: null, settled: null },
    },
    {
      ...{ device, boot: 4, boot_at: at(noon), suspended: null, volumes: 1 },
      ...{ released: at(noon), outcome: "mount_ok", settled: at(noon) },
    },
  ]);
  assert.equal((await site.ask("/devices/a-9/clear", "POST")).http, 200);
  const { devices: [cleared] } = await site.ask("/devices");
  assert.deepEqual([cleared.boot, cleared.suspended], [null, null]);
  const unknown = await site.ask("/devices/nobody/clear", "POST");
  assert.deepEqual([unknown.http, unknown.code], [404, "device_unknown"]);
});

Deno.test("DELETE /volumes/… erases, and GET /volumes lists what is known", async () => {
  await using site = await openRoutes();
  const { gate } = site.test.now;
  await gate.deposit(another("a-9"), depositing({ scheme: "shamir", k: 2, n: 3, index: 3 }));
  await site.test.ask();
  const { volumes } = await site.ask("/volumes");
  assert.deepEqual(volumes, [
    {
      ...{ device: "a-9", volume: volumeText, scheme: "shamir", k: 2, n: 3, index: 3 },
      since: at(noon),
    },
    {
      ...{ device, volume: volumeText, scheme: "voprf", k: null, n: null, index: null },
      since: at(noon),
    },
  ]);
  assert.equal((await site.ask(`/volumes/a-9/${volumeText}`, "DELETE")).http, 200);
  const again = await site.ask(`/volumes/a-9/${volumeText}`, "DELETE");
  assert.deepEqual([again.http, again.code], [404, "volume_unknown"]);
  assert.equal((await site.ask("/volumes?device=a-9")).volumes.length, 0);
  assert.equal((await site.ask(`/volumes?device=${device}`)).volumes.length, 1);
});

Deno.test("lists lead through all their pages, each row once", async () => {
  await using site = await openRoutes();
  for (let i = 0; i < 7; i++) await site.test.ask({}, another(`k-${i}`));
  const cases = [["devices", "after"], ["volumes", "after"], ["releases", "before"]] as const;
  for (const [list, how] of cases) {
    const whole = (await site.ask(`/${list}`))[list];
    assert.equal(whole.length, 7);
    for (const limit of [1, 3, 7]) {
      const paged: unknown[] = [];
      for (let query = ""; paged.length <= 7;) {
        const page = await site.ask(`/${list}?limit=${limit}${query}`);
        paged.push(...page[list]);
        if (page.next === null) break;
        query = `&${how}=${page.next}`;
      }
      assert.deepEqual(paged, whole, `${list} by ${limit}`);
    }
  }
  const { releases } = await site.ask("/releases?device=k-3");
  assert.deepEqual(releases, [{
    ...{ id: 4, device: "k-3", volume: volumeText, boot: 1, scheme: "voprf", epoch: 3 },
    ...{ seal: false, released: at(noon), times: 1, outcome: null, settled: null },
  }]);
});

Deno.test("what cannot be read is a problem with its code", async () => {
  await using site = await openRoutes();
  const wrong: [string, string?][] = [
    ["/devices?limit=0"],
    ["/devices?limit=1001"],
    ["/devices?after=a%20b"],
    ["/volumes?after=x"],
    ["/volumes?device=a/b"],
    ["/releases?before=-1"],
    ["/releases?limit=x"],
    ["/devices/a%20b/clear", "POST"],
    ["/volumes/a/00", "DELETE"],
    [`/volumes/a%20b/${volumeText}`, "DELETE"],
  ];
  for (const [path, method] of wrong) {
    const { http, code } = await site.ask(path, method);
    assert.deepEqual([http, code], [400, "bad_query"], path);
  }
  await site.test.breakLog(true);
  await site.test.now.db.write((tx) =>
    tx.run("INSERT INTO share_gateway_devices (device, noise_key) VALUES ('x', x'00')")
  );
  const { http } = await site.ask("/devices/x/clear", "POST");
  assert.equal(http, 503);
});
