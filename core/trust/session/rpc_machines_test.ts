/**
 * Calls in both directions under any schedule of loss, repetition, reordering, alteration and restarts
 * of either side: none runs twice in a session, none gets another's answer, each ends in time, and once
 * the network behaves, each is answered.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { nativeSuite } from "../../services/crypto_native.ts";
import { readRpc } from "../../wire/json_rpc.ts";
import { RpcWorld } from "./_rpc_world.ts";

const suite = nativeSuite();
const seconds = 1_000;

const faults = fc.record({
  loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
  repeat: fc.double({ min: 0, max: 0.5, noNaN: true }),
  corrupt: fc.double({ min: 0, max: 0.2, noNaN: true }),
  delay: fc.integer({ min: 1, max: 8 * seconds }),
});
const calls = fc.record({
  from: fc.constantFrom("device" as const, "site" as const),
  count: fc.integer({ min: 1, max: 20 }),
  within: fc.integer({ min: 1, max: 60 * seconds }),
});
const event = fc.oneof(
  { weight: 8, arbitrary: calls },
  { weight: 5, arbitrary: fc.record({ run: fc.integer({ min: 1, max: 30 * seconds }) }) },
  { weight: 2, arbitrary: fc.record({ faults }) },
  { weight: 2, arbitrary: fc.record({ slowness: fc.integer({ min: 0, max: 20 * seconds }) }) },
  { weight: 1, arbitrary: fc.constant({ restart: "site" as const }) },
  { weight: 1, arbitrary: fc.constant({ restart: "device" as const }) },
);
const schedule = fc.record({ seed: fc.integer(), events: fc.array(event, { maxLength: 30 }) });

Deno.test("calls of both sides end in time and run once a session, whatever happens", () => {
  const outcomes = new Map<string, number>();
  fc.assert(
    fc.property(schedule, ({ seed, events }) => {
      const world = new RpcWorld(suite, { seed, readRpc });
      // calls that died with their own side have nobody to be answered to
      let kept = 0;
      const died = new Set<unknown>();
      const restart = (from: "device" | "site") => {
        for (const one of world.calls) {
          if (one.from === from && one.call.outcome === null) died.add(one);
        }
      };
      world.call("device", 10 * seconds);
      world.run(seconds);
      for (const event of events) {
        if ("from" in event) {
          for (let i = 0; i < event.count; i++) world.call(event.from, event.within);
        } else if ("run" in event) world.run(event.run);
        else if ("faults" in event) world.faults = event.faults;
        else if ("slowness" in event) world.slowness = event.slowness;
        else {
          restart(event.restart);
          if (event.restart === "site") world.restartSite();
          else world.restartDevice();
        }
      }
      world.run(61 * seconds);
      for (const [run, times] of world.runs) assert.equal(times, 1, `${run} ran ${times} times`);
      for (const one of world.calls) {
        if (died.has(one)) continue;
        const { from, call: { text, outcome } } = one;
        assert.notEqual(outcome, null, `${text} has not ended`);
        kept++;
        const key = `${from} ${outcome}`;
        outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
        const ran = [...world.runs.keys()].some((run) => run.endsWith(` ${text}`));
        if (outcome === "answer") assert.ok(ran, `${text} was answered and never ran`);
        if (outcome === "not_connected") assert.ok(!ran, `${text} ran and was never sent`);
      }
      assert.ok(kept <= world.calls.length);

      world.faults = { loss: 0, repeat: 0, corrupt: 0, delay: 10 };
      world.slowness = 0;
      const last = (["device", "site", "device"] as const).map((from, i) => {
        const call = world.call(from, 60 * seconds, 1_000 + i);
        world.run(60 * seconds);
        return call?.outcome;
      });
      assert.deepEqual(last, ["answer", "answer", "answer"]);
    }),
    { numRuns: 300 },
  );
  for (const outcome of ["device answer", "device no_answer", "site answer", "site no_answer"]) {
    assert.ok((outcomes.get(outcome) ?? 0) > 50, `${outcome}: ${outcomes.get(outcome)}`);
  }
  assert.ok((outcomes.get("site outcome_unknown") ?? 0) > 5, JSON.stringify([...outcomes]));
});
