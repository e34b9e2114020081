/** What time it is: jumps, batteries that are missing, meters that know better, and the cloud. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { FogClock } from "./clock.ts";

const second = 1_000;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const start = 1_800_000_000_000;

/** A clock whose two sources are turned by hand: `wall` shows what the host's clock does. */
function world({ wall = start, newest = 0 } = {}) {
  const time = { wall, monotonic: 5_000 };
  const clock = new FogClock(() => time.wall, { newest, monotonic: () => time.monotonic });
  return {
    time,
    clock,
    pass(milliseconds: number) {
      time.wall += milliseconds;
      time.monotonic += milliseconds;
    },
  };
}

Deno.test("a host's clock against which nothing speaks is believed", () => {
  const { clock, pass } = world({ newest: start - hour });
  assert.deepEqual([clock.doubt, clock.trouble, clock.now(), clock.offset], [null, null, start, 0]);
  pass(3 * day);
  assert.deepEqual([clock.doubt, clock.now()], [null, start + 3 * day]);
});

Deno.test("a clock that stands in 1970 is doubted until it is set", () => {
  const { clock, time } = world({ wall: 20 * second });
  assert.match(clock.doubt!, /has not been set/);
  time.wall = start;
  assert.equal(clock.doubt, null);
});

Deno.test("a clock before what is stored is doubted, a bit before is not", () => {
  assert.equal(world({ newest: start + 4 * minute }).clock.doubt, null);
  const { clock, pass } = world({ newest: start + hour });
  assert.match(clock.doubt!, /3,600 s before the newest reading/);
  pass(hour);
  assert.equal(clock.doubt, null);
});

Deno.test("a clock that jumps back while the fog runs is doubted", () => {
  const { clock, time, pass } = world();
  assert.equal(clock.doubt, null);
  pass(hour);
  assert.equal(clock.doubt, null);
  time.wall -= day;
  assert.match(clock.doubt!, /86,400 s before/);
});

Deno.test("three meters that agree vouch for a clock before what is stored, after the start", () => {
  const { clock, time, pass } = world({ newest: start + day });
  const agree = (...meters: string[]) => meters.forEach((meter) => clock.hear(meter, time.wall));
  agree("a", "b", "c");
  assert.match(clock.doubt!, /before the newest/, "it may be what they kept meanwhile");
  pass(2 * minute);
  agree("a", "b");
  assert.equal(clock.doubt, null);
  const two = world({ newest: start + day });
  two.pass(2 * minute);
  for (const meter of ["a", "b"]) two.clock.hear(meter, two.time.wall);
  assert.match(two.clock.doubt!, /before the newest/);
});

Deno.test("a single meter that is ahead is reason for doubt, one that is behind is not", () => {
  const { clock } = world();
  clock.hear("m-1", start + 120 * second);
  clock.hear("m-2", start - 30 * day);
  assert.equal(clock.doubt, null);
  const other = world();
  other.clock.hear("m-1", start + 121 * second);
  assert.match(other.clock.doubt!, /behind those of 1 of 1 meters/);
});

Deno.test("the doubt that meters raise ends when the host's clock is set", () => {
  const { clock, time } = world();
  clock.hear("m-1", start + 3 * day);
  assert.notEqual(clock.doubt, null);
  time.wall += 3 * day;
  time.monotonic += 2 * second;
  assert.equal(clock.doubt, null);
});

Deno.test("meters are counted, each once: the greater part is right", () => {
  const { clock, time, pass } = world();
  pass(2 * minute);
  for (const meter of ["a", "b", "c"]) clock.hear(meter, time.wall);
  for (let times = 0; times < 9; times++) clock.hear("liar", time.wall + hour + times);
  for (const meter of ["x", "y"]) clock.hear(meter, time.wall + hour);
  assert.equal(clock.doubt, null);
  clock.hear("z", time.wall + hour);
  assert.match(clock.doubt!, /4 of 7 meters/);
});

Deno.test("soon after the start, agreement with what meters kept says nothing", () => {
  // switched off three days ago, without a battery: the clock goes on where it stood
  const { clock, time, pass } = world({ newest: start - second });
  for (const meter of ["a", "b", "c"]) clock.hear(meter, time.wall + 2 * second);
  assert.equal(clock.doubt, null);
  clock.hear("a", time.wall + 3 * day);
  assert.match(clock.doubt!, /1 of 3 meters/);
  pass(2 * minute);
  for (const meter of ["b", "c"]) clock.hear(meter, time.wall + 3 * day);
  assert.match(clock.doubt!, /3 of 3 meters/);
});

Deno.test("a clock that jumps ahead of the meters is doubted for as long as they go on as before", () => {
  const { clock, time, pass } = world();
  pass(2 * minute);
  const speak = () => ["a", "b"].forEach((meter) => clock.hear(meter, start + time.monotonic));
  speak();
  time.wall = start + time.monotonic;
  assert.equal(clock.doubt, null);
  time.wall += 30 * day;
  assert.match(clock.doubt!, /jumped ahead of those of 2 of 2 meters/);
  for (let i = 0; i < 20; i++) {
    pass(10 * minute);
    speak();
    assert.notEqual(clock.doubt, null);
  }
  time.wall -= 30 * day;
  assert.equal(clock.doubt, null, "the jump has left nothing behind");
});

Deno.test("a clock that is set right jumps ahead of no meter: each soon agrees", () => {
  // nobody tells a sleep of the machine from a jump, until the meters speak
  const { clock, time, pass } = world();
  pass(2 * minute);
  for (const meter of ["a", "b", "c"]) clock.hear(meter, time.wall);
  time.wall += 5 * hour;
  assert.match(clock.doubt!, /jumped/);
  clock.hear("a", time.wall);
  clock.hear("b", time.wall - second);
  pass(second);
  assert.equal(clock.doubt, null);
});

