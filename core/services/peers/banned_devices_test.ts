/** Bans as devices feel them: real peers behind the real answering side of sessions. */
import assert from "node:assert/strict";
import { parseId } from "../../base/id.ts";
import type { Session } from "../../trust/session/session.ts";
import { call, enrol, Meter, openSite, refusal, type Site } from "./_test_door.ts";
import { minutes, shown, url } from "./_test_peers.ts";

const options = { url, ttl: 500 };

/** A meter that has joined. */
async function joined(site: Site): Promise<{ meter: Meter; session: Session }> {
  const { code } = await site.peers.enrol("meter", "m-1", options);
  const meter = new Meter(code);
  const session = await site.knock(meter);
  assert.equal(await kindOf(site, session, enrol), "answer");
  return { meter, session };
}

async function kindOf(site: Site, session: Session, message = enrol as typeof enrol | typeof call) {
  const answer = await site.ask(session, message);
  return answer === "unknown" ? answer : answer.kind;
}

for (const key of [undefined, true] as const) {
  const what = key ? "key" : "name";
  Deno.test(`a device whose ${what} is banned is out at once, and in again without an approval`, async () => {
    await using site = await openSite("closed");
    const { meter, session } = await joined(site);
    await site.peers.ban("meter", "m-1", { lasts: minutes, ...(key && { key }) });
    assert.equal(await site.ask(session, call), "unknown");
    await assert.rejects(site.knock(meter), { code: "revoked" });
    await assert.rejects(site.meet(meter), { code: "revoked" });
    assert.deepEqual(site.peers.waiting(), []);
    site.time.now += minutes;
    const after = await site.knock(meter);
    assert.equal(await kindOf(site, after), "answer");
    assert.equal(await kindOf(site, after, call), "answer");

    await site.peers.ban("meter", "m-1", key && { key });
    assert.equal(await site.ask(after, call), "unknown");
    await site.peers.unban("meter", "m-1");
    const last = await site.knock(meter);
    assert.equal(await kindOf(site, last, call), "answer");
  });
}

Deno.test("a code that was not used is worthless during a ban, and good again afterwards", async () => {
  await using site = await openSite("closed");
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 10 * minutes });
  const meter = new Meter(code);
  await site.peers.ban("meter", "m-1", { lasts: minutes });
  await assert.rejects(site.knock(meter), { code: "revoked" });
  site.time.now += minutes;
  assert.equal(await kindOf(site, await site.knock(meter)), "answer");
});

Deno.test("a banned key does not come back under another name, nor with another's code", async () => {
  await using site = await openSite("open");
  const { meter } = await joined(site);
  await site.peers.ban("meter", "m-1", { key: true });
  const other = new Meter(undefined, { id: parseId("m-2"), key: meter.key });
  await assert.rejects(site.knock(other), { code: "peer_banned" });
  assert.equal((await site.meet(other)).refused, "peer_banned");
  assert.deepEqual(site.peers.waiting(), []);
  const { code } = await site.peers.enrol("meter", "m-3", options);
  const thief = new Meter(code, { id: parseId("m-3"), key: meter.key });
  const session = await site.knock(thief);
  assert.deepEqual(await site.ask(session, enrol), refusal(0, "peer_banned"));
  assert.deepEqual(await site.ask(session, call), refusal(1, "not_enrolled"));
  assert.equal((await site.find("m-3"))!.state, "enrolled", "its owner can use the code");
});

Deno.test("a stranger who waits in a session of its own is put out of it", async () => {
  await using site = await openSite("open");
  for (const key of [undefined, true] as const) {
    const meter = new Meter();
    const { session } = await site.meet(meter);
    assert.deepEqual(await site.ask(session, enrol), refusal(0, "pending"));
    await site.peers.ban("meter", "m-1", key && { key });
    assert.equal(await site.ask(session, enrol), "unknown");
    await assert.rejects(site.knock(meter), { code: key ? "peer_banned" : "revoked" });
    await site.peers.unban("meter", "m-1");
    assert.deepEqual((await site.meet(meter)).refused, null);
    await site.peers.remove("meter", "m-1");
    // the site says once in ten seconds that it knows no session
    site.time.now += minutes;
  }
});

Deno.test("a rival's key is banned while the peer goes on", async () => {
  await using site = await openSite("open");
  const { session } = await joined(site);
  const rival = new Meter();
  const met = await site.meet(rival);
  const key = { fingerprint: shown(rival.key.publicKey) };
  await site.peers.ban("meter", "m-1", { key });
  assert.equal(await kindOf(site, session, call), "answer");
  assert.equal(await site.ask(met.session, enrol), "unknown");
  await assert.rejects(site.knock(rival), { code: "peer_banned" });
});
