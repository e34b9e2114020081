/** Founding a group among gateways that do what they should: plan, deal, status, forget. */
import assert from "node:assert/strict";
import { evaluate, volumeInput, voprfCombiner } from "../../core/trust/share/voprf.ts";
import { parseId } from "../../core/base/id.ts";
import {
  eventually,
  requireGroup,
  requireNothing,
  settled,
  type TestGateway,
  withGateways,
} from "./_test_gateway.ts";

/** What a device gets from these members of the group, and from no fewer. */
async function openedBy(gateways: readonly TestGateway[]): Promise<Uint8Array | null> {
  const { suite } = gateways[0]!.host;
  const input = volumeInput(parseId("kiosk-1"), new Uint8Array(16));
  const { roster } = gateways[0]!.group.current()!;
  const combiner = voprfCombiner(suite, { roster, input, proofs: "required" });
  for (const { group } of gateways) {
    const { index, share, publicShare } = group.current()!;
    const answer = evaluate(suite, { share: share.reveal(), publicShare, input, proof: true });
    combiner.take(index, answer);
  }
  return await combiner.result();
}

for (const [k, n] of [[2, 3], [3, 5], [1, 1]] as const) {
  Deno.test(`gateways become a group of which ${k} of ${n} answer`, async () => {
    await withGateways(n, async (gateways) => {
      const [dealer, ...others] = gateways as [TestGateway, ...TestGateway[]];
      const plan = await dealer.ceremony.plan({ group: "home", k }, "site");
      assert.deepEqual([plan.group, plan.k, plan.n], ["home", k, n]);
      for (const [i, member] of plan.members.entries()) {
        const { id, index, self, reachable, group, why, url, fingerprint } = member;
        assert.deepEqual([id, index, self, reachable], [gateways[i]!.id, i + 1, i === 0, true]);
        assert.deepEqual([group, why, url], [null, null, await gateways[i]!.host.urlFor("device")]);
        assert.match(fingerprint, /^([0-9a-f]{4}-){5}[0-9a-f]{4}$/);
      }
      await requireNothing(gateways);
      const deal = await dealer.deal();
      assert.deepEqual([deal.state, deal.error], ["done", null]);
      assert.deepEqual(deal.members.map(({ step }) => step), gateways.map(() => "signed"));
      await settled(gateways);
      await requireGroup(gateways, { k });

      const whole = await openedBy(gateways.slice(0, k));
      assert.equal(whole?.length, 64);
      assert.deepEqual(await openedBy(gateways.slice(-k)), whole);
      if (k > 1) assert.equal(await openedBy(gateways.slice(1, k)), null);
      for (const { events } of gateways) {
        const told = events.filter(({ type }) => type === "share.refreshed");
        assert.deepEqual(told.map(({ detail }) => detail), [{ group: "home", epoch: 1, k, n }]);
      }
      assert.deepEqual(await dealer.audited(), [
        "share.planned by site",
        "share.offered by site",
        "share.dealt by site",
      ]);
      for (const other of others) {
        assert.deepEqual(await other.audited(), [
          "share.accepted by gw-1",
          "share.committed by gw-1",
        ]);
      }
      for (const gateway of gateways) await gateway.restart();
      await requireGroup(gateways, { k });
    });
  });
}

Deno.test("status says who is there and who has the roster, as far as this gateway can know", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, other, third] = gateways as [TestGateway, TestGateway, TestGateway];
    const { self, ...empty } = await dealer.ceremony.status({ live: true });
    assert.deepEqual([self.id, self.url], ["gw-1", await dealer.host.urlFor("device")]);
    assert.deepEqual(empty, { group: null, members: [], plan: null, deal: null, unusable: [] });
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    const planned = await dealer.ceremony.status({ live: true });
    assert.deepEqual(planned.plan!.members.map(({ reachable }) => reachable), [true, true, true]);
    await dealer.deal();
    await settled(gateways);
    const shown = async (gateway: TestGateway, live: boolean) => {
      const { group, plan, members } = await gateway.ceremony.status({ live });
      assert.deepEqual([group!.name, group!.k, group!.n, plan], ["home", 2, 3, null]);
      return members.map(({ id, self, reachable, has_roster }) => (
        `${id} ${self ? "self" : reachable} ${has_roster}`
      ));
    };
    assert.deepEqual(await shown(dealer, true), [
      "gw-1 self true",
      "gw-2 true true",
      "gw-3 true true",
    ]);
    assert.deepEqual(await shown(dealer, false), [
      "gw-1 self true",
      "gw-2 null null",
      "gw-3 null null",
    ]);
    // it has no codes of the others
    assert.deepEqual(await shown(other, true), [
      "gw-1 null null",
      "gw-2 self true",
      "gw-3 null null",
    ]);
    await third.stop();
    await other.ceremony.forget("site");
    assert.deepEqual(await shown(dealer, true), [
      "gw-1 self true",
      "gw-2 true false",
      "gw-3 false null",
    ]);
  });
});

