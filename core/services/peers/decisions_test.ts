/**
 * People's decisions about peers, over a real database: who is recognised by what, what the peer is
 * afterwards, and what is left of its code.
 */
import assert from "node:assert/strict";
import { isZero } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { pskFromCode, zeroPsk } from "../../trust/session/handshake.ts";
import { applicant, keys, minutes, noiseKey, openTestPeers, site, suite } from "./_test_peers.ts";
import { shown, type TestPeers, url } from "./_test_peers.ts";

const words = "narrow work echo fit cliff apart";
const code = suite.randomBytes(16);
const psk = pskFromCode(suite, code, { site, device: "m-1" });
const name = { kind: "meter", id: parseId("m-1") } as const;
const is = (code: string) => ({ name: "PeerError", code });

/** A peer whose keys are bound with its code. */
async function bound({ peers, find }: TestPeers) {
  const mine = keys();
  await peers.enrol("meter", "m-1", { url, ttl: 500, code });
  await peers.bind((await find())!, mine);
  return mine;
}

Deno.test("Peers.approve() admits the key that shows the words, and whoever waited is gone", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const device = applicant({ words });
  for (const one of [applicant({ words: "other words of six in all" }), device]) {
    assert.equal(await peers.apply("meter", one), "pending");
  }
  const peer = await peers.approve("meter", "m-1", { words });
  assert.deepEqual(peer, {
    ...{ ...name, state: "approved", codeExpires: 0 },
    ...{ noiseKey: device.key, signKey: null, psk: zeroPsk },
  });
  assert.deepEqual(await find(), peer);
  assert.deepEqual(peers.waiting(), []);
});

Deno.test("Peers.approve() takes words and fingerprints however they were typed", async () => {
  const { key } = applicant();
  const print = shown(key);
  const typed = [
    { words: "  NARROW work-Echo,fit\n\tcliff.apart! " },
    { words: "narrow/work/echo/fit/cliff/apart" },
    { fingerprint: print },
    { fingerprint: print.toUpperCase() },
    { fingerprint: ` ${print.replaceAll("-", ":")}\n` },
    { fingerprint: print.replaceAll("-", "") },
  ];
  await using test = await openTestPeers();
  for (const [i, by] of typed.entries()) {
    const device = `m-${i}`;
    await test.peers.apply("meter", applicant({ device, key, words }));
    const { noiseKey } = await test.peers.approve("meter", device, by);
    assert.deepEqual(noiseKey, key, JSON.stringify(by));
  }
});

Deno.test("Peers.approve() and replace() refuse other words, other fingerprints and other names", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const mine = await bound(test);
  const before = await find();
  const { key } = applicant();
  const [one, silent] = [applicant({ key, words }), applicant({ device: "m-2", key })];
  for (const each of [one, silent, applicant({ device: "m-3" })]) await peers.apply("meter", each);
  const wrong = [
    { words: words.replace("apart", "apple") },
    { words: words.split(" ").reverse().join(" ") },
    ...["narrow work echo fit cliff", `${words} zoo`, "", "null"].map((words) => ({ words })),
    { fingerprint: shown(mine.noiseKey) },
    { fingerprint: shown(key).slice(0, -1) },
    { fingerprint: `${shown(key)}0` },
    ...["", words].map((fingerprint) => ({ fingerprint })),
  ];
  for (const act of ["approve", "replace"] as const) {
    for (const by of wrong) {
      await assert.rejects(peers[act]("meter", "m-1", by), is("words_differ"), JSON.stringify(by));
    }
    await assert.rejects(peers[act]("meter", "m-2", { words }), is("words_differ"));
    await assert.rejects(peers[act]("meter", "m-4", { words }), is("applicant_unknown"));
    await assert.rejects(peers[act]("fog", "m-1", { words }), is("applicant_unknown"));
    await assert.rejects(peers[act]("meter", "m 1", { words }), { code: "id_invalid" });
  }
  assert.deepEqual(await find(), before);
  assert.equal(peers.waiting().length, 3);
});

Deno.test("Peers.approve() takes words for 10 minutes, and a fingerprint as long as somebody waits", async () => {
  await using test = await openTestPeers();
  const { peers, time } = test;
  for (const device of ["m-1", "m-2"]) {
    await peers.apply("meter", applicant({ device, words, key: noiseKey }));
  }
  time.now += 10 * minutes;
  await peers.approve("meter", "m-1", { words });
  time.now += 1;
  await assert.rejects(peers.approve("meter", "m-2", { words }), is("words_expired"));
  const another = words.replace("apart", "apple");
  await assert.rejects(peers.approve("meter", "m-2", { words: another }), is("words_differ"));
  time.now += 5 * minutes - 1;
  await peers.approve("meter", "m-2", { fingerprint: shown(noiseKey) });
  await peers.apply("meter", applicant({ device: "m-3", words }));
  time.now += 15 * minutes + 1;
  await assert.rejects(peers.approve("meter", "m-3", { words }), is("applicant_unknown"));
});

