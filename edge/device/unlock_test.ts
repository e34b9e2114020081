/**
 * Opening volumes with gateways that answer, lie, hang, refuse or wait for a person: real sessions, real
 * shares, gateways in this process. What becomes of other rosters is in unlock_rosters_test.ts.
 */
import assert from "node:assert/strict";
import { equalBytes } from "../../core/base/bytes.ts";
import { evaluate, volumeInput } from "../../core/trust/share/voprf.ts";
import { type FakeGateway, FakeGroup, suite } from "./_fakes.ts";
import { failed, opened, requests, sealed, told } from "./_openings.ts";
import { DeviceHome } from "./home.ts";
import { unlock } from "./unlock.ts";

Deno.test("a volume opens with k good answers, and every gateway hears of it", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  const report = await opened(home, file);
  assert.deepEqual(told(report), ["gw-1 good", "gw-2 good", "gw-3 good"]);
  assert.equal(report.opened, true);
  for (const { reports } of group.gateways) {
    assert.deepEqual(
      reports.map((one) => one.split(" ")[1]).sort(),
      ["AUTH_OK", "BOOT_LOCKED", "MOUNT_OK"],
    );
  }
  const asked = group.gateways.map((gateway) => requests(gateway)[0]!);
  assert.ok(asked.every(({ proof, seal, epoch }) => proof && !seal && epoch === 1));
});

Deno.test("each unlock is a new start, unless the same one goes on", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  const boots = [];
  for (const sameBoot of [false, false, true]) {
    boots.push((await opened(home, file, { sameBoot })).boot);
  }
  assert.deepEqual(boots.map(({ counter }) => counter), [2, 3, 3]); // sealing was the first
  assert.notEqual(boots[0]!.id, boots[1]!.id);
  assert.equal(boots[1]!.id, boots[2]!.id);
});

Deno.test("the start is on the disk before any gateway hears of it", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  const onDisk: boolean[] = [];
  for (const gateway of group.gateways) {
    gateway.behaviour = (request, honest) => {
      const { boot } = DeviceHome.open(suite, home.dir).start()!;
      onDisk.push(boot.counter === request.boot.counter && equalBytes(boot.id, request.boot.id));
      return honest(request);
    };
  }
  await opened(home, file);
  assert.deepEqual(onDisk, [true, true, true]);
});

Deno.test("the key for a command stays the same at every unlock", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  const keys: Uint8Array[] = [];
  for (let i = 0; i < 2; i++) {
    await using volume = await unlock(home, { suite, file });
    keys.push(volume.mountKey().reveal().slice());
  }
  assert.equal(keys[0]!.length, 32);
  assert.deepEqual(keys[0], keys[1]);
});

Deno.test("a gateway that lies is named, and the others open the volume", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  const [, liar] = group.gateways as [FakeGateway, FakeGateway, FakeGateway];
  const point = suite.randomBytes(32);
  const lies: [typeof liar.behaviour, string][] = [
    [(request, honest) => {
      const reply = honest(request);
      if ("denied" in reply) return reply;
      const proof = reply.proof!.slice();
      proof[40]! ^= 1;
      return { ...reply, proof };
    }, "its proof is wrong"],
    [(request, honest) => ({ ...honest(request), answer: point, proof: null }), "it gave no proof"],
    [
      (request, honest) => honest({ ...request, volume: suite.randomBytes(16) }),
      "its proof is wrong",
    ],
    [(request, honest) => ({ ...honest(request), epoch: 7 }), "it answered for another epoch"],
    [(request) => {
      const { roster } = group;
      const share = suite.sha256(point);
      share[31] = 0;
      const input = volumeInput(home.id, request.volume);
      const publicShare = roster.commitments[1]!;
      return { epoch: 1, ...evaluate(suite, { share, publicShare, input, proof: true }) };
    }, "its proof is wrong"],
  ];
  for (const [lie, why] of lies) {
    liar.behaviour = lie;
    assert.deepEqual(told(await opened(home, file)), [
      "gw-1 good",
      `gw-2 bad: ${why}`,
      "gw-3 good",
    ]);
  }
});

Deno.test("a gateway that hangs, and one that is gone, cost nothing", async () => {
  await using group = await FakeGroup.start({ k: 2, n: 4 });
  const home = group.device();
  const file = await sealed(group, home);
  group.gateways[1]!.hang();
  await group.gateways[2]![Symbol.asyncDispose]();
  const report = await opened(home, file, { deadline: 600_000 });
  assert.deepEqual(told(report), [
    "gw-1 good",
    "gw-2 late: the volume was open before it answered",
    "gw-3 unreachable: it cannot be reached",
    "gw-4 good",
  ]);
});

Deno.test("k-1 gateways do not open it, and the deadline is the end", async () => {
  await using group = await FakeGroup.start({ k: 3, n: 4 });
  const home = group.device();
  const file = await sealed(group, home);
  group.gateways[1]!.hang();
  await group.gateways[2]![Symbol.asyncDispose]();
  const { report, message } = await failed(home, file, { deadline: 700, code: "unreachable" });
  assert.deepEqual(told(report), [
    "gw-1 good",
    "gw-2 unreachable: it did not answer",
    "gw-3 unreachable: it cannot be reached",
    "gw-4 good",
  ]);
  assert.match(message, /2 of 4 gave a good answer, and it takes 3/);
});

