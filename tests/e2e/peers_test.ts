/**
 * What a person decides about peers at the command line, and what it means at once for the devices:
 * revoked, banned, forgotten, replaced, or known by nothing but a claim.
 */
import assert from "node:assert/strict";
import { toBase64url } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { decodeFrame, FrameType } from "../../core/trust/session/frame.ts";
import { connectMqtt } from "../../core/services/mqtt/mod.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import type { BanStatus } from "../../core/wire/peer_status.ts";
import { type Door, doors, httpDoor } from "./_doors.ts";
import {
  callOf,
  decide,
  letIn,
  measures,
  refusedDecision,
  startFogProcess,
  startOpenFog,
  statesOf,
} from "./_person.ts";
import { type RawSession, suite } from "./_raw_peer.ts";
import { Stranger } from "./_stranger.ts";
import { temporaryFolder } from "./program.ts";

const id = parseId("m-1");

for (const [name, openDoor] of doors) {
  Deno.test(`edgeward peers revoke refuses the next frame and all that follow, over ${name}`, async () => {
    await using folder = await temporaryFolder();
    await using site = await startOpenFog(folder.path);
    await using door = await openDoor(site, "meter", { id, url: site.broker });
    const known = await site.enrol("other");
    const device = new Stranger(id, door);
    const session = await letIn(site, device);
    await measures(device, session, 1);

    assert.match(await decide(site, "revoke", id), /^meter\/m-1 is revoked: /);
    assert.deepEqual(await statesOf(site, id), ["revoked"]);
    await unheard(device, session);
    await door.refused(device.knowing(known).begin().message1);
    await door.refused(device.knowing(known, known.code).begin().message1);
    await door.refused(device.contact().message1);
    // neither does other hardware get in under the name, and nobody waits for it
    const other = new Stranger(id, door);
    await door.refused(other.knowing(known).begin().message1);
    assert.deepEqual(await statesOf(site, id), ["revoked"]);
    await refusedDecision(site, ["replace", id], /it is revoked/);
    await refusedDecision(site, ["approve", id, "--words", "a b c d e f"], /Nobody waits/);
    await assert.rejects(site.enrol(id), { code: "peer_exists" });
  });

  Deno.test(`edgeward peers ban keeps a device out through a crash, and unban lets it in, over ${name}`, async () => {
    await using folder = await temporaryFolder();
    await using site = await startFogProcess(folder.path);
    const enrolment = await site.enrol(id);
    let device: Stranger;
    {
      await using door = await openDoor(site, "meter", { id, url: site.broker });
      device = new Stranger(id, door);
      const { message1, finish } = device.knowing(enrolment, enrolment.code).begin();
      const session = finish(await door.exchange(message1));
      assert.equal(session.joined(await door.exchange(session.enrol())), "fog-1");
      await measures(device, session, 1);
      const how = ["--for", "1h", "--reason", "sends nonsense"];
      const said = await decide(site, "ban", id, ...how, ...(name === "HTTP" ? ["--key"] : []));
      assert.match(said, /^(the key of )?meter\/m-1 is banned until .*, in 59 min: /);
      await site.kill();
    }
    await site.start();
    const knock = (door: Door) => {
      const { message1, finish } = device.knowing(enrolment, enrolment.code).begin();
      return { message1, join: async () => finish(await door.exchange(message1)) };
    };
    if (name === "HTTP") {
      await using door = await openDoor(site, "meter", { id, url: site.broker });
      await door.refused(knock(door).message1);
    } else {
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      await using mqtt = await connectMqtt({ url: site.broker, clientId: id, log });
      assert.equal(mqtt.connected, false, "the broker does not even let it connect");
    }
    const [banned] = await site.peers();
    const { until, reason, before } = banned!.ban as BanStatus;
    assert.deepEqual([banned!.state, reason, before], ["banned", "sends nonsense", "approved"]);
    assert.ok(Math.abs(Date.parse(until!) - Date.now() - 3_600_000) < 120_000);
    assert.match(await decide(site, "show", id), /^because +sends nonsense$/m);

    assert.equal(await decide(site, "unban", id), "meter/m-1 is no longer banned: approved\n");
    await using door = await openDoor(site, "meter", { id, url: site.broker });
    device = Object.assign(new Stranger(id, door), { noise: device.noise, signer: device.signer });
    const session = await knock(door).join();
    await measures(device, session, 2);
    assert.deepEqual(await statesOf(site, id), ["approved"]);
  });

  Deno.test(`edgeward peers remove frees a name, and who had it may apply again, over ${name}`, async () => {
    await using folder = await temporaryFolder();
    await using site = await startOpenFog(folder.path);
    await using door = await openDoor(site, "meter", { id, url: site.broker });
    const device = new Stranger(id, door);
    const session = await letIn(site, device);
    await measures(device, session, 1);
    for (const revoke of [false, true]) {
      if (revoke) await decide(site, "revoke", id);
      assert.match(await decide(site, "remove", id), /^meter\/m-1 is forgotten: /);
      assert.deepEqual(await site.peers(), []);
      if (!revoke) await unheard(device, session);
      await measures(device, await letIn(site, device), revoke ? 3 : 2);
    }
    await decide(site, "remove", id);
    await refusedDecision(site, ["remove", id], /Nobody is known/);
    await refusedDecision(site, ["remove", "meter/m-1"], /it is unknown/);
    // who only waits is sent away as well
    await device.meet();
    await decide(site, "remove", id);
    assert.deepEqual(await site.peers(), []);
  });

  Deno.test(`edgeward peers replace gives a name to other hardware, over ${name}`, async () => {
    await using folder = await temporaryFolder();
    await using site = await startOpenFog(folder.path);
    await using door = await openDoor(site, "meter", { id, url: site.broker });
    const known = await site.enrol("other");
    const old = new Stranger(id, door);
    const session = await letIn(site, old);

    // by the words of the new hardware, which takes no place before
    const fresh = new Stranger(id, door);
    const { words, session: applying } = await fresh.meet();
    assert.deepEqual(await statesOf(site, id), ["conflict", "approved"]);
    assert.equal(applying.joined(await door.exchange(applying.enrol())), "pending");
    await measures(old, session, 1);
    await refusedDecision(site, ["approve", id, "--words", words], /it has another key/);
    const astray = words.split(" ").reverse().join(" ");
    await refusedDecision(site, ["replace", id, "--words", astray], /do not approve/);
    await measures(old, session, 2);
    assert.match(await decide(site, "replace", id, "--words", words), /^meter\/m-1 has gone to/);
    assert.equal(applying.joined(await door.exchange(applying.enrol())), "fog-1");
    await measures(fresh, applying, 3);
    await unheard(old, session);
    await door.refused(old.knowing(known).begin().message1);
    const states = await statesOf(site, id);
    assert.deepEqual(states, ["conflict", "approved"], "the old hardware is seen");

    // by a code for hardware to come
    const stdout = await decide(site, "replace", id, "--json");
    const enrolment = enrolmentFromJson(stdout);
    await door.refused(fresh.knowing(known).begin().message1);
    const third = new Stranger(id, door);
    const { message1, finish } = third.knowing(enrolment, enrolment.code).begin();
    const last = finish(await door.exchange(message1));
    assert.equal(last.joined(await door.exchange(last.enrol())), "fog-1");
    await measures(third, last, 4);
    await door.refused(fresh.knowing(known).begin().message1);
    await refusedDecision(site, ["replace", "meter/m-2"], /it is unknown/);
  });

  Deno.test(`a device whose key nothing proves gets in by its code alone, over ${name}`, async () => {
    await using folder = await temporaryFolder();
    await using site = await startOpenFog(folder.path);
    await using door = await openDoor(site, "meter", { id, url: site.broker });
    const known = await site.enrol("other");
    const born = suite.randomBytes(16);
    const device = new Stranger(id, door);
    const peer = device.knowing(known, born);
    const { message1, finish } = peer.begin();
    await door.deferred(message1);
    const [waiting] = await site.peers();
    const { state, proof, words, fingerprint } = waiting!;
    assert.deepEqual([state, proof, words], ["unproven", "none", null]);
    assert.equal(fingerprint, device.fingerprint);
    const byFingerprint = ["approve", id, "--fingerprint", device.fingerprint];
    await refusedDecision(site, byFingerprint, /not proven.*\n.*--code/);
    await refusedDecision(site, ["approve", id, "--words", "a b c d e f"], /Nobody who waits/);

    const code = toBase64url(born);
    const approved = await site.operate(
      ["peers", "approve", "meter/m-1", "--code", "-"],
      `${code}\n`,
    );
    assert.deepEqual([approved.code, approved.stderr.includes(code)], [0, false], approved.stderr);
    const session = finish(await door.admitted(message1));
    assert.equal(session.joined(await door.exchange(session.enrol())), "fog-1");
    await measures(device, session, 1);
    assert.deepEqual(await statesOf(site, id), ["approved"]);
  });
}