Deno.test("Peers.approve() and replace() refuse a key that nobody has proven to own", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  await bound(test);
  const before = await find();
  for (const device of ["m-1", "m-2"]) {
    const { key } = applicant();
    await peers.apply("meter", applicant({ device, key, proof: "none" }));
    for (const act of ["approve", "replace"] as const) {
      const by = { fingerprint: shown(key) };
      await assert.rejects(peers[act]("meter", device, by), is("applicant_unproven"));
    }
  }
  assert.deepEqual([await find(), await find("m-2")], [before, null]);
});

Deno.test("Peers.approve() leaves an approved peer alone, and a revoked one revoked", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  await bound(test);
  const before = await find();
  assert.equal(await peers.apply("meter", applicant({ words })), "conflict");
  await assert.rejects(peers.approve("meter", "m-1", { words }), is("peer_exists"));
  assert.deepEqual(await find(), before);
  assert.equal(peers.waiting().length, 1);
  await peers.revoke("meter", "m-1");
  const gone = await find();
  for (const act of ["approve", "replace"] as const) {
    await assert.rejects(peers[act]("meter", "m-1", { words }), is("peer_revoked"));
  }
  const options = { url, ttl: 500 };
  await assert.rejects(peers.replaceByCode("meter", "m-1", options), is("peer_revoked"));
  assert.deepEqual(await find(), gone);
});

Deno.test("Peers.approve() makes the code worthless that the peer had not used", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  await peers.enrol("meter", "m-1", { url, ttl: 500, code });
  assert.deepEqual((await find())!.psk, psk);
  const { key } = applicant();
  await peers.apply("meter", applicant({ key, words }));
  await peers.approve("meter", "m-1", { words });
  const { state, codeExpires, ...rest } = (await find())!;
  assert.deepEqual([state, codeExpires, rest.psk], ["approved", 0, zeroPsk]);
  const thief = { noiseKey: suite.randomBytes(32), signKey: suite.randomBytes(32) };
  await assert.rejects(peers.bind((await find())!, thief), is("peer_bound"));
});

Deno.test("Peers.enrol() takes the code that a device was born with", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const enrolment = await peers.enrol("meter", "m-1", { url, ttl: 500, code });
  assert.deepEqual(enrolment, { code, site, url, noiseKey, expires: 1_500 });
  assert.deepEqual((await find())!.psk, psk);
  const mine = keys();
  const peer = await peers.bind((await find())!, mine);
  assert.deepEqual([peer.state, peer.psk], ["approved", psk]);
});

Deno.test("Peers.bind() gives an approved key its statement key, once, and no other key one", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const { key } = applicant();
  await peers.apply("meter", applicant({ key, words }));
  const peer = await peers.approve("meter", "m-1", { words });
  const { signKey } = keys();
  await assert.rejects(peers.bind(peer, keys()), is("peer_bound"));
  const complete = await peers.bind(peer, { noiseKey: key, signKey });
  assert.deepEqual(complete, { ...peer, signKey });
  assert.deepEqual(await find(), complete);
  const again = { noiseKey: key, signKey: keys().signKey };
  await assert.rejects(peers.bind(peer, again), is("peer_bound"));
});

Deno.test("Peers.replace() gives the name to the key that was recognised, and its code only to its holder", async () => {
  for (const proof of ["key", "code"] as const) {
    for (const way of ["words", "fingerprint"] as const) {
      await using test = await openTestPeers();
      const { peers, find } = test;
      await bound(test);
      const { key } = applicant();
      await peers.apply("meter", applicant({ key, words, proof }));
      const by = way === "words" ? { words } : { fingerprint: shown(key) };
      const peer = await peers.replace("meter", "m-1", by);
      assert.deepEqual([peer.state, peer.noiseKey, peer.signKey], ["approved", key, null]);
      assert.deepEqual(peer.psk, proof === "code" ? psk : zeroPsk);
      assert.deepEqual(await find(), peer);
      assert.deepEqual(peers.waiting(), []);
    }
  }
});

Deno.test("Peers.replaceByCode() forgets the keys and waits for whoever brings the new code", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const mine = await bound(test);
  const options = { url, ttl: 700 };
  const enrolment = await peers.replaceByCode("meter", "m-1", options);
  assert.notDeepEqual(enrolment.code, code);
  const fresh = pskFromCode(suite, enrolment.code, { site, device: "m-1" });
  const waiting = { ...name, state: "enrolled", noiseKey: null, signKey: null } as const;
  assert.deepEqual(await find(), { ...waiting, psk: fresh, codeExpires: 1_700 });
  await peers.replaceByCode("meter", "m-1", { ...options, code });
  assert.deepEqual(await find(), { ...waiting, psk, codeExpires: 1_700 });
  const { noiseKey } = await peers.bind((await find())!, keys());
  assert.notDeepEqual(noiseKey, mine.noiseKey);
  await assert.rejects(peers.replaceByCode("meter", "m-2", options), is("peer_unknown"));
  await assert.rejects(peers.replaceByCode("fog", "m-1", options), is("peer_unknown"));
});

