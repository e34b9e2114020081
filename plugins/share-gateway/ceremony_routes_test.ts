/** The group over HTTP: who may do what, and what is answered when it cannot be done. */
import assert from "node:assert/strict";
import type { GroupStatus } from "../../core/wire/group_status.ts";
import {
  eventually,
  requireGroup,
  settled,
  type TestGateway,
  withGateways,
} from "./_test_gateway.ts";

Deno.test("a group is founded, shown and left over HTTP", async () => {
  await withGateways(2, async (gateways) => {
    const [dealer, other] = gateways as [TestGateway, TestGateway];
    const ask = (method: string, path: string, body?: unknown) =>
      dealer.ask(method, `/share-gateway/group${path}`, body);
    const planned = await ask("POST", "/plan", { group: "home", threshold: 2 });
    assert.equal(planned.status, 200);
    const { plan } = planned.json as { plan: { n: number; members: { id: string }[] } };
    assert.deepEqual([plan.n, plan.members.map(({ id }) => id)], [2, ["gw-1", "gw-2"]]);
    const begun = await ask("POST", "/deal");
    assert.equal(begun.status, 202);
    await eventually("the deal is done", async () => {
      const { json } = await ask("GET", "");
      return (json as GroupStatus).deal!.state === "done";
    });
    await settled(gateways);
    await requireGroup(gateways, { k: 2 });
    const { json } = await ask("GET", "?live=1");
    const { group, members } = json as GroupStatus;
    assert.deepEqual(group, { name: "home", epoch: 1, k: 2, n: 2, index: 1 });
    assert.deepEqual(members.map(({ reachable, has_roster }) => [reachable, has_roster]), [
      [true, true],
      [true, true],
    ]);
    const again = await ask("POST", "/plan", { group: "x", threshold: 1 });
    assert.deepEqual([again.status, (again.json as { code: string }).code], [409, "group_exists"]);
    assert.match((again.json as { hint: string }).hint, /share forget/);
    assert.deepEqual(await ask("DELETE", ""), { status: 200, json: {} });
    assert.equal((await dealer.audited()).at(-1), "share.forgotten by site");
    assert.equal(dealer.group.current(), null);
    assert.notEqual(other.group.current(), null);
  });
});

Deno.test("what is no plan, and what there is no plan for, is refused", async () => {
  await withGateways(2, async ([dealer]) => {
    const ask = async (method: string, path: string, body?: unknown) => {
      const { status, json } = await dealer!.ask(method, `/share-gateway/group${path}`, body);
      return [status, (json as { code: string }).code];
    };
    const bad = [400, "bad_request"];
    for (const body of [undefined, 7, {}, { group: "home" }, { group: "home", threshold: "2" }]) {
      assert.deepEqual(await ask("POST", "/plan", body), bad);
    }
    assert.deepEqual(await ask("POST", "/plan", { group: "home", threshold: 3 }), bad);
    assert.deepEqual(await ask("POST", "/plan", { group: "", threshold: 1 }), bad);
    assert.deepEqual(await ask("POST", "/deal"), [409, "plan_unknown"]);
  });
});

Deno.test("viewers look, admins found and leave, and nobody else does anything", async () => {
  await withGateways(2, async ([dealer]) => {
    const gateway = dealer!;
    const token = async (role: string) => {
      const { json } = await gateway.ask("POST", "/tokens", { role });
      return (json as { token: string }).token;
    };
    const routes = [
      ["GET", "", "viewer"],
      ["POST", "/plan", "admin"],
      ["POST", "/deal", "admin"],
      ["DELETE", "", "admin"],
    ] as const;
    const roles = ["nobody", "viewer", "operator", "admin"];
    const tokens = [null, await token("viewer"), await token("operator"), await token("admin")];
    const { hostname, port } = gateway.site.http!;
    for (const [method, path, needed] of routes) {
      for (const [i, token] of tokens.entries()) {
        using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
        const response = await fetch(`http://${hostname}:${port}/share-gateway/group${path}`, {
          ...{ client, method },
          headers: token === null ? {} : { authorization: `Bearer ${token}` },
        });
        await response.body?.cancel();
        const isLet = i >= roles.indexOf(needed);
        const expected = isLet ? /^(200|400|409)$/ : i === 0 ? /^401$/ : /^403$/;
        assert.match(`${response.status}`, expected, `${method} ${path} by ${roles[i]}`);
      }
    }
    assert.match((await gateway.audited()).join(), /^share\.forgotten by token:/);
  });
});