Deno.test("a crowd of applicants crowds out neither the list nor a real device", async () => {
  await using folder = await temporaryFolder();
  await using site = await startOpenFog(folder.path);
  await using door = await httpDoor(site, "meter", { id, url: site.url });
  const known = await site.enrol("m-2");
  const device = new Stranger(id, door);
  const { words } = await device.meet();
  const crowd = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => new Stranger(parseId(`x-${from + i}`), door));
  await inTurns(crowd(0, 150), (one) => one.meet());
  await inTurns(crowd(200, 150), (one) => door.deferred(one.knowing(known).begin().message1));
  await inTurns(crowd(400, 100), (one) => {
    return door.deferred(one.knowing(known, suite.randomBytes(16)).begin().message1);
  });
  const peers = await site.peers();
  const proven = peers.filter(({ state }) => state === "pending");
  const unproven = peers.filter(({ state }) => state === "unproven");
  assert.deepEqual([proven.length, unproven.length, peers.length], [256, 64, 256 + 64 + 1]);

  // with a code as if nobody stood there; without one it comes again, and stands in the list
  const meter = new Stranger(parseId("m-2"), door);
  const { message1, finish } = meter.knowing(known, known.code).begin();
  const session = finish(await door.exchange(message1));
  assert.equal(session.joined(await door.exchange(session.enrol())), "fog-1");
  await measures(meter, session, 1);
  await refusedDecision(site, ["approve", "meter/m-1", "--words", words], /Nobody waits/);
  await measures(device, await letIn(site, device), 1);
});

