/** Which client ids the embedded broker lets in, by what is known of those who have them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Id, parseId } from "../../base/id.ts";
import type { Ban } from "./_bans.ts";
import { type Namesake, shutIds } from "./_client_ids.ts";
import { holdReads, keys, minutes, openTestPeers, url } from "./_test_peers.ts";

const options = { url, ttl: 500 };
const m1 = parseId("m-1");

Deno.test("Peers.allowing() keeps the client id of a banned peer out, for as long as that lasts", async () => {
  await using test = await openTestPeers();
  const { peers, time } = test;
  await peers.enrol("meter", "m-1", options);
  await peers.ban("meter", "m-1", { lasts: minutes });
  const allows = await peers.allowing();
  assert.deepEqual([allows(m1), allows(parseId("m-2"))], [false, true]);
  time.now += minutes;
  assert.equal(allows(m1), true);
  await peers.ban("meter", "m-1");
  assert.equal(allows(m1), false);
  await peers.unban("meter", "m-1");
  assert.equal(allows(m1), true);
});

Deno.test("Peers.allowing() goes by the key where a key is banned, and by whoever has the name now", async () => {
  await using test = await openTestPeers();
  const { peers, find } = test;
  const allows = await peers.allowing();
  await peers.enrol("meter", "m-1", options);
  await peers.bind((await find())!, keys());
  await peers.ban("meter", "m-1", { key: true });
  assert.equal(allows(m1), false);
  await peers.replaceByCode("meter", "m-1", options);
  assert.equal(allows(m1), true);
});

Deno.test("a client id that another kind of peer needs is let in", async () => {
  await using test = await openTestPeers();
  const { peers } = test;
  const allows = await peers.allowing();
  await peers.ban("meter", "m-1");
  assert.equal(allows(m1), false);
  await peers.enrol("device", "m-1", options);
  assert.equal(allows(m1), true);
  await peers.ban("device", "m-1", { lasts: minutes });
  assert.equal(allows(m1), false);
  await peers.unban("device", "m-1");
  await peers.revoke("device", "m-1");
  assert.equal(allows(m1), false, "nobody is let in under it");
});

Deno.test("whoever is told of a ban finds the client id shut, and of its end, open", async () => {
  await using test = await openTestPeers();
  const { peers } = test;
  const allows = await peers.allowing();
  const heard: boolean[] = [];
  peers.watch((_kind, id) => void heard.push(allows(id)));
  await peers.ban("meter", "m-1");
  await peers.unban("meter", "m-1");
  assert.deepEqual(heard, [false, true]);
});

Deno.test("Peers.allowing() reads again what a ban has overtaken", async () => {
  await using test = await openTestPeers();
  const { peers, db } = test;
  const banned = Promise.withResolvers<void>();
  holdReads(db, banned.promise);
  const allowing = peers.allowing();
  await peers.ban("meter", "m-1");
  banned.resolve();
  assert.equal((await allowing)(m1), false);
});

const small = { kind: fc.constantFrom("meter", "device"), id: fc.constantFrom("a", "b") } as const;
const key = fc.constantFrom(1, 2, 3).map((n) => new Uint8Array(32).fill(n));
const end = fc.integer({ min: 1, max: 9 });
const bans = fc.array(
  fc.record({
    ...small,
    key: fc.option(key),
    until: fc.option(end),
    ...{ reason: fc.constant(null), actor: fc.constant("site"), since: fc.constant(0) },
  }),
  { maxLength: 6 },
) as unknown as fc.Arbitrary<Ban[]>;
const peers = fc.uniqueArray(
  fc.record({
    ...small,
    state: fc.constantFrom("enrolled", "approved", "revoked"),
    noiseKey: fc.option(key),
  }),
  { selector: ({ kind, id }) => `${kind}/${id}` },
) as unknown as fc.Arbitrary<Namesake[]>;

Deno.test("shutIds() shuts an id as long as nobody who has it may come in", () => {
  fc.assert(
    fc.property(bans, peers, fc.integer({ min: 0, max: 10 }), (all, peers, now) => {
      // one ban for each name and each key, as the table has them
      const subject = ({ kind, id, key }: Ban) => key === null ? `${kind}/${id}` : `${key}`;
      const bans = [...new Map(all.map((ban) => [subject(ban), ban])).values()];
      const inForce = bans.filter(({ until }) => until === null || until > now);
      const isBanned = ({ kind, id, noiseKey }: Namesake) =>
        inForce.some((ban) =>
          ban.key === null ? ban.kind === kind && ban.id === id : `${ban.key}` === `${noiseKey}`
        );
      const shut = shutIds(bans, peers);
      for (const id of ["a", "b"] as Id[]) {
        const owners = peers.filter((peer) => peer.id === id && peer.state !== "revoked");
        const expected = owners.length > 0
          ? owners.every(isBanned)
          : inForce.some((ban) => ban.key === null && ban.id === id);
        assert.equal((shut.get(id) ?? 0) > now, expected, id);
      }
    }),
    { numRuns: 500 },
  );
});
