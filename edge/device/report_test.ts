/** Joining gateways, and telling them what became of a start. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseId } from "../../core/base/id.ts";
import { FakeGroup, inputOf, suite } from "./_fakes.ts";
import { enrol } from "./enrol.ts";
import { DeviceHome } from "./home.ts";
import { report } from "./report.ts";
import { seal } from "./seal.ts";
import { unlock } from "./unlock.ts";

Deno.test("a device is enrolled by one session, and again after that was interrupted", async () => {
  await using group = await FakeGroup.start();
  const dir = group.path("device");
  const home = DeviceHome.create(suite, { dir, id: parseId("kiosk-7") });
  const enrolment = group.gateways[0]!.enrol(home.id);
  await enrol(home, { suite, enrolment });
  assert.deepEqual([...home.gateways().keys()], ["gw-1"]);
  // as if the process had ended before it was written down
  await Deno.remove(join(dir, "gateways", "gw-1.json"));
  await enrol(DeviceHome.open(suite, dir), { suite, enrolment });
  assert.deepEqual([...home.gateways().values()], [enrolment]);
});

Deno.test("a code that is wrong, or a gateway that is gone, leaves nothing behind", async () => {
  await using group = await FakeGroup.start();
  const home = DeviceHome.create(suite, { dir: group.path("device"), id: parseId("kiosk-7") });
  const [first, second] = group.gateways;
  const wrong = { ...first!.enrol(home.id), code: suite.randomBytes(16) };
  await assert.rejects(enrol(home, { suite, enrolment: wrong, within: 400 }));
  const enrolment = second!.enrol(home.id);
  await second![Symbol.asyncDispose]();
  await assert.rejects(enrol(home, { suite, enrolment, within: 400 }), { code: "unreachable" });
  assert.equal(home.gateways().size, 0);
});

Deno.test("a report is about the latest start and its volume, and every gateway gets it", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  await assert.rejects(report(home, { suite, event: "MOUNT_OK" }), { code: "usage" });
  const output = group.path("volume");
  await seal(home, { suite, input: inputOf(new Uint8Array(1)), output, scheme: "voprf" });
  {
    await using volume = await unlock(home, { suite, file: output });
    await volume.settle();
  }
  for (const gateway of group.gateways) gateway.reports.length = 0;
  await group.gateways[1]![Symbol.asyncDispose]();
  const outcomes = await report(home, { suite, event: "MOUNT_FAIL", within: 400 });
  assert.deepEqual(outcomes.map(({ outcome }) => outcome), ["good", "unreachable", "good"]);
  assert.deepEqual(group.gateways[0]!.reports, ["kiosk-7 MOUNT_FAIL 2"]);
});