Deno.test("a gateway that forgets has no share any more, and may join another group", async () => {
  await withGateways(2, async (gateways) => {
    const [dealer, other] = gateways as [TestGateway, TestGateway];
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    await dealer.deal();
    await settled(gateways);
    const { share } = dealer.group.current()!;
    await assert.rejects(dealer.ceremony.plan({ group: "x", k: 1 }, "site"), {
      code: "group_exists",
    });
    await assert.rejects(dealer.ceremony.deal("site"), { code: "group_exists" });
    for (const gateway of gateways) await gateway.ceremony.forget("token:abc");
    assert.throws(() => share.reveal(), /wiped/);
    await settled(gateways);
    await requireNothing(gateways);
    assert.equal((await other.audited()).at(-1), "share.forgotten by token:abc");
    await dealer.restart();
    await requireNothing(gateways);
    await dealer.ceremony.plan({ group: "garden", k: 1 }, "site");
    assert.equal((await dealer.deal()).state, "done");
    await settled(gateways);
    await requireGroup(gateways, { k: 1, name: "garden" });
  });
});

Deno.test("a plan is kept with who cannot be reached, and a deal needs everybody", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, , third] = gateways as [TestGateway, TestGateway, TestGateway];
    await assert.rejects(dealer.ceremony.deal("site"), { code: "plan_unknown" });
    for (const [group, k] of [["a b", 2], ["home", 0], ["home", 4], ["home", 1.5]] as const) {
      await assert.rejects(dealer.ceremony.plan({ group, k }, "site"), { code: "bad_request" });
    }
    await third.stop();
    const plan = await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    assert.deepEqual(plan.members.map(({ reachable }) => reachable), [true, true, false]);
    assert.match(plan.members[2]!.why!, /gw-3/);
    await dealer.restart();
    const deal = await dealer.deal();
    assert.equal(deal.state, "failed");
    assert.deepEqual(deal.members.map(({ step }) => step), ["waiting", "asked", "failed"]);
    assert.match(deal.error!.detail, /^Cannot deal: gw-3: .*gw-3/);
    await third.start();
    await requireNothing(gateways);
    // its channel to gw-3 rests for a while, as nobody has answered there
    let next = await dealer.deal();
    for (let i = 0; next.state === "failed" && i < 5; i++) next = await dealer.deal();
    assert.equal(next.state, "done");
    await settled(gateways);
    await requireGroup(gateways, { k: 2 });
  });
});

Deno.test("while a deal is under way nothing else begins", async () => {
  await withGateways(2, async (gateways) => {
    const [dealer, other] = gateways as [TestGateway, TestGateway];
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    await other.stop();
    const both = await Promise.allSettled([dealer.ceremony.deal("a"), dealer.ceremony.deal("b")]);
    assert.deepEqual(both.map(({ status }) => status), ["fulfilled", "rejected"]);
    const running = { code: "deal_running" };
    await assert.rejects(dealer.ceremony.plan({ group: "x", k: 1 }, "site"), running);
    await assert.rejects(dealer.ceremony.forget("site"), running);
    await eventually("the deal fails", async () => {
      return (await dealer.ceremony.status({ live: false })).deal!.state === "failed";
    });
    await dealer.ceremony.forget("site");
    assert.equal((await dealer.ceremony.status({ live: false })).plan, null);
  });
});

Deno.test("a code that is of no use is named, and is in nobody's way but the plan's", async () => {
  await withGateways(2, async (gateways, folder) => {
    const dealer = gateways[0]!;
    await Deno.writeTextFile(`${folder}/gw-1-at-gw-2.json`, "{}");
    const { unusable } = await dealer.ceremony.status({ live: true });
    assert.match(`${unusable[0]!.file} ${unusable[0]!.why}`, /gw-1-at-gw-2\.json.*enrolment code/);
    const refused = { code: "code_unusable", message: /gw-1-at-gw-2\.json/ };
    await assert.rejects(dealer.ceremony.plan({ group: "home", k: 1 }, "site"), refused);
    // it is read anew each time
    await gateways[1]!.enrol(dealer);
    await dealer.ceremony.plan({ group: "home", k: 1 }, "site");
    assert.deepEqual((await dealer.ceremony.status({ live: false })).unusable, []);
  });
});
