/** Who waits at the door: whom the list keeps, whom it gives up for whom, and in which order it tells. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { toHex } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import type { Applicant } from "../../trust/session/answerer.ts";
import { Applicants, type Waiting } from "./_applicants.ts";
import { applicant, minutes } from "./_test_peers.ts";

function door() {
  const time = { now: 1_000 };
  const applicants = new Applicants({ clock: () => time.now, fingerprint: toHex });
  const names = () => applicants.list().map(({ device }) => device as string);
  return { time, applicants, names };
}

const isProven = ({ proof }: Applicant) => proof !== "none";
/** A key that a number stands for. */
const keyOf = (n: number) => new Uint8Array(32).fill(n & 255).with(0, n >> 8);

Deno.test("Applicants.note() tells whether somebody is new, and remembers the first and last time", () => {
  const { time, applicants } = door();
  const one = applicant();
  assert.equal(applicants.note("meter", one), true);
  time.now += 5 * minutes;
  assert.equal(applicants.note("meter", one), false);
  assert.deepEqual(applicants.list(), [
    { ...one, kind: "meter", firstSeen: 1_000, lastSeen: 1_000 + 5 * minutes },
  ]);
  const others: [Parameters<typeof applicants.note>[0], Applicant][] = [
    ["fog", one],
    ["meter", { ...one, device: parseId("m-2") }],
    ["meter", applicant()],
  ];
  for (const [kind, other] of others) assert.equal(applicants.note(kind, other), true);
  assert.equal(applicants.list().length, 4);
});

Deno.test("Applicants keeps nobody, and no words, for longer because the clock is set back", () => {
  const { time, applicants, names } = door();
  time.now = 365 * 24 * 60 * minutes;
  const one = applicant({ words: "a b c d e f" });
  applicants.note("meter", one);
  const name = { kind: "meter", id: one.device } as const;
  const recognise = () => applicants.recognise(name, { words: "a b c d e f" });
  recognise();
  time.now -= 11 * minutes;
  assert.throws(recognise, { code: "words_expired" });
  time.now -= 5 * minutes;
  assert.deepEqual(names(), []);
});

Deno.test("Applicants.note() keeps a proof once given, and the newest words", () => {
  const { time, applicants } = door();
  const one = applicant({ words: "old words" });
  applicants.note("meter", one);
  time.now += 1;
  assert.equal(applicants.note("meter", { ...one, words: null, proof: "none" }), false);
  const [kept] = applicants.list();
  assert.deepEqual([kept!.proof, kept!.words, kept!.lastSeen], ["key", "old words", 1_000]);
  applicants.note("meter", { ...one, words: "new words" });
  assert.deepEqual(applicants.list().map(({ words }) => words), ["new words"]);
  const claimed = applicant({ device: "m-2", proof: "none" });
  applicants.note("meter", claimed);
  applicants.note("meter", { ...claimed, proof: "code" });
  assert.deepEqual(applicants.list().map(({ proof }) => proof), ["code", "key"]);
});

Deno.test("Applicants.list() gives better proofs first, then who came first", () => {
  const { time, applicants, names } = door();
  const proofs = ["none", "key", "code", "none", "key", "code"] as const;
  for (const [i, proof] of proofs.entries()) {
    time.now++;
    applicants.note("meter", applicant({ device: `${proof}-${i}`, proof }));
  }
  applicants.note("meter", { ...applicants.list()[3]! });
  assert.deepEqual(names(), ["code-2", "code-5", "key-1", "key-4", "none-0", "none-3"]);
  const of = applicants.of({ kind: "meter", id: parseId("key-4") });
  assert.deepEqual(of.map(({ device }) => device), ["key-4"]);
  assert.deepEqual(applicants.of({ kind: "fog", id: parseId("key-4") }), []);
});

Deno.test("Applicants forgets whoever was not heard for 15 minutes", () => {
  const { time, applicants, names } = door();
  const [quiet, patient] = [applicant({ device: "quiet" }), applicant({ device: "patient" })];
  applicants.note("meter", quiet);
  applicants.note("meter", patient);
  time.now += 10 * minutes;
  applicants.note("meter", patient);
  time.now += 5 * minutes;
  assert.deepEqual(names(), ["quiet", "patient"]);
  time.now += 1;
  assert.deepEqual(names(), ["patient"]);
  const byKey = { fingerprint: toHex(quiet.key) };
  const name = { kind: "meter", id: parseId("quiet") } as const;
  assert.throws(() => applicants.recognise(name, byKey), { code: "applicant_unknown" });
  assert.equal(applicants.note("meter", quiet), true);
  assert.equal(applicants.list().find(({ device }) => device === "quiet")!.firstSeen, time.now);
});

Deno.test("Applicants.forget() drops all keys of one name, and nobody else", () => {
  const { applicants, names } = door();
  for (const device of ["m-1", "m-2", "m-1"]) applicants.note("meter", applicant({ device }));
  applicants.note("fog", applicant());
  applicants.forget({ kind: "meter", id: parseId("m-1") });
  assert.deepEqual(names(), ["m-2", "m-1"]);
  assert.equal(applicants.list()[1]!.kind, "fog");
});