Deno.test("Peers.replace() refuses a name that the site does not know", async () => {
  await using test = await openTestPeers();
  await test.peers.apply("meter", applicant({ words }));
  await assert.rejects(test.peers.replace("meter", "m-1", { words }), is("peer_unknown"));
  assert.equal(await test.find(), null);
});

Deno.test("Peers.revoke() forgets the psk and keeps the keys", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const mine = await bound(test);
  await peers.revoke("meter", "m-1");
  const peer = (await find())!;
  assert.deepEqual({ ...peer }, {
    ...name,
    ...mine,
    state: "revoked",
    psk: zeroPsk,
    codeExpires: 0,
  });
  assert.ok(isZero(peer.psk));
});

Deno.test("Peers.remove() frees the name, whatever had become of the peer", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  for (const become of ["enrolled", "approved", "revoked"]) {
    if (become === "enrolled") await peers.enrol("meter", "m-1", { url, ttl: 500 });
    else await bound(test);
    if (become === "revoked") await peers.revoke("meter", "m-1");
    await peers.apply("meter", applicant({ words }));
    await peers.remove("meter", "m-1");
    assert.deepEqual([await find(), peers.waiting(), await peers.list()], [null, [], []]);
  }
  await peers.enrol("meter", "m-1", { url, ttl: 500 });
  assert.equal((await find())!.state, "enrolled");
});

Deno.test("Peers.remove() sends away whoever waits under the name, and nobody else", async () => {
  await using test = await openTestPeers();
  const { peers, audited } = test;
  for (const device of ["m-1", "m-2"]) await peers.apply("meter", applicant({ device }));
  await peers.remove("meter", "m-1");
  assert.deepEqual(peers.waiting().map(({ device }) => device as string), ["m-2"]);
  assert.deepEqual(await audited(), []);
  await assert.rejects(peers.remove("meter", "m-1"), is("peer_unknown"));
  await assert.rejects(peers.remove("fog", "m-2"), is("peer_unknown"));
  assert.equal(peers.waiting().length, 1);
});

Deno.test("Peers.list() gives every peer by kind and id, with when it came and got its keys", async () => {
  await using test = await openTestPeers();
  const { peers, time, find } = test;
  const rowOf = async () => {
    const [row] = await peers.list();
    return [row!.state, row!.enrolledAt, row!.boundAt];
  };
  const at = async (now: number, act: () => Promise<unknown>) => {
    time.now = now;
    await act();
    return await rowOf();
  };
  const options = { url, ttl: 500 };
  const device = applicant({ words });
  const enrol = () => peers.enrol("meter", "m-1", options);
  assert.deepEqual(await at(1, enrol), ["enrolled", 1, null]);
  assert.deepEqual(await at(2, enrol), ["enrolled", 2, null]);
  const bind = async () => await peers.bind((await find())!, keys());
  assert.deepEqual(await at(3, bind), ["approved", 2, 3]);
  const replace = async () => {
    await peers.apply("meter", device);
    await peers.replace("meter", "m-1", { words });
  };
  assert.deepEqual(await at(4, replace), ["approved", 2, 4]);
  const complete = async () => {
    await peers.bind((await find())!, { ...keys(), noiseKey: device.key });
  };
  assert.deepEqual(await at(5, complete), ["approved", 2, 5]);
  assert.deepEqual(await at(6, () => peers.revoke("meter", "m-1")), ["revoked", 2, 5]);
  await peers.remove("meter", "m-1");
  assert.deepEqual(await at(7, enrol), ["enrolled", 7, null]);
  assert.deepEqual(await at(8, bind), ["approved", 7, 8]);
  const anew = () => peers.replaceByCode("meter", "m-1", options);
  assert.deepEqual(await at(9, anew), ["enrolled", 9, null]);
  assert.deepEqual(await at(10, () => peers.revoke("meter", "m-1")), ["revoked", 9, null]);

  await peers.apply("meter", { ...device, device: parseId("M-0") });
  await peers.approve("meter", "M-0", { words });
  await peers.enrol("fog", "z", options);
  await peers.enrol("meter", "a", options);
  const list = await peers.list();
  const shown = list.map(({ kind, id, enrolledAt, boundAt }) => [kind, id, enrolledAt, boundAt]);
  assert.deepEqual(shown, [
    ...[["fog", "z", 10, null], ["meter", "M-0", 10, 10]],
    ...[["meter", "a", 10, null], ["meter", "m-1", 9, null]],
  ]);
  for (const row of list) assert.equal("psk" in row, false);
});
