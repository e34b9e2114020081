/** When strangers may apply, and who may apply in any case. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { JoinWindow } from "./_join_window.ts";
import { call, enrol, Meter, openSite, refusal } from "./_test_door.ts";
import { applicant, keys, minutes, openTestPeers, shown, suite, url } from "./_test_peers.ts";

const words = "narrow work echo fit cliff apart";
const closed = { open: false, until: null };

Deno.test("Peers.apply() notes no stranger unless the site is open to them", async () => {
  await using test = await openTestPeers({ join: "closed" });
  const { peers, time, events } = test;
  for (const proof of ["key", "none"] as const) {
    assert.equal(await peers.apply("meter", applicant({ proof })), "closed");
  }
  assert.deepEqual([peers.waiting(), events, peers.join()], [[], [], closed]);

  const until = time.now + 5 * minutes;
  assert.deepEqual(await peers.openJoin(5 * minutes), { open: true, until });
  assert.equal(await peers.apply("meter", applicant()), "pending");
  time.now = until - 1;
  assert.deepEqual(peers.join(), { open: true, until });
  assert.equal(await peers.apply("meter", applicant({ device: "m-2" })), "pending");
  time.now = until;
  assert.deepEqual(peers.join(), closed);
  assert.equal(await peers.apply("meter", applicant({ device: "m-3" })), "closed");
  assert.deepEqual(peers.waiting().map(({ device }) => device as string), ["m-1", "m-2"]);
});

Deno.test("a site that was told to be open to strangers is until somebody closes it", async () => {
  await using test = await openTestPeers({ join: "open" });
  const { peers, time } = test;
  const always = { open: true, until: null };
  assert.deepEqual(await peers.openJoin(minutes), always);
  time.now += 10 * minutes;
  assert.deepEqual(peers.join(), always);
  assert.deepEqual(await peers.closeJoin(), closed);
  assert.equal(await peers.apply("meter", applicant()), "closed");
  assert.deepEqual(await peers.openJoin(minutes), { open: true, until: time.now + minutes });
});

Deno.test("who waits goes on waiting when the site closes, and may be approved", async () => {
  await using test = await openTestPeers({ join: "closed" });
  const { peers, time } = test;
  await peers.openJoin(minutes);
  const one = applicant({ words: "the first words that it has shown" });
  await peers.apply("meter", one);
  time.now += 10 * minutes;
  assert.equal(await peers.apply("meter", { ...one, words }), "pending");
  assert.equal(await peers.apply("meter", applicant()), "closed", "another key of the same name");
  time.now += 10 * minutes;
  const [waiting, ...others] = peers.waiting();
  assert.deepEqual([waiting!.words, others], [words, []]);
  await peers.approve("meter", "m-1", { words });
});

Deno.test("who holds a code needs no open site, nor who was approved before", async () => {
  await using site = await openSite("closed");
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 500 });
  const meter = new Meter(code);
  const session = await site.knock(meter);
  assert.equal((await site.ask(session, enrol) as { kind: string }).kind, "answer");
  assert.equal((await site.ask(session, call) as { kind: string }).kind, "answer");
  assert.equal(
    await site.peers.apply("meter", applicant({ device: "m-2", proof: "code" })),
    "pending",
  );
});

Deno.test("a stranger gets no session to wait in while nobody may apply, and one once they may", async () => {
  await using site = await openSite("closed");
  const turnedAway = await site.meet(new Meter());
  assert.equal(turnedAway.refused, "not_invited");
  assert.equal(await site.ask(turnedAway.session, enrol), "unknown");
  await assert.rejects(site.knock(new Meter()), { code: "not_invited" });
  assert.deepEqual(site.peers.waiting(), []);
  await site.peers.openJoin(minutes);
  const { session, refused } = await site.meet(new Meter());
  assert.equal(refused, null);
  assert.deepEqual(await site.ask(session, enrol), refusal(0, "pending"));
  await assert.rejects(site.knock(new Meter()), { code: "pending" });
  assert.equal(site.peers.waiting().length, 2);
});

Deno.test("another key under a known name is told to people though nobody may apply", async () => {
  await using test = await openTestPeers({ join: "closed" });
  const { peers, find, events, time } = test;
  await peers.enrol("meter", "m-1", { url, ttl: 500 });
  await peers.bind((await find())!, keys());
  events.length = 0;
  for (let i = 0; i < 20; i++) {
    assert.equal(await peers.apply("meter", applicant()), "conflict");
    time.now += minutes / 2;
  }
  assert.deepEqual(events.map(({ type, severity }) => [type, severity]), [
    ["device.conflict", "warning"],
  ]);
  assert.deepEqual(peers.waiting(), []);
  time.now += 15 * minutes;
  await peers.apply("meter", applicant());
  assert.equal(events.length, 2);
  // a flood of them leaves room to tell of who may come
  await peers.openJoin(minutes);
  for (let i = 0; i < 20; i++) await peers.apply("meter", applicant());
  await peers.apply("meter", applicant({ device: "m-2" }));
  assert.equal(events.at(-1)!.type, "device.pending");
});

Deno.test("Peers.openJoin() takes an hour at most, and its record or nothing", async () => {
  await using test = await openTestPeers({ join: "closed" });
  const { peers, audited } = test;
  for (const time of [0, -1, 0.5, NaN, Infinity, 60 * minutes + 1]) {
    await assert.rejects(peers.openJoin(time), { name: "PeerError", code: "bad_duration" });
  }
  assert.deepEqual([peers.join(), await audited()], [closed, []]);
  await peers.openJoin(60 * minutes, "alice");
  await peers.closeJoin();
  assert.deepEqual(
    (await audited()).map(({ type, actor, subject, detail }) => [type, actor, subject, detail]),
    [
      ["join.opened", "alice", "kiosk-7", `{"for_ms":3600000}`],
      ["join.closed", "site", "kiosk-7", "{}"],
    ],
  );
});

Deno.test("an applicant is recognised by its fingerprint after the site has closed", async () => {
  await using test = await openTestPeers({ join: "closed" });
  const { peers } = test;
  await peers.openJoin(minutes);
  const { key } = applicant();
  await peers.apply("meter", applicant({ key }));
  await peers.closeJoin();
  const { noiseKey } = await peers.approve("meter", "m-1", { fingerprint: shown(key) });
  assert.deepEqual(noiseKey, key);
});

Deno.test("JoinWindow is open for no longer than it was told, whatever the clock does", () => {
  const act = fc.oneof(
    fc.record({ act: fc.constant("open" as const), time: fc.integer({ min: 1, max: 3_600_000 }) }),
    fc.record({ act: fc.constant("close" as const) }),
    fc.record({ act: fc.constant("pass" as const), time: fc.integer({ min: 0, max: 1e6 }) }),
    fc.record({ act: fc.constant("set" as const), time: fc.integer({ min: 0, max: 1e9 }) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
      const time = { shown: 1e8, real: 0 };
      const window = new JoinWindow({ clock: () => time.shown, open: false });
      /** When it must be closed, on a clock that nobody sets; when it was opened, as it was shown. */
      let end = { real: 0, from: 0, wasSet: false };
      for (const one of acts) {
        if (one.act === "open") {
          window.open(one.time);
          end = { real: time.real + one.time, from: time.shown, wasSet: false };
        } else if (one.act === "close") {
          window.close();
          end.real = 0;
        } else if (one.act === "pass") {
          time.real += one.time;
          time.shown += one.time;
        } else {
          time.shown = one.time;
          end.wasSet = true;
        }
        const { open, until } = window.state;
        if (!end.wasSet) assert.equal(open, time.real < end.real);
        if (time.shown < end.from) assert.equal(open, false, "set back");
        if (open) assert.ok(until! > time.shown && until! <= time.shown + 3_600_000);
        else assert.equal(until, null);
      }
    }),
  );
});

Deno.test("10,000 strangers at a closed site leave nothing behind", async () => {
  await using test = await openTestPeers({ join: "closed" });
  const key = suite.randomBytes(32);
  for (let i = 0; i < 10_000; i++) {
    await test.peers.apply("meter", applicant({ device: `m-${i}`, key }));
  }
  assert.deepEqual([test.peers.waiting(), test.events, await test.audited()], [[], [], []]);
});
