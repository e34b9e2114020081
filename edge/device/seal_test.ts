/** Making volumes: which roster is taken, who must take a piece, and what is left when it fails. */
import assert from "node:assert/strict";
import { equalBytes } from "../../core/base/bytes.ts";
import { encodeRoster } from "../../core/trust/share/roster.ts";
import { chunkLength } from "../../core/wire/volume_chunks.ts";
import { collected, FakeGateway, FakeGroup, inputOf, suite } from "./_fakes.ts";
import { GatewaysError } from "./error.ts";
import type { DeviceHome } from "./home.ts";
import { seal, type SealOptions } from "./seal.ts";
import { unlock } from "./unlock.ts";
import { VolumeFile } from "./volume_file.ts";

const payload = new Uint8Array(1_000).fill(5);

function sealing(group: FakeGroup, home: DeviceHome, options: Partial<SealOptions> = {}) {
  return seal(home, {
    ...{ suite, input: inputOf(payload), output: group.path("volume"), scheme: "voprf" },
    ...options,
  });
}

/** What is in the folder besides devices. */
function filesIn(group: FakeGroup): string[] {
  return [...Deno.readDirSync(group.path("."))].filter((one) => one.isFile).map(({ name }) => name);
}

Deno.test("payloads of every length around a chunk, and an empty one, are sealed and opened", async () => {
  await using group = await FakeGroup.start({ k: 1, n: 1 });
  const home = group.device();
  const output = group.path("volume");
  for (const length of [0, 1, chunkLength - 1, chunkLength, chunkLength + 1, 16 * chunkLength]) {
    const bytes = suite.randomBytes(length);
    const { size, k, n } = await sealing(group, home, { input: inputOf(bytes) });
    assert.deepEqual([size, k, n], [length, 1, 1]);
    await using volume = await unlock(home, { suite, file: output });
    assert.equal(volume.size, length);
    assert.ok(equalBytes(await collected(volume.chunks()), bytes), `${length}`);
  }
});

Deno.test("the header pins the roster, and gateways hear that the volume is being made", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const sealed = await sealing(group, home);
  assert.deepEqual(sealed.gateways.map(({ outcome }) => outcome), ["good", "good", "good"]);
  using file = await VolumeFile.open(group.path("volume"));
  const { header } = file.head;
  assert.ok(header.scheme === "voprf");
  assert.deepEqual(header.roster, group.roster);
  assert.deepEqual(home.roster(group.roster.commitments[0]!), group.roster);
  const asked = group.gateways[0]!.calls.flatMap((call) => call.call === "unlock" ? [call] : []);
  assert.deepEqual(asked.map(({ seal, proof }) => [seal, proof]), [[true, true]]);
});

Deno.test("a roster is taken from k gateways that serve the same one, under their enrolled keys", async () => {
  await using group = await FakeGroup.start();
  await using impostor = await FakeGateway.start("gw-2");
  // one that is listed, and one that has its name and serves the same, under another key
  const home = group.device("kiosk-7", [group.gateways[0]!]);
  impostor.held = group.gateways[1]!.held;
  home.keepGateway(impostor.enrol(home.id));
  await assert.rejects(sealing(group, home), { code: "roster_disputed" });
  assert.deepEqual(home.rosters(), []);
  home.keepGateway(group.gateways[1]!.enrol(home.id));
  assert.equal((await sealing(group, home)).k, 2);
});

Deno.test("gateways that are behind do not count, and those that hang are not waited for", async () => {
  await using group = await FakeGroup.start({ k: 2, n: 4 });
  const home = group.device();
  group.refresh(group.gateways.slice(1));
  group.gateways[3]!.hang();
  assert.equal((await sealing(group, home, { deadline: 600_000 })).n, 4);
  assert.equal(home.roster(group.roster.commitments[0]!)!.epoch, 2);
});

