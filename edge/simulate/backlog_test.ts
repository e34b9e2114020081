/** What waits at a meter, in time that the test makes up. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseId } from "../../core/base/id.ts";
import type { ReadingRefusal } from "../../core/wire/reading.ts";
import { Backlog, newIn, readingsOf } from "./backlog.ts";
import type { Measured } from "./instrument.ts";
import { type Misbehaviour, misbehaviours, type Mischief, mischiefOf } from "./misbehaviour.ts";

const none: ReadonlyMap<number, ReadingRefusal> = new Map();

function measured(seq: number, register = "r1"): Measured {
  const reading = { seq, t: seq, energy_Wh: seq, power_W: 1, voltage_mV: 1, flags: 0 };
  return { register: parseId(register), reading };
}

function numbersIn(batch: ReturnType<Backlog["take"]>): number[] {
  return batch === null ? [] : readingsOf(batch).map(({ seq }) => seq);
}

Deno.test("Backlog gives readings in order, so many at a time and of one register", () => {
  const backlog = new Backlog();
  for (const seq of [1, 2, 3]) backlog.add(measured(seq), 0);
  for (const seq of [1, 2]) backlog.add(measured(seq, "r2"), 0);
  assert.equal(backlog.size, 5);
  assert.deepEqual(numbersIn(backlog.take(0, 2)), [1, 2]);
  assert.deepEqual(numbersIn(backlog.take(0, 2)), [3]);
  const other = backlog.take(0, 2)!;
  assert.deepEqual([other[0].register, numbersIn(other)], ["r2", [1, 2]]);
  assert.equal(backlog.take(0, 2), null);
  assert.equal(backlog.size, 5);
  assert.equal(backlog.settle(other, none, 0).accepted.length, 2);
  assert.equal(backlog.size, 3);
});

Deno.test("Backlog keeps what is from the future, for longer and longer, and not for ever", () => {
  const backlog = new Backlog();
  backlog.add(measured(1), 0);
  backlog.add(measured(2), 0);
  let now = 0;
  const waits: number[] = [];
  for (;;) {
    const batch = backlog.take(now, 10)!;
    const isFirst = waits.length === 0;
    assert.equal(newIn(batch), isFirst ? 2 : 0);
    const outcome = backlog.settle(batch, new Map([[1, "future"]]), now);
    assert.deepEqual(outcome.accepted, isFirst ? [measured(2)] : []);
    if (backlog.size === 0) {
      assert.deepEqual(outcome.refused, [measured(1)]);
      break;
    }
    assert.deepEqual([outcome.refused, outcome.postponed], [[], 1]);
    assert.equal(backlog.take(now, 10), null);
    waits.push(backlog.dueAt(now) - now);
    now = backlog.dueAt(now);
  }
  const seconds = waits.map((wait) => wait / 1_000);
  assert.deepEqual(seconds, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
});

Deno.test("Backlog accepts what was from the future when it is not any more", () => {
  const backlog = new Backlog();
  backlog.add(measured(1), 0);
  backlog.settle(backlog.take(0, 1)!, new Map([[1, "future"]]), 0);
  const outcome = backlog.settle(backlog.take(1_000, 1)!, none, 1_000);
  assert.deepEqual(outcome, { accepted: [measured(1)], refused: [], postponed: 0 });
  assert.equal(backlog.size, 0);
});

Deno.test("Backlog refuses at once what is refused for another reason", () => {
  for (const reason of ["implausible", "conflict"] as const) {
    const backlog = new Backlog();
    backlog.add(measured(1), 0);
    const outcome = backlog.settle(backlog.take(0, 1)!, new Map([[1, reason]]), 0);
    assert.deepEqual(outcome, { accepted: [], refused: [measured(1)], postponed: 0 });
  }
});

Deno.test("Backlog holds late readings back, until it is flushed", () => {
  const misdeeds: [Misbehaviour, number][] = [];
  const mischief: Mischief = (kind, time) => kind === "late" && time === 0 ? 0.5 : null;
  const onMisdeed = (kind: Misbehaviour, count: number) => void misdeeds.push([kind, count]);
  const backlog = new Backlog({ mischief, onMisdeed });
  backlog.add(measured(1), 0);
  backlog.add(measured(2), 0);
  assert.deepEqual(numbersIn(backlog.take(0, 10)), [2]);
  assert.equal(backlog.take(0, 10), null);
  assert.equal(backlog.dueAt(0), 1_000 * Math.sqrt(60));
  backlog.flush(10);
  assert.deepEqual(numbersIn(backlog.take(10, 10)), [1]);
  assert.deepEqual(misdeeds, [["late", 1], ["disorder", 1]]);
});

Deno.test("Backlog sends what was settled again, and accounts for it once", () => {
  const mischief: Mischief = (kind) => kind === "duplicate" ? 0.99 : null;
  const backlog = new Backlog({ mischief });
  for (const seq of [1, 2, 3, 4]) backlog.add(measured(seq), 0);
  assert.equal(backlog.settle(backlog.take(0, 2)!, none, 0).accepted.length, 2);
  assert.equal(backlog.size, 4);
  const mixed = backlog.take(0, 10)!;
  assert.deepEqual(numbersIn(mixed).toSorted(), [1, 2, 3, 4]);
  assert.equal(newIn(mixed), 2);
  // even when the fog suddenly has a reason against what it took before
  const outcome = backlog.settle(mixed, new Map([[1, "conflict"]]), 0);
  assert.deepEqual(outcome.accepted, [measured(3), measured(4)]);
  assert.deepEqual(outcome.refused, []);
});

Deno.test("Backlog settles every reading once, whatever it was told and however it is answered", () => {
  const seqs = Array.from({ length: 60 }, (_, i) => i + 1);
  const kinds = fc.subarray([...misbehaviours]);
  const most = fc.integer({ min: 1, max: 20 });
  fc.assert(
    fc.property(kinds, fc.nat(), most, fc.infiniteStream(fc.nat(9)), (kinds, seed, most, dice) => {
      const backlog = new Backlog({ mischief: mischiefOf(kinds, { seed, meter: 0 }) });
      const settled: number[] = [];
      let now = 0;
      const send = () => {
        for (let batch; (batch = backlog.take(now, most)) !== null;) {
          const numbers = numbersIn(batch);
          assert.ok(numbers.length <= most && new Set(numbers).size === numbers.length);
          const refused = new Map<number, ReadingRefusal>();
          for (const seq of numbers) {
            const [roll] = dice.take(1);
            if (roll! < 2) refused.set(seq, roll === 0 ? "future" : "implausible");
          }
          const outcome = backlog.settle(batch, refused, now);
          for (const { reading } of [...outcome.accepted, ...outcome.refused]) {
            settled.push(reading.seq);
          }
        }
      };
      for (const seq of seqs) {
        backlog.add(measured(seq), now);
        send();
        now += 700;
      }
      backlog.flush(now);
      for (let rounds = 0; backlog.size > 0; rounds++) {
        assert.ok(rounds < 30, "it ends");
        send();
        now += 1_000;
      }
      assert.deepEqual(settled.toSorted((a, b) => a - b), seqs);
    }),
  );
});
