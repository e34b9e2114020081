/**
 * Both state machines under any schedule of loss, repetition, reordering, alteration and restarts: no
 * frame is delivered twice or forged, no effect happens twice, and once the network behaves, every
 * call gets its answer. `_world.ts` asserts the rest at every step.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { nativeSuite } from "../../services/crypto_native.ts";
import { World } from "./_world.ts";

const suite = nativeSuite();
const minutes = 60_000;

const faults = fc.record({
  loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
  repeat: fc.double({ min: 0, max: 0.5, noNaN: true }),
  corrupt: fc.double({ min: 0, max: 0.2, noNaN: true }),
  delay: fc.integer({ min: 1, max: 8_000 }),
});
const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ want: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 4, arbitrary: fc.record({ run: fc.integer({ min: 1, max: 2 * minutes }) }) },
  { weight: 2, arbitrary: fc.record({ faults }) },
  { weight: 1, arbitrary: fc.constant({ restart: "site" as const }) },
  { weight: 1, arbitrary: fc.constant({ restart: "device" as const }) },
);
const schedule = fc.record({
  seed: fc.integer(),
  knowsKey: fc.boolean(),
  hasCode: fc.boolean(),
  faults,
  events: fc.array(event, { minLength: 3, maxLength: 25 }),
});

Deno.test("Caller and Answerer survive any schedule of faults, and recover", () => {
  let [answered, refused] = [0, 0];
  fc.assert(
    fc.property(schedule, ({ events, faults, ...options }) => {
      const world = new World(suite, options);
      world.faults = faults;
      for (const event of events) {
        if ("want" in event) { for (let i = 0; i < event.want; i++) world.want(); }
        else if ("run" in event) world.run(event.run);
        else if ("faults" in event) world.faults = event.faults;
        else if (event.restart === "site") world.restartSite();
        else world.restartDevice();
      }
      world.faults = { loss: 0, repeat: 0, corrupt: 0, delay: 10 };
      // a stranger that nobody has answered waits for 10 minutes at the most, twice with bad luck
      world.run(25 * minutes);
      assert.equal(world.unanswered, 0, "a call has no answer");
      for (const [id, times] of world.effects) {
        assert.equal(times, 1, `${id} happened ${times} times`);
      }
      for (const [id, result] of world.results) {
        if (result !== "outcome_unknown") assert.equal(world.effects.get(id), 1);
      }
      answered += world.results.size;
      for (const times of world.refusals.values()) refused += times;
    }),
    { numRuns: 300 },
  );
  assert.ok(answered > 500 && refused > 0, `${answered} answered, ${refused} refused`);
});
