/**
 * Devices that come without a code: the device and the command line of the site show the same six words,
 * a person compares them, and then readings flow. Whoever sits in between cannot make them the same.
 */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { doors, httpDoor } from "./_doors.ts";
import { openMiddle } from "./_middle.ts";
import { callOf, decide, measures, startOpenFog } from "./_person.ts";
import { Stranger } from "./_stranger.ts";
import { temporaryFolder } from "./program.ts";
import type { SiteProcess } from "./site_process.ts";

for (const [name, openDoor] of doors) {
  Deno.test(`a device without a code gets in by the words that it shows, over ${name}`, async () => {
    await using folder = await temporaryFolder();
    await using site = await startOpenFog(folder.path);
    const id = parseId("m-1");
    await using door = await openDoor(site, "meter", { id, url: site.broker });
    const device = new Stranger(id, door);
    assert.deepEqual(await site.peers(), []);

    const { words, session } = await device.meet();
    assert.match(words, /^[a-z]+( [a-z]+){5}$/);
    const listed = await decide(site, "list", "--json");
    const { first_seen, last_seen, ...waiting } = JSON.parse(listed);
    assert.ok(Date.now() - Date.parse(first_seen) < 60_000 && last_seen >= first_seen);
    assert.deepEqual(waiting, {
      ...{ kind: "meter", id, state: "pending", proof: "key", words },
      ...{ fingerprint: device.fingerprint, statement_fingerprint: null },
      ...{ enrolled: null, bound: null, code_expires: null, name: null, ban: null },
    });
    assert.equal(session.joined(await door.exchange(session.enrol())), "pending");
    assert.equal(session.answer(await door.exchange(callOf(device, session, 1))), "pending");

    const others = words.split(" ").reverse().join(" ");
    for (const wrong of [others, words.slice(0, -1), words.split(" ").slice(1).join(" "), ""]) {
      const { code, stdout, stderr } = await approve(site, wrong);
      assert.deepEqual([code, stdout], [3, ""]);
      assert.match(
        stderr,
        /^edgeward: error: Nobody who waits as "m-1" shows these words\n.*do not approve/,
      );
    }
    assert.deepEqual((await site.peers()).map(({ state }) => state), ["pending"]);
    assert.equal(session.joined(await door.exchange(session.enrol())), "pending");

    const typed = words.toUpperCase().replaceAll(" ", ", ");
    const { code, stdout } = await approve(site, typed);
    assert.deepEqual([code, stdout.split("\n")[0]!.slice(0, 21)], [0, "meter/m-1 is approved"]);
    assert.equal(session.joined(await door.exchange(session.enrol())), "fog-1");
    await measures(device, session, 1);
    const [peer, ...rest] = await site.peers();
    assert.deepEqual(rest, []);
    assert.deepEqual([peer!.state, peer!.fingerprint], ["approved", device.fingerprint]);
    assert.notEqual(peer!.statement_fingerprint, null);
    assert.equal((await approve(site, words)).code, 3, "nobody waits any more");
  });
}

Deno.test("a machine in the middle of a first contact cannot make the words the same", async () => {
  await using folder = await temporaryFolder();
  await using site = await startOpenFog(folder.path);
  const id = parseId("m-1");
  await using middle = openMiddle(site);
  await using door = await httpDoor(middle, "meter", { id, url: middle.url });
  const device = new Stranger(id, door);

  const { words, session } = await device.meet();
  const [waiting] = await site.peers();
  assert.deepEqual([waiting!.id, waiting!.state], [id, "pending"]);
  assert.notEqual(waiting!.words, words);
  assert.notEqual(waiting!.fingerprint, device.fingerprint);
  assert.equal(session.joined(await door.exchange(session.enrol())), "pending");

  const { code, stderr } = await approve(site, words);
  assert.equal(code, 3);
  assert.match(stderr, /somebody may sit in between: do not approve/);
  const byFingerprint = ["peers", "approve", id, "--fingerprint", device.fingerprint];
  assert.equal((await site.operate(byFingerprint)).code, 3);
  assert.deepEqual((await site.peers()).map(({ state }) => state), ["pending"]);
  assert.equal(session.joined(await door.exchange(session.enrol())), "pending");

  // nothing but the comparison has stopped it: who does not compare lets it in, and it alters readings
  assert.equal((await approve(site, waiting!.words!)).code, 0);
  assert.equal(session.joined(await door.exchange(session.enrol())), "fog-1");
  await measures(device, session, 1);
  assert.deepEqual(middle.read.map(({ kind }) => kind), ["enrol", "enrol", "enrol", "call"]);
});

Deno.test("edgeward peers approve lets in by fingerprint who knows the site's key", async () => {
  await using folder = await temporaryFolder();
  await using site = await startOpenFog(folder.path);
  const known = await site.enrol("other");
  for (const [i, [, openDoor]] of doors.entries()) {
    const name = parseId(`m-${i}`);
    await using door = await openDoor(site, "meter", { id: name, url: site.broker });
    const device = new Stranger(name, door);
    const { message1, finish } = device.knowing(known).begin();
    await door.deferred(message1);
    const [waiting] = await site.peers();
    assert.deepEqual([waiting!.state, waiting!.words], ["pending", null]);
    assert.equal(waiting!.fingerprint, device.fingerprint);
    const by = (text: string) => site.operate(["peers", "approve", name, "--fingerprint", text]);
    assert.equal((await by(new Stranger(name, door).fingerprint)).code, 3);
    assert.equal((await by(device.fingerprint.replaceAll("-", " ").toUpperCase())).code, 0);
    const session = finish(await door.admitted(message1));
    assert.equal(session.joined(await door.exchange(session.enrol())), "fog-1");
    await measures(device, session, 1);
  }
});

function approve(site: SiteProcess, words: string) {
  return site.operate(["peers", "approve", "meter/m-1", "--words", words]);
}