Deno.test("Applicants keeps the 256 newest of 10,000 proven names, and 64 of 10,000 unproven ones", () => {
  const { applicants, names } = door();
  const flood = (proof: Applicant["proof"], n: number) => {
    for (let i = 0; i < n; i++) {
      applicants.note("meter", applicant({ device: `${proof}-${i}`, proof }));
    }
  };
  const newest = (proof: string, n: number) =>
    Array.from({ length: n }, (_, i) => `${proof}-${10_000 - n + i}`);
  flood("none", 10_000);
  assert.deepEqual(names(), newest("none", 64));
  flood("key", 10_000);
  assert.deepEqual(names(), [...newest("key", 256), ...newest("none", 64)]);
  flood("none", 10_000);
  assert.deepEqual(names(), [...newest("key", 256), ...newest("none", 64)]);
  flood("code", 10_000);
  const all = [...newest("code", 256), ...newest("key", 256), ...newest("none", 64)];
  assert.deepEqual(names(), all);
  // keys are cheap: however many come, who holds a code stays
  flood("key", 10_000);
  assert.deepEqual(names(), all);
});

Deno.test("Applicants keeps four keys of 10,000 under one name, and everybody else's", () => {
  for (const proof of ["none", "key"] as const) {
    const { applicants } = door();
    const other = applicant({ device: "other", proof });
    const rival = applicant({ proof: proof === "none" ? "key" : "none" });
    applicants.note("meter", other);
    applicants.note("meter", rival);
    for (let i = 0; i < 10_000; i++) {
      applicants.note("meter", applicant({ key: keyOf(i), proof }));
    }
    const mine = applicants.list().filter((one) => one.device === "m-1" && one.proof === proof);
    assert.deepEqual(mine.map(({ key }) => key), [9_996, 9_997, 9_998, 9_999].map(keyOf));
    const keys = applicants.list().map(({ key }) => key);
    for (const { key } of [other, rival]) assert.ok(keys.includes(key));
    assert.equal(keys.length, 4 + 2);
  }
});

const coming = fc.record({
  device: fc.integer({ min: 0, max: 5 }).map((n) => `m-${n}`),
  key: fc.integer({ min: 0, max: 12 }).map(keyOf),
  proof: fc.constantFrom("code", "key", "none"),
  words: fc.constantFrom(null, "six words"),
}).map((one) => applicant(one));

Deno.test("Applicants never gives up a proven key for an unproven one, nor a name for another's", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(coming, fc.nat(60_000)), { maxLength: 80 }), (comings) => {
      const { time, applicants } = door();
      const place = ({ device, key }: Waiting | Applicant) => `${device} ${toHex(key)}`;
      for (const [one, wait] of comings) {
        // nobody is forgotten for having waited
        time.now += Math.floor(wait / 100);
        const before = applicants.list();
        const isNew = applicants.note("meter", one);
        const after = applicants.list();
        assert.equal(isNew, !before.some((other) => place(other) === place(one)));
        assert.ok(after.some((other) => place(other) === place(one)));
        for (
          const other of before.filter((other) => !after.some((b) => place(b) === place(other)))
        ) {
          assert.equal(other.proof, one.proof);
          assert.equal(other.device, one.device);
        }
        for (const proof of ["code", "key", "none"]) {
          for (const device of new Set(after.map(({ device }) => device))) {
            const alike = after.filter((x) => x.device === device && x.proof === proof);
            assert.ok(alike.length <= 4, `${alike.length} of ${device}`);
          }
        }
      }
    }),
  );
});

const flood = fc.record({
  proof: fc.constantFrom("none", "none", "none", "key", "code"),
  count: fc.integer({ min: 1, max: 2_500 }),
  names: fc.constantFrom(1, 3, 10_000),
});

Deno.test("Applicants is as small after any floods, and none of nothing proven costs a proven key", () => {
  fc.assert(
    fc.property(fc.array(flood, { minLength: 1, maxLength: 4 }), (floods) => {
      const { applicants } = door();
      const real = Array.from({ length: 200 }, (_, i) => applicant({ device: `real-${i}` }));
      for (const one of real) applicants.note("meter", one);
      let proven = real.length;
      for (const [turn, { proof, count, names }] of floods.entries()) {
        const before = new Set(applicants.list().filter(isProven));
        for (let i = 0; i < count; i++) {
          const device = `m-${turn}-${i % names}`;
          applicants.note("meter", applicant({ device, proof, key: keyOf(i) }));
        }
        if (proof === "none") assert.deepEqual(new Set(applicants.list().filter(isProven)), before);
        else proven += Math.min(count, names === 10_000 ? count : 4 * names);
        const list = applicants.list();
        assert.ok(list.length <= 256 + 256 + 64, `${list.length}`);
        assert.ok(list.filter((one) => !isProven(one)).length <= 64);
        const order = list.map(({ proof }) => ["code", "key", "none"].indexOf(proof));
        assert.deepEqual(order, order.toSorted(), "better proofs come first");
      }
      if (proven <= 256) {
        const keys = new Set(applicants.list().map(({ key }) => key));
        assert.ok(real.every(({ key }) => keys.has(key)));
      }
    }),
    { numRuns: 15 },
  );
});

Deno.test("Applicants.forgetKey() drops a key under all names, and namesOf() says which", () => {
  const { applicants, names } = door();
  const { key } = applicant();
  for (const device of ["m-1", "m-2"]) applicants.note("meter", applicant({ device, key }));
  applicants.note("fog", applicant({ key }));
  applicants.note("meter", applicant({ device: "m-3" }));
  const found = applicants.namesOf(key).map(({ kind, id }) => `${kind}/${id}`);
  assert.deepEqual(found, ["meter/m-1", "meter/m-2", "fog/m-1"]);
  applicants.forgetKey(key);
  assert.deepEqual([names(), applicants.namesOf(key)], [["m-3"], []]);
});