Deno.test("what a meter said an hour ago counts no more, and of meters without end little is kept", () => {
  const { clock, time, pass } = world();
  clock.hear("m-1", start + day);
  pass(hour - minute);
  assert.notEqual(clock.doubt, null);
  pass(2 * minute);
  assert.equal(clock.doubt, null);
  for (let i = 0; i < 20_000; i++) clock.hear(`m-${i}`, time.wall + day);
  pass(2 * second);
  assert.match(clock.doubt!, /10000 of 10000 meters/);
});

Deno.test("a time that no clock can show is no evidence", () => {
  const { clock } = world();
  clock.hear("m-1", 2 ** 48);
  clock.hear("m-2", 0);
  clock.learn(1_000, 10);
  clock.learn(2 ** 48, 10);
  clock.learn(Number.NaN, 10);
  clock.learn(start + day, 61 * second);
  assert.deepEqual([clock.doubt, clock.now()], [null, start]);
});

Deno.test("the cloud confirms the clock, and then no meter shakes it", () => {
  const { clock, time, pass } = world({ newest: start + day });
  assert.notEqual(clock.doubt, null);
  clock.learn(time.wall - 29 * second, 200);
  assert.deepEqual([clock.doubt, clock.trouble, clock.now()], [null, null, start]);
  for (let i = 0; i < 100; i++) clock.hear(`m-${i}`, time.wall + day);
  pass(hour);
  assert.deepEqual([clock.doubt, clock.now()], [null, start + hour]);
});

Deno.test("beyond the tolerance the cloud's time is used, and goes on by itself", () => {
  const { clock, time, pass } = world({ wall: start - day });
  clock.learn(start, 100);
  assert.deepEqual([clock.doubt, clock.now()], [null, start + 100]);
  assert.match(clock.trouble!, /86,400 s behind the cloud's; the cloud's time is used/);
  assert.equal(clock.offset, day + 100);
  pass(hour);
  assert.equal(clock.now(), start + hour + 100);
  time.wall = start + hour + 2 * second;
  assert.deepEqual([clock.trouble, clock.offset], [null, 0], "the host's clock was set");
});

Deno.test("a cloud that is sure lets no meter doubt its time, even while the host's clock is wrong", () => {
  const { clock, pass } = world({ wall: start - day });
  clock.learn(start, 0);
  pass(minute);
  clock.hear("m-1", start + day);
  assert.equal(clock.doubt, null);
});

Deno.test("a jump of the host's clock after the cloud has spoken does no harm", () => {
  const { clock, time, pass } = world();
  clock.learn(start, 0);
  pass(minute);
  time.wall += 30 * day;
  assert.deepEqual([clock.now(), clock.doubt], [start + minute, null]);
  assert.match(clock.trouble!, /2,592,000 s ahead of the cloud's/);
});

Deno.test("after a sleep of the machine the meters tell that time has passed", () => {
  // the monotonic clock does not count sleep, so the host's clock seems to have jumped
  const { clock, time, pass } = world();
  clock.learn(start, 0);
  time.wall += 2 * hour;
  assert.equal(clock.now(), start);
  clock.hear("m-1", time.wall);
  assert.match(clock.doubt!, /1 of 1 meters/);
  clock.learn(time.wall, 10);
  assert.deepEqual([clock.doubt, clock.now()], [null, time.wall]);
  pass(minute);
  assert.equal(clock.now(), start + 2 * hour + minute);
});

Deno.test("an uncertain time from the cloud is used with its uncertainty", () => {
  const { clock } = world();
  clock.learn(start - 80 * second, 40 * second);
  assert.deepEqual([clock.now(), clock.trouble], [start, null], "40 s off, 40 s uncertain");
  clock.learn(start - 80 * second, 2 * second);
  assert.equal(clock.now(), start - 78 * second);
});

Deno.test("over days without the cloud the clocks may drift apart as quartz does", () => {
  const { clock, time, pass } = world();
  clock.learn(start, 0);
  pass(10 * day);
  time.wall += 100 * second;
  assert.equal(clock.now(), time.wall);
  time.wall += 200 * second;
  assert.equal(clock.now(), start + 10 * day);
});

Deno.test("steady() passes evenly whatever becomes of the host's clock", () => {
  const { clock, time, pass } = world({ wall: 20 * second });
  pass(minute);
  const stamped = clock.steady();
  time.wall = start;
  pass(minute);
  assert.equal(stamped + (clock.now() - clock.steady()), start);
});

Deno.test("once the cloud has spoken, now() never strays, whatever clock and meters do", () => {
  const step = fc.record({
    pass: fc.integer({ min: 0, max: hour }),
    jump: fc.constantFrom(0, 0, 10 * second, -10 * second, day, -day, -30 * 365 * day),
    meter: fc.constantFrom("a", "b", "c"),
    lead: fc.integer({ min: -day, max: day }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const { clock, time, pass } = world();
    clock.learn(start, 0);
    let truth = start;
    for (const { pass: gone, jump, meter, lead } of steps) {
      pass(gone);
      truth += gone;
      time.wall += jump;
      clock.hear(meter, truth + lead);
      const allowed = 30 * second + 0.0002 * (truth - start) + 1;
      assert.ok(Math.abs(clock.now() - truth) <= allowed);
      assert.ok(Number.isInteger(clock.now()));
    }
  }));
});
