/**
 * What a site offers at its desk, at the desk of a running site at whose door real handshakes knock: how
 * it is, whom it knows, and who waits to be let in.
 */
import assert from "node:assert/strict";
import type { Docket, Row, Sheet } from "../services/desk.ts";
import { began, names, openSite, type TestSite } from "./_peers_site.ts";
import { fake, startFakes, temporaryFolder } from "./_fakes.ts";
import type { Host } from "./plugin.ts";
import { Stranger } from "./_stranger.ts";

const hour = 3_600_000;
const alice = { actor: "telegram:1" };
const bob = { actor: "telegram:2" };

function docketOf({ desk }: TestSite): Docket {
  return desk.dockets().find(({ kind }) => kind === "device")!;
}

function show({ desk }: Pick<TestSite, "desk">, name: string, args = ""): Promise<Sheet> {
  return desk.views().find((view) => view.name === name)!.show(args);
}

function factsOf({ facts = [] }: Pick<Row, "facts">): Record<string, string> {
  return Object.fromEntries(facts);
}

const titles = ({ rows = [] }: Sheet) => rows.map(({ title }) => title);

Deno.test("who waits is a question that names the key, and shows what to compare", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  assert.deepEqual(await docket.pending(), []);
  const stranger = new Stranger(test.site, "m-1");
  const words = await stranger.meet();
  const questions = await docket.pending();
  assert.deepEqual(questions, [{
    ...{ id: `meter/m-1/${stranger.fingerprint}`, title: "meter m-1 wants to join" },
    ...{ asked: began, expires: null },
    facts: [
      ["words", words],
      ["fingerprint", stranger.fingerprint],
      ["proof", "the key is its own; whose it is, only a look at the device can tell"],
    ],
  }]);
  assert.deepEqual([docket.kind, docket.needs], ["device", "operator"]);
  assert.ok(docket.events.includes("device.pending"));
});

Deno.test("a yes lets in exactly the key that was shown, in the name of who says it", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  const [meant, rival] = [new Stranger(test.site, "m-1"), new Stranger(test.site, "m-1")];
  await meant.meet();
  test.time.now += 1;
  await rival.meet();
  const [first, second] = await docket.pending();
  assert.match(factsOf(first!)["others"]!, /^1 more key waits under this name/);
  await docket.decide(first!.id, "approve", alice);
  const [peer, ...others] = await test.peers("GET", "/peers");
  assert.deepEqual([names([peer!]), others], [["meter/m-1 approved"], []]);
  assert.equal(peer!.fingerprint, meant.fingerprint);
  assert.deepEqual(await docket.outcome(first!.id), { verdict: "approved", by: "telegram:1" });
  assert.deepEqual(await docket.outcome(second!.id), { verdict: "gone", by: null });
  await assert.rejects(docket.decide(second!.id, "approve", bob), { code: "applicant_unknown" });
  await assert.rejects(docket.decide(second!.id, "deny", bob), { code: "applicant_unknown" });
  // the same again changes nothing, and a no comes too late
  await docket.decide(first!.id, "approve", bob);
  assert.equal((await docket.outcome(first!.id)).by, "telegram:1");
  await assert.rejects(docket.decide(first!.id, "deny", bob), {
    ...{ name: "DeskError", code: "decided" },
    message: 'Cannot deny the meter "m-1": it was approved by telegram:1',
  });
  assert.deepEqual(names(await test.peers("GET", "/peers")), ["meter/m-1 approved"]);
});

Deno.test("a no keeps the key out for an hour, under whatever name", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  const stranger = new Stranger(test.site, "m-1");
  await stranger.meet();
  const id = (await docket.pending())[0]!.id;
  await docket.decide(id, "deny", alice);
  assert.deepEqual(await docket.pending(), []);
  await stranger.meet();
  assert.deepEqual(await docket.pending(), []);
  assert.deepEqual(await docket.outcome(id), { verdict: "denied", by: "telegram:1" });
  await docket.decide(id, "deny", bob);
  await assert.rejects(docket.decide(id, "approve", bob), {
    ...{ code: "decided", hint: /edgeward peers unban meter\/m-1/ },
    message: 'Cannot approve the meter "m-1": it was denied by telegram:1',
  });
  const [banned] = await test.peers("GET", "/peers");
  assert.deepEqual([banned!.ban!.by, banned!.ban!.actor], ["key", "telegram:1"]);
  // others of that name are not concerned
  const other = new Stranger(test.site, "m-1");
  await other.meet();
  assert.equal((await docket.pending()).length, 1);
  test.time.now += hour;
  await stranger.meet();
  assert.equal((await docket.pending()).filter((question) => question.id === id).length, 1);
});

Deno.test("of two people who decide at once, one decides", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  for (const verdicts of [["approve", "deny"], ["deny", "approve"]] as const) {
    const stranger = new Stranger(test.site, `m-${verdicts[0]}`);
    await stranger.meet();
    const id = (await docket.pending())[0]!.id;
    const results = await Promise.allSettled([
      docket.decide(id, verdicts[0], alice),
      docket.decide(id, verdicts[1], bob),
    ]);
    assert.deepEqual(results.map(({ status }) => status), ["fulfilled", "rejected"]);
    const { verdict, by } = await docket.outcome(id);
    assert.equal(verdict, verdicts[0] === "approve" ? "approved" : "denied");
    assert.equal(by, "telegram:1");
  }
});