Deno.test("when too many refuse, it ends at once, whoever hangs", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  group.gateways[0]!.hang();
  group.gateways[1]!.behaviour = () => ({ denied: "clone" });
  group.gateways[2]!.behaviour = () => ({ denied: "refused" });
  const { hint, report } = await failed(home, file, { deadline: 600_000, code: "refused" });
  assert.match(hint!, /share clear/);
  assert.deepEqual(told(report).slice(1), [
    "gw-2 denied: it has heard of another start of this device: there may be a clone",
    "gw-3 denied: it refuses",
  ]);
});

Deno.test("a device that is revoked everywhere is refused", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  for (const gateway of group.gateways) gateway.revoke(home.id);
  const { report } = await failed(home, file, { deadline: 600_000, code: "refused" });
  assert.ok(report.gateways.every(({ outcome }) => outcome === "denied"));
});

Deno.test("a person's approval is waited for, by the same request", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  let isApproved = false;
  for (const gateway of group.gateways) {
    gateway.behaviour = (request, honest) => {
      if (requests(gateway).length === 3) isApproved = true;
      if (isApproved) return honest(request);
      return { denied: "pending", retry_ms: 100, request: "abcdefgh" };
    };
  }
  assert.equal((await opened(home, file)).opened, true);
  const asked = group.gateways.flatMap(requests);
  assert.ok(asked.length >= 7);
  for (const one of asked) assert.deepEqual(one, asked[0]);
});

Deno.test("without approval in time the request is named, to be approved", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  for (const gateway of group.gateways) {
    gateway.behaviour = () => ({ denied: "pending", retry_ms: 200, request: "abcdefgh" });
  }
  const { hint, report } = await failed(home, file, { deadline: 500, code: "refused" });
  assert.match(hint!, /approve abcdefgh.*--same-boot/);
  assert.equal(told(report)[0], "gw-1 denied: a person has to approve it: request abcdefgh");
});

Deno.test("a gateway that says when to ask again is asked again, if there is time", async () => {
  await using group = await FakeGroup.start({ k: 1, n: 1 });
  const home = group.device();
  const file = await sealed(group, home);
  const [gateway] = group.gateways as [FakeGateway];
  gateway.behaviour = (request, honest) =>
    requests(gateway).length > 1 ? honest(request) : { denied: "rate", retry_ms: 150 };
  assert.equal((await opened(home, file)).opened, true);
  gateway.behaviour = () => ({ denied: "quota", retry_ms: 60_000 });
  await failed(home, file, { code: "refused" });
});

Deno.test("pieces open it too, and a wrong one is named", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home, { scheme: "shamir", threshold: 2 });
  group.gateways[2]!.behaviour = (request, honest) => {
    const reply = honest(request);
    if ("denied" in reply) return reply;
    return { ...reply, answer: reply.answer.toReversed() };
  };
  assert.deepEqual(told(await opened(home, file)), [
    "gw-1 good",
    "gw-2 good",
    "gw-3 bad: its piece is not the one that was dealt",
  ]);
});

Deno.test("xor takes the pieces of all", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home, { scheme: "xor" });
  assert.equal((await opened(home, file)).opened, true);
  group.gateways[1]!.behaviour = () => ({ denied: "hours" });
  await failed(home, file, { deadline: 600_000, code: "refused" });
});

Deno.test("another device does not open it, though the gateways answer", async () => {
  await using group = await FakeGroup.start();
  const file = await sealed(group, group.device("kiosk-7"), { scheme: "shamir" });
  const { report, code } = await failed(group.device("kiosk-8"), file, { code: "volume_foreign" });
  assert.equal(code, "volume_foreign");
  assert.deepEqual(told(report), ["gw-1 good", "gw-2 good", "gw-3 good"]);
  const last = group.gateways[0]!.reports.at(-1);
  assert.equal(last, "kiosk-8 MOUNT_FAIL 1");
});

Deno.test("a header that was altered is noticed before anything is released", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  const bytes = await Deno.readFile(file);
  const salt = indexOf(bytes, new TextEncoder().encode("dsalt")) + 7;
  bytes[salt]! ^= 1;
  await Deno.writeFile(file, bytes);
  const error = await failed(home, file, { code: "volume_foreign" });
  assert.match(error.message, /header was altered/);
});

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (equalBytes(bytes.subarray(at, at + part.length), part)) return at;
  }
  throw new Error("Cannot find the part");
}

Deno.test("a gateway that the device is not enrolled at is one fewer", async () => {
  await using group = await FakeGroup.start();
  const home = group.device("kiosk-7", group.gateways.slice(0, 2));
  const file = await sealed(group, home);
  const report = await opened(home, file);
  assert.equal(told(report)[2], "gw-3 unreachable: this device is not enrolled there");
});

Deno.test("two processes of one device do not start at once", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const file = await sealed(group, home);
  const boots = await Promise.all([opened(home, file), opened(home, file)]);
  assert.deepEqual(boots.map(({ boot }) => boot.counter).sort(), [2, 3]);
  using _lock = await home.lock(0);
  await assert.rejects(unlock(home, { suite, file, deadline: 60 }), { code: "device_busy" });
  assert.equal(home.start()!.boot.counter, 3);
});