Deno.test("a device moves on only by rosters that follow its own", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  await sealing(group, home);
  group.refresh();
  await sealing(group, home);
  const held = home.roster(group.roster.commitments[0]!)!;
  assert.equal(held.epoch, 2);
  // the gateways went back to what they were before it
  const [first] = group.gateways[0]!.held!.chain;
  for (const gateway of group.gateways) {
    gateway.held = { ...gateway.held!, chain: [first!] };
  }
  await assert.rejects(sealing(group, home), { code: "roster_disputed" });
  assert.deepEqual(
    encodeRoster(home.roster(group.roster.commitments[0]!)!),
    encodeRoster(held),
  );
});

Deno.test("gateways without a group, and gateways of two, say what to do", async () => {
  await using group = await FakeGroup.start({ k: 1, n: 2 });
  await using other = await FakeGroup.start({ k: 1, n: 1 });
  const home = group.device();
  await using stray = await FakeGateway.start("gw-9");
  stray.held = other.gateways[0]!.held;
  const alone = group.device("kiosk-8", [stray]);
  await assert.rejects(sealing(group, alone), { code: "roster_disputed", hint: /share/ });
  const { url, noise } = other.gateways[0]!;
  home.keepGateway({ ...other.gateways[0]!.enrol(home.id), url, noiseKey: noise.publicKey });
  home.keepGateway(group.gateways[1]!.enrol(home.id));
  await assert.rejects(sealing(group, home), { code: "roster_disputed", hint: /one group/ });
});

Deno.test("every gateway must take its piece, and who does not is named", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  group.gateways[1]!.onDeposit = () => ({ denied: "quota" });
  const error = await sealing(group, home, { scheme: "shamir" }).catch((error) => error);
  assert.ok(error instanceof GatewaysError);
  assert.equal(error.code, "refused");
  assert.deepEqual(error.gateways.map(({ id, outcome }) => `${id} ${outcome}`), [
    ...["gw-1 good", "gw-2 denied", "gw-3 good"],
  ]);
  assert.deepEqual(filesIn(group), []);
});

Deno.test("a deposit is repeated when the gateway says so, and is the same each time", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  let denials = 0;
  group.gateways[1]!.onDeposit = () => denials++ < 2 ? { denied: "rate", retry_ms: 100 } : null;
  const sealed = await sealing(group, home, { scheme: "shamir", threshold: 3 });
  assert.deepEqual([sealed.k, sealed.n], [3, 3]);
  const [first, ...others] = group.gateways[1]!.calls;
  assert.equal(others.length, 2);
  for (const one of others) assert.deepEqual(one, first);
});

Deno.test("thresholds that no scheme has are refused before anybody is asked", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  for (
    const [scheme, threshold] of [["shamir", 1], ["shamir", 4], ["xor", 2], ["voprf", 3]] as const
  ) {
    await assert.rejects(sealing(group, home, { scheme, threshold }), { code: "usage" });
  }
  assert.ok(group.gateways.every(({ calls }) => calls.every(({ call }) => call === "rosters")));
  const nobody = group.device("kiosk-8", []);
  await assert.rejects(sealing(group, nobody), { code: "usage", hint: /enrol/ });
});

Deno.test("what fails leaves what was there before, and nothing half", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  const output = group.path("volume");
  await sealing(group, home);
  const before = await Deno.readFile(output);
  let reads = 0;
  const breaking = {
    read(buffer: Uint8Array): Promise<number | null> {
      return reads++ < 3 ? Promise.resolve(buffer.length) : Promise.reject(new Error("a bad disk"));
    },
  };
  await assert.rejects(sealing(group, home, { input: breaking }), /a bad disk/);
  assert.deepEqual(filesIn(group), ["volume"]);
  assert.ok(equalBytes(await Deno.readFile(output), before));
  for (const gateway of group.gateways) gateway.behaviour = () => ({ denied: "volume_known" });
  await assert.rejects(sealing(group, home), { code: "refused" });
  assert.ok(equalBytes(await Deno.readFile(output), before));
});

Deno.test("nothing but a file is replaced by a volume", async () => {
  await using group = await FakeGroup.start();
  const home = group.device();
  await Deno.mkdir(group.path("folder"));
  for (const output of ["/dev/null", group.path("folder"), group.path("none/volume")]) {
    await assert.rejects(sealing(group, home, { output }), { code: "usage" }, output);
  }
  assert.ok(group.gateways.every(({ calls }) => calls.length === 0));
});