Deno.test("a yes never takes a name away from its key, and a no leaves that key alone", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  const [owner, rival] = [new Stranger(test.site, "m-1"), new Stranger(test.site, "m-1")];
  await test.peers("POST", "/peers/meter/m-1/approve", { words: await owner.meet() });
  await rival.meet();
  const [question] = await docket.pending();
  assert.equal(question!.title, "meter m-1 came with another key");
  assert.match(factsOf(question!)["careful"]!, /edgeward peers replace meter\/m-1/);
  await assert.rejects(docket.decide(question!.id, "approve", alice), { code: "peer_exists" });
  await docket.decide(question!.id, "deny", alice);
  const approved = (await test.peers("GET", "/peers")).find(({ state }) => state === "approved");
  assert.equal(approved!.fingerprint, owner.fingerprint);
  assert.equal((await docket.outcome(question!.id)).verdict, "denied");
});

Deno.test("hardware that is let in already keeps that when it is refused under another name", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  const known = new Stranger(test.site, "m-1");
  await test.peers("POST", "/peers/meter/m-1/approve", { words: await known.meet() });
  const same = known.called("m-2");
  await same.meet();
  const [question] = await docket.pending();
  await docket.decide(question!.id, "deny", alice);
  assert.deepEqual(names(await test.peers("GET", "/peers")), [
    ...["meter/m-1 approved", "meter/m-2 banned"],
  ]);
  assert.deepEqual(await docket.outcome(question!.id), { verdict: "denied", by: "telegram:1" });
  // where that name has an owner, too, nobody is kept out for it
  const owner = new Stranger(test.site, "m-3");
  await test.peers("POST", "/peers/meter/m-3/approve", { words: await owner.meet() });
  await known.called("m-3").meet();
  const [last] = await docket.pending();
  await assert.rejects(docket.decide(last!.id, "deny", alice), { code: "peer_exists" });
  assert.deepEqual(names(await test.peers("GET", "/peers")), [
    ...["meter/m-3 conflict", "meter/m-1 approved", "meter/m-3 approved", "meter/m-2 banned"],
  ]);
});

Deno.test("what was decided elsewhere is known here, and what was revoked says what to do", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  const [one, two] = [new Stranger(test.site, "m-1"), new Stranger(test.site, "m-2")];
  const words = await one.meet();
  await two.meet();
  const [first, second] = await docket.pending();
  await test.peers("POST", "/peers/meter/m-1/approve", { words });
  await test.peers("POST", "/peers/meter/m-2/ban", {});
  assert.deepEqual(await docket.outcome(first!.id), { verdict: "approved", by: "site" });
  assert.deepEqual(await docket.outcome(second!.id), { verdict: "denied", by: "site" });
  await test.peers("POST", "/peers/meter/m-1/revoke");
  assert.deepEqual(await docket.outcome(first!.id), { verdict: "gone", by: null });
  // it waited before its name was revoked
  const rival = new Stranger(test.site, "m-3");
  await test.enrolment("/enrol", { kind: "meter", id: "m-3" });
  await rival.meet();
  await test.peers("POST", "/peers/meter/m-3/revoke");
  const [left] = await docket.pending();
  assert.match(factsOf(left!)["careful"]!, /edgeward peers remove meter\/m-3/);
  await assert.rejects(docket.decide(left!.id, "approve", alice), { code: "peer_revoked" });
});

Deno.test("a key that is not proven is no question, and who is silent waits no longer", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  const { noiseKey } = await test.enrolment("/enrol", { kind: "fog", id: "f" });
  await new Stranger(test.site, "m-1").knock(noiseKey, new Uint8Array(32).fill(1));
  assert.equal((await test.peers("GET", "/peers/meter/m-1"))[0]!.state, "unproven");
  assert.deepEqual(await docket.pending(), []);
  await new Stranger(test.site, "m-2").meet();
  const id = (await docket.pending())[0]!.id;
  test.time.now += 15 * 60_000 + 1;
  assert.deepEqual(await docket.pending(), []);
  assert.deepEqual(await docket.outcome(id), { verdict: "gone", by: null });
  await assert.rejects(docket.decide(id, "approve", alice), { code: "applicant_unknown" });
});

Deno.test("names that name nobody are refused", async () => {
  await using test = await openSite();
  const docket = docketOf(test);
  const words = await new Stranger(test.site, "m-1").meet();
  assert.ok(words.length > 0);
  const ids = ["", "m-1", "meter/m-1", "meter/m-1/", "meter/m-1/0000", "x/m-1/0", "meter/a b/0"];
  for (const id of [...ids, "meter/m-1/0000/1", "__proto__/m-1/0"]) {
    assert.deepEqual(await docket.outcome(id), { verdict: "gone", by: null });
    for (const verdict of ["approve", "deny"] as const) {
      await assert.rejects(docket.decide(id, verdict, alice), { code: "applicant_unknown" }, id);
    }
  }
  assert.deepEqual(names(await test.peers("GET", "/peers")), ["meter/m-1 pending"]);
});

