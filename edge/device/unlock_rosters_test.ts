/** Opening volumes when the gateways' shares have been refreshed since, at all of them or at some. */
import assert from "node:assert/strict";
import { type FakeGateway, FakeGroup, suite } from "./_fakes.ts";
import { failed, opened, requests, sealed, told } from "./_openings.ts";

Deno.test("a device that slept through refreshes takes the signed chain, and opens", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  group.refresh();
  group.refresh();
  assert.equal((await opened(home, file)).opened, true);
  assert.equal(home.roster(group.roster.commitments[0]!)!.epoch, 3);
  for (const gateway of group.gateways) gateway.calls.length = 0;
  await opened(home, file);
  assert.ok(group.gateways.flatMap(requests).every(({ epoch }) => epoch === 3));
});

Deno.test("a gateway that missed a refresh is asked anew, and the others open the volume", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  group.refresh(group.gateways.slice(1));
  const report = await opened(home, file);
  assert.deepEqual(told(report), [
    "gw-1 denied: it holds the roster of another epoch",
    "gw-2 good",
    "gw-3 good",
  ]);
});

Deno.test("what comes late about an epoch that is over changes nothing", async () => {
  await using group = await FakeGroup.start({ k: 2, n: 2 });
  const home = group.device();
  const file = await sealed(group, home);
  group.refresh();
  const [first, second] = group.gateways as [FakeGateway, FakeGateway];
  const isAskedAnew = Promise.withResolvers<void>();
  first.behaviour = (request, honest) => {
    if (request.epoch === 2) isAskedAnew.resolve();
    return honest(request);
  };
  second.behaviour = async (request, honest) => {
    if (request.epoch === 1) await isAskedAnew.promise;
    return honest(request);
  };
  assert.deepEqual(told(await opened(home, file)), ["gw-1 good", "gw-2 good"]);
  assert.deepEqual([first, second].map((one) => requests(one).map(({ epoch }) => epoch)), [
    ...[[1, 2], [1, 2]],
  ]);
});

Deno.test("answers of two epochs are not combined", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  group.refresh(group.gateways.slice(2));
  group.gateways[1]!.hang();
  // epoch 1 has one gateway that answers, and epoch 2 another one
  const { report } = await failed(home, file, { deadline: 700, code: "unreachable" });
  assert.equal(report.gateways.filter(({ outcome }) => outcome === "good").length, 1);
});

Deno.test("a roster that the known members have not signed changes nothing", async () => {
  await using group = await FakeGroup.start();
  await using others = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  others.refresh();
  const foreign = others.gateways[0]!.held!.chain;
  group.gateways[0]!.behaviour = () => ({ denied: "epoch", rosters: foreign });
  group.gateways[1]!.behaviour = (request, honest) => {
    const reply = honest(request);
    return "denied" in reply ? reply : { denied: "epoch", rosters: [suite.randomBytes(50)] };
  };
  const { report } = await failed(home, file, { code: "answers_bad" });
  assert.deepEqual(told(report), [
    "gw-1 bad: the roster that it gave is of another group",
    "gw-2 bad: the roster that it gave cannot be read",
    "gw-3 good",
  ]);
  assert.equal(home.roster(group.roster.commitments[0]!)!.epoch, 1);
});