Deno.test("edgeward peers shows who is known and who waits, to people", async () => {
  await using folder = await temporaryFolder();
  await using site = await startOpenFog(folder.path);
  const nobody = await site.operate(["peers", "list"]);
  assert.deepEqual([nobody.code, nobody.stdout], [0, ""]);
  assert.match(nobody.stderr, /edgeward admin enrol KIND ID/);

  await using door = await httpDoor(site, "meter", { id, url: site.url });
  const known = await site.enrol("m-2");
  const device = new Stranger(id, door);
  const { words } = await device.meet();
  const liar = new Stranger(parseId("m-3"), door);
  await door.deferred(liar.knowing(known, suite.randomBytes(16)).begin().message1);
  const list = await site.operate(["peers", "list"]);
  const lines = list.stdout.trimEnd().split("\n").map((line) => line.split(/ {2,}/));
  assert.deepEqual(lines.map((cells) => cells.slice(0, 3)), [
    ["PEER", "STATE", "SHOWS"],
    ["meter/m-1", "pending", words],
    ["meter/m-3", "unproven", liar.fingerprint],
    ["meter/m-2", "enrolled", "-"],
  ]);
  const some = await site.operate(["peers", "list", "--state", "pending", "--json"]);
  assert.deepEqual(some.stdout, await decide(site, "show", id, "--json"));

  const shown = await decide(site, "show", id);
  for (const fact of [words, device.fingerprint, "edgeward peers approve meter/m-1 --words"]) {
    assert.ok(shown.includes(fact), `${fact} is missing in:\n${shown}`);
  }
  // the words must come from the device: what could be copied from here proves nothing
  assert.equal(shown.split(words).length, 2);
  assert.match(await decide(site, "show", "m-3"), /peers approve meter\/m-3 --code -$/m);

  const { code, stderr } = await site.operate(["peers", "approve", id]);
  assert.equal(code, 2);
  assert.match(stderr, /^edgeward: hint: .*--words/m);
  await site.operate(["admin", "enrol", "device", "m-2"]);
  const ambiguous = await site.operate(["peers", "revoke", "m-2"]);
  assert.equal(ambiguous.code, 2);
  assert.match(ambiguous.stderr, /^edgeward: hint: .*device\/m-2 or meter\/m-2$/m);
});

