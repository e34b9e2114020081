/** What is drawn: repeatable, different for every meter, about as often as meant. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { misbehaviours, mischiefOf, shuffled, sumOf, wellBehaved } from "./misbehaviour.ts";

const times = Array.from({ length: 1_000 }, (_, time) => time);

Deno.test("mischiefOf() answers alike whenever it is asked, and does nothing that it was not told", () => {
  const told = ["late", "clock"] as const;
  const mischief = mischiefOf(told, { seed: 1, meter: 2 });
  const again = mischiefOf(told, { seed: 1, meter: 2 });
  for (const kind of misbehaviours) {
    const answers = times.map((time) => mischief(kind, time));
    assert.deepEqual(answers, times.map((time) => again(kind, time)));
    const isTold = kind === "late" || kind === "clock";
    assert.equal(answers.some((answer) => answer !== null), isTold, kind);
    for (const how of answers) assert.ok(how === null || how >= 0 && how < 1);
    assert.equal(wellBehaved(kind, 1), null);
  }
});

Deno.test("mischiefOf() makes meters and seeds misbehave at different times, now and then", () => {
  const of = (seed: number, meter: number) => {
    const mischief = mischiefOf(misbehaviours, { seed, meter });
    return misbehaviours.map((kind) => times.filter((time) => mischief(kind, time) !== null));
  };
  const [one, other, elsewhere] = [of(1, 0), of(1, 1), of(2, 0)];
  misbehaviours.forEach((kind, i) => {
    if (kind === "rollover") return assert.equal(one[i]!.length, times.length);
    assert.ok(one[i]!.length > 2 && one[i]!.length < 700, `${kind}: ${one[i]!.length}`);
    assert.notDeepEqual(one[i], other[i], kind);
    assert.notDeepEqual(one[i], elsewhere[i], kind);
  });
});

Deno.test("shuffled() keeps every item, and comes to every order", () => {
  const how = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(fc.property(fc.array(fc.nat()), how, (items, how) => {
    const order = shuffled(items, how);
    assert.deepEqual(order.toSorted(), items.toSorted());
    assert.deepEqual(order, shuffled(items, how));
  }));
  const orders = times.map((time) => shuffled([1, 2, 3], time / times.length).join(""));
  assert.equal(new Set(orders).size, 6);
});

Deno.test("sumOf() adds up what happened, kind by kind", () => {
  assert.deepEqual(sumOf([{ late: 2 }, { late: 1, gap: 3 }, {}]), { late: 3, gap: 3 });
});
