/** A device's directory: who may read it, what is in it after a crash, and what is no device. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseId } from "../../core/base/id.ts";
import { deal } from "../../core/trust/share/dealing.ts";
import type { Roster } from "../../core/trust/share/roster.ts";
import { suite } from "./_fakes.ts";
import { DeviceHome } from "./home.ts";

const id = parseId("kiosk-7");

async function inFolder(test: (dir: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(join(folder, "device"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a device is the same one whenever it is opened, and only its owner may look", () =>
  inFolder((dir) => {
    const made = DeviceHome.create(suite, { dir, id });
    made.begin({ volume: null, goesOn: false });
    const again = DeviceHome.open(suite, dir);
    assert.equal(again.id, id);
    assert.deepEqual(again.noise.publicKey, made.noise.publicKey);
    assert.deepEqual(again.signer.publicKey, made.signer.publicKey);
    assert.deepEqual(again.secret.reveal(), made.secret.reveal());
    assert.equal(Deno.statSync(dir).mode! & 0o777, 0o700);
    for (const name of ["device.key", "boot.json"]) {
      assert.equal(Deno.statSync(join(dir, name)).mode! & 0o777, 0o600, name);
    }
    for (const name of ["gateways", "groups"]) {
      assert.equal(Deno.statSync(join(dir, name)).mode! & 0o777, 0o700, name);
    }
  }));

Deno.test("printing a device shows none of its secrets", () =>
  inFolder((dir) => {
    const home = DeviceHome.create(suite, { dir, id });
    const { noise, sign, secret } = JSON.parse(Deno.readTextFileSync(join(dir, "device.key")));
    const shown = Deno.inspect(home, { depth: 9, showHidden: false }) + JSON.stringify(home);
    for (const text of [noise, sign, secret]) assert.ok(!shown.includes(text));
    assert.ok(!shown.includes(Deno.inspect(home.secret.reveal()).slice(20, 60)));
  }));

Deno.test("a second device is not made where something is already", () =>
  inFolder((dir) => {
    const made = DeviceHome.create(suite, { dir, id });
    assert.throws(() => DeviceHome.create(suite, { dir, id }), { code: "usage" });
    assert.deepEqual(DeviceHome.open(suite, dir).secret.reveal(), made.secret.reveal());
    assert.throws(() => DeviceHome.open(suite, `${dir}-2`), { code: "usage", hint: /init/ });
  }));

Deno.test("a damaged file is named, and its contents are not quoted", () =>
  inFolder((dir) => {
    const home = DeviceHome.create(suite, { dir, id });
    home.begin({ volume: null, goesOn: false });
    const key = join(dir, "device.key");
    const text = Deno.readTextFileSync(key);
    for (
      const broken of ["", "{}", text.slice(0, 60), text.replace('"version":1', '"version":2')]
    ) {
      Deno.writeTextFileSync(key, broken);
      assert.throws(() => DeviceHome.open(suite, dir), (error) => {
        assert.equal((error as { code: string }).code, "device_damaged");
        assert.doesNotMatch(Deno.inspect(error), new RegExp(text.slice(40, 60)));
        return true;
      });
    }
    Deno.writeTextFileSync(
      join(dir, "boot.json"),
      '{"version":1,"counter":0,"id":"","volume":null}',
    );
    assert.throws(() => home.start(), { code: "device_damaged" });
    Deno.writeTextFileSync(join(dir, "gateways", "gw-1.json"), "{}");
    assert.throws(() => home.gateways(), { code: "device_damaged" });
    Deno.writeTextFileSync(join(dir, "groups", "00.json"), '{"version":1,"roster":"AA"}');
    assert.throws(() => home.rosters(), { code: "device_damaged" });
  }));

Deno.test("what a crash left behind is not taken for a file", () =>
  inFolder((dir) => {
    const home = DeviceHome.create(suite, { dir, id });
    for (const name of ["gateways/gw-1.json.new", "groups/00.json.new", "boot.json.new"]) {
      Deno.writeTextFileSync(join(dir, name), '{"version"');
    }
    assert.deepEqual([home.gateways().size, home.rosters().length, home.start()], [0, 0, null]);
    assert.equal(home.begin({ volume: null, goesOn: false }).counter, 1);
    assert.equal(home.start()!.boot.counter, 1);
  }));

Deno.test("a start has a number of its own, and remembers the volume that it was for", () =>
  inFolder((dir) => {
    const home = DeviceHome.create(suite, { dir, id });
    const volume = suite.randomBytes(16);
    assert.equal(home.start(), null);
    assert.equal(home.begin({ volume: null, goesOn: true }).counter, 1);
    const second = home.begin({ volume, goesOn: false });
    assert.deepEqual(home.start(), { boot: second, volume });
    assert.deepEqual(home.begin({ volume: null, goesOn: true }), second);
    assert.deepEqual(home.start(), { boot: second, volume });
  }));

Deno.test("an enrolment comes back as it was, and a roster does not go back", () =>
  inFolder((dir) => {
    const home = DeviceHome.create(suite, { dir, id });
    const enrolment = {
      ...{ code: suite.randomBytes(16), site: parseId("gw-1"), url: "https://gw-1.example" },
      ...{ noiseKey: suite.randomBytes(32), expires: 1_700_000_000_000 },
    };
    home.keepGateway(enrolment);
    assert.deepEqual([...home.gateways()], [[enrolment.site, enrolment]]);
    const roster: Roster = {
      ...{ group: parseId("kiosks"), epoch: 2, k: 1, n: 1, dealers: [new Uint8Array(32)] },
      commitments: deal(suite, { k: 1, n: 1 }).commitments,
      members: [{
        ...{ index: 1, id: enrolment.site, url: enrolment.url },
        ...{ noiseKey: enrolment.noiseKey, signKey: suite.randomBytes(32) },
      }],
    };
    home.keepRoster(roster);
    home.keepRoster({ ...roster, epoch: 1 });
    assert.deepEqual(home.roster(roster.commitments[0]!), roster);
    home.keepRoster({ ...roster, epoch: 3 });
    assert.deepEqual(home.rosters().map(({ epoch }) => epoch), [3]);
    assert.equal(home.roster(new Uint8Array(32)), null);
  }));
