/** Decisions as devices feel them: real peers behind the real answering side of sessions. */
import assert from "node:assert/strict";
import { equalBytes, utf8 } from "../../base/bytes.ts";
import type { Id } from "../../base/id.ts";
import { encodeEnrolAnswer, type Message } from "../../trust/session/call.ts";
import { decodeFrame } from "../../trust/session/frame.ts";
import { call, enrol, m1, Meter, openSite, refusal, signKey } from "./_test_door.ts";
import { suite, url } from "./_test_peers.ts";

Deno.test('a stranger hears "pending" and nothing else, until its words are approved', async () => {
  await using site = await openSite();
  const meter = new Meter();
  const { session, words } = await site.meet(meter);
  const said: Message[] = [enrol, call, { kind: "answer", to: 0, body: utf8("?") }];
  for (const [seq, message] of said.entries()) {
    assert.deepEqual(await site.ask(session, message), refusal(seq, "pending"));
  }
  assert.equal(await site.find(), null);
  await assert.rejects(site.peers.approve("meter", "m-1", { words: `${words}s` }));
  assert.deepEqual(await site.ask(session, enrol), refusal(3, "pending"));

  await site.peers.approve("meter", "m-1", { words });
  assert.deepEqual(await site.ask(session, call), refusal(4, "not_enrolled"));
  const joined = { kind: "answer", to: 5, body: encodeEnrolAnswer("kiosk-7") };
  assert.deepEqual(await site.ask(session, enrol), joined);
  assert.deepEqual(await site.ask(session, call), { kind: "answer", to: 6, body: call.body });
  assert.deepEqual((await site.find())!.signKey, signKey);
});

Deno.test("an approval sends message 2 to whoever knocked with the approved key", async () => {
  await using site = await openSite();
  const [meter, impostor] = [new Meter(), new Meter()];
  await assert.rejects(site.knock(impostor), { code: "pending" });
  const { words } = await site.meet(meter);
  await assert.rejects(site.knock(meter), { code: "pending" });
  // a later knock of the same key has no words: those of the first contact are gone
  const mine = site.peers.waiting().find(({ key }) => equalBytes(key, meter.key.publicKey));
  assert.equal(mine!.words, null);
  await assert.rejects(site.peers.approve("meter", "m-1", { words }), { code: "words_differ" });
  const again = await site.meet(meter);
  await site.peers.approve("meter", "m-1", { words: again.words });
  const [[device, frame]] = site.pushed as [[Id, Uint8Array]];
  assert.deepEqual([device, site.pushed.length], [m1, 1]);
  const session = meter.waiting!.finish(decodeFrame(frame));
  assert.equal((await site.ask(session, enrol) as Message).kind, "answer");
  await assert.rejects(site.knock(impostor), { code: "wrong_key" });
});

Deno.test("a replacement by words shuts the old key out at once and lets the new one in", async () => {
  await using site = await openSite();
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 500 });
  const [old, fresh] = [new Meter(code), new Meter()];
  const session = await site.knock(old);
  await site.ask(session, enrol);
  const { session: waiting, words } = await site.meet(fresh);
  assert.deepEqual(await site.ask(waiting, enrol), refusal(0, "pending"));
  assert.equal((await site.ask(session, call) as Message).kind, "answer");

  await site.peers.replace("meter", "m-1", { words });
  assert.equal(await site.ask(session, call), "unknown");
  assert.equal((await site.ask(waiting, enrol) as Message).kind, "answer");
  assert.equal((await site.ask(waiting, call) as Message).kind, "answer");
  await assert.rejects(site.knock(old));
  const [applicant] = site.peers.waiting();
  assert.equal(applicant, undefined);
});

Deno.test("a second key under a name is not refused while it waits in a session of its own", async () => {
  await using site = await openSite();
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 500 });
  const old = new Meter(code);
  const session = await site.knock(old);
  await site.ask(session, enrol);
  // were it refused, it would begin anew with other words before anybody could compare these
  assert.equal((await site.meet(new Meter())).refused, null);
  assert.equal((await site.ask(session, call) as Message).kind, "answer");
});

Deno.test("a replacement by code shuts the old key out and waits for whoever brings the code", async () => {
  await using site = await openSite();
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 500 });
  const old = new Meter(code);
  const session = await site.knock(old);
  await site.ask(session, enrol);
  const enrolment = await site.peers.replaceByCode("meter", "m-1", { url, ttl: 500 });
  assert.equal(await site.ask(session, call), "unknown");
  await assert.rejects(site.knock(old), { code: "payload_forged" });
  const fresh = new Meter(enrolment.code);
  assert.equal((await site.ask(await site.knock(fresh), enrol) as Message).kind, "answer");
  assert.deepEqual((await site.find())!.noiseKey, fresh.key.publicKey);
});

Deno.test("a device comes in by the code that it was born with, by a first contact too", async () => {
  await using site = await openSite();
  const code = suite.randomBytes(16);
  const meter = new Meter(code);
  assert.equal((await site.meet(meter)).refused, "pending");
  assert.deepEqual(site.peers.waiting().map(({ proof }) => proof), ["none"]);
  await site.peers.enrol("meter", "m-1", { url, ttl: 500, code });
  const { session } = await site.meet(meter);
  assert.equal((await site.ask(session, enrol) as Message).kind, "answer");
  assert.deepEqual((await site.find())!.noiseKey, meter.key.publicKey);
  assert.deepEqual(site.peers.waiting(), []);
});

Deno.test("a revoked device is shut out at once, and applies anew when it was removed", async () => {
  await using site = await openSite();
  const meter = new Meter();
  const { session, words } = await site.meet(meter);
  await site.peers.approve("meter", "m-1", { words });
  await site.ask(session, enrol);
  await site.peers.revoke("meter", "m-1");
  assert.equal(await site.ask(session, call), "unknown");
  for (const come of [() => site.knock(meter), () => site.meet(meter)]) {
    await assert.rejects(come(), { code: "revoked" });
  }
  await site.peers.remove("meter", "m-1");
  const anew = await site.meet(meter);
  assert.deepEqual(await site.ask(anew.session, enrol), refusal(0, "pending"));
});