Deno.test("devices shows whom the site knows before strangers, with what roles say, found by words", async () => {
  await using test = await openSite();
  const owner = new Stranger(test.site, "m-1");
  await test.peers("POST", "/peers/meter/m-1/approve", { words: await owner.meet() });
  await test.peers("POST", "/peers/meter/m-1/name", { name: "Pump 7" });
  await new Stranger(test.site, "m-1").meet();
  await new Stranger(test.site, "a-2").meet();
  await test.peers("POST", "/peers/meter/m-9/ban", { reason: "too fast" });
  const known = new Map([["m-1", [["measured", "5 s ago"]] as const]]);
  test.desk.offerRemarks({ kind: "meter", all: () => Promise.resolve(known) });
  test.desk.offerRemarks({ kind: "device", all: () => Promise.resolve(known) });
  test.desk.offerRemarks({ kind: "meter", all: () => Promise.reject(new Error("no")) });
  test.time.now += 60_000;

  const all = await show(test, "devices");
  assert.deepEqual(titles(all), ["meter/m-1, Pump 7", "meter/m-9", "meter/m-1", "meter/a-2"]);
  assert.deepEqual(factsOf(all), { approved: "1", banned: "1", pending: "1", conflict: "1" });
  assert.deepEqual(factsOf(all.rows![0]!), {
    ...{ state: "approved", fingerprint: owner.fingerprint, joined: "1 min ago" },
    measured: "5 s ago",
  });
  const { state, because, by, banned } = factsOf(all.rows![1]!);
  assert.deepEqual([state, because, by], ["banned", "too fast", "site"]);
  assert.equal(banned, "until somebody lifts it");
  assert.equal(factsOf(all.rows![2]!)["measured"], undefined);
  assert.equal(factsOf(all.rows![3]!)["last came"], "1 min ago");

  const found = async (words: string) => titles(await show(test, "devices", words));
  assert.deepEqual(await found("pump"), ["meter/m-1, Pump 7"]);
  assert.deepEqual(await found(" METER  pending "), ["meter/a-2"]);
  assert.deepEqual(await found(owner.fingerprint.slice(5, 14)), ["meter/m-1, Pump 7"]);
  assert.deepEqual(await found("measured"), ["meter/m-1, Pump 7"]);
  const none = await show(test, "devices", "nobody is called so");
  assert.deepEqual([none.rows, factsOf(none)], [[], { found: "nobody" }]);
});

Deno.test("devices shows fifty, and says how many there are besides", async () => {
  await using test = await openSite();
  for (let i = 0; i < 53; i++) await test.enrolment("/enrol", { kind: "meter", id: `m-${i}` });
  const { rows, more, facts } = await show(test, "devices");
  assert.deepEqual([rows!.length, more, facts], [50, 3, [["enrolled", "53"]]]);
});

Deno.test("status shows the site and how its roles are", async () => {
  await using test = await openSite();
  test.time.now += 2 * hour;
  const { title, facts = [], rows = [] } = await show(test, "status");
  assert.equal(title, "site-1 is ready");
  const told = factsOf({ facts });
  assert.deepEqual([told["version"], told["up for"], told["waiting"]], [
    ...["0", "2 h", "nobody at the door"],
  ]);
  assert.equal(told["http"], `127.0.0.1:${test.site.http!.port}`);
  assert.match(told["log"]!, /^\d+ entr(y|ies), no witnesses$/);
  assert.match(told["database"]!, /^\d+(\.\d)? [kM]B$/);
  assert.deepEqual(factsOf(rows.find(({ title }) => title === "[+] meters")!), { state: "ok" });
  await new Stranger(test.site, "m-1").meet();
  assert.equal(factsOf(await show(test, "status"))["waiting"], "1 at the door");
});

Deno.test("a site whose roles need nothing shows its desk, too, and forgets a role's offers with it", async () => {
  await using folder = await temporaryFolder();
  let desk: Host["desk"] | undefined;
  const view = { name: "own", summary: "Own", needs: "viewer" as const };
  const first = fake("first", (host) => {
    desk = host.desk;
    host.desk.offerView({ ...view, show: () => Promise.resolve({ title: "x" }) });
  });
  {
    await using _site = await startFakes([first], { folder: folder.path });
    assert.deepEqual(desk!.views().map(({ name }) => name), ["status", "devices", "own"]);
    const { rows, facts } = await show({ desk: desk! }, "status");
    assert.deepEqual(rows!.map(({ title }) => title), ["[+] first"]);
    assert.deepEqual(Object.keys(factsOf({ facts: facts! })), ["version", "up for"]);
    assert.deepEqual((await show({ desk: desk! }, "devices")).rows, []);
  }
  assert.deepEqual(desk!.views(), []);
  const second = fake(
    "second",
    (host) => host.desk.offerView({ ...view, show: () => Promise.resolve({ title: "x" }) }),
  );
  await assert.rejects(startFakes([first, second], { folder: folder.path }), {
    code: "name_taken",
  });
});