Deno.test("strangers wait only between edgeward peers open and close", async () => {
  await using folder = await temporaryFolder();
  await using site = await startFogProcess(folder.path);
  const asked = await site.operate(["peers", "list"]);
  assert.match(asked.stderr, /hint: `edgeward peers open` lets devices without one apply/);
  await using door = await httpDoor(site, "meter", { id, url: site.url });
  const known = await site.enrol("m-2");
  const device = new Stranger(id, door);
  await door.deferred(device.knowing(known).begin().message1);
  assert.deepEqual(await statesOf(site, id), []);

  assert.match(await decide(site, "open", "--for", "10m"), /may apply until .* UTC, in 9 min\n$/);
  const { words } = await device.meet();
  const list = await site.operate(["peers", "list"]);
  assert.match(list.stderr, /devices without a code may apply until .* UTC, in 9 min$/m);
  assert.match(list.stdout, /^meter\/m-1 +pending/m);
  const closed = JSON.parse(await decide(site, "close", "--json"));
  assert.deepEqual(closed, { open: false, until: null });
  await door.deferred(new Stranger(parseId("m-3"), door).knowing(known).begin().message1);
  assert.deepEqual(await statesOf(site, "m-3"), []);
  // who waited when it closed goes on waiting
  await decide(site, "approve", id, "--words", words);
  for (const time of ["61m", "0s", "soon"]) {
    const { code, stderr } = await site.operate(["peers", "open", "--for", time]);
    assert.equal(code, 2);
    assert.match(stderr, /an hour at most/);
  }
});

Deno.test("edgeward peers name says what people call a peer", async () => {
  await using folder = await temporaryFolder();
  await using site = await startFogProcess(folder.path);
  await site.enrol(id);
  assert.equal(await decide(site, "name", id, "Pump 7"), "meter/m-1 is called Pump 7\n");
  assert.match(await decide(site, "list"), /NAME\n.* Pump 7$/m);
  assert.match(await decide(site, "show", id), /^name +Pump 7$/m);
  await decide(site, "replace", id, "--json");
  assert.equal((await site.peers())[0]!.name, "Pump 7");
  assert.equal(await decide(site, "name", id, ""), "meter/m-1 has no name any more\n");
  const { code } = await site.operate(["peers", "name", id, "x".repeat(65)]);
  assert.equal(code, 2);
});

/** Checks that the site has ended the session: it says so, and takes nothing. */
async function unheard(device: Stranger, session: RawSession): Promise<void> {
  const { type } = decodeFrame(await device.door.exchange(callOf(device, session, 999)));
  assert.equal(type, FrameType.unknown);
}

/** Does something with each, a few at a time. */
async function inTurns<T>(all: T[], act: (one: T) => Promise<unknown>): Promise<void> {
  const waiting = all.values();
  const worker = async () => {
    for (const one of waiting) await act(one);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
