/** What a sensor does for its site: an effect happens once for one id, and is in the flash by then. */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { suite } from "./_fakes.ts";
import { Tally } from "./sensor_counts.ts";
import { answersKept, memoryFlash } from "./sensor_flash.ts";
import { SensorMethods, type SiteCall } from "./sensor_methods.ts";

function device() {
  const flash = memoryFlash(suite, { id: parseId("pump-7") });
  const tally = new Tally();
  const methods = new SensorMethods({ flash, tally, monotonic: () => 0 });
  return { flash, tally, methods };
}

const onceOf = (n: number) => n.toString(16).padStart(32, "0");
const set = (n: number, on: boolean, once: string | null = onceOf(n)): SiteCall => (
  { id: `call-${n}`, method: "relay.set", params: { on }, once }
);

Deno.test("SensorMethods answers what is no effect, and refuses what it does not know", () => {
  const { methods, flash, tally } = device();
  const echo = { id: 1, method: "echo", params: [1, { a: null }], once: null };
  assert.deepEqual(methods.answer(echo), { result: [1, { a: null }] });
  assert.deepEqual(methods.answer({ id: 2, method: "state.get", once: null }), {
    result: { relay: false, switched: 0, acts: 0, uptime_ms: 0 },
  });
  const refused = (call: SiteCall) => {
    const outcome = methods.answer(call);
    return "refused" in outcome ? outcome.refused : outcome;
  };
  assert.equal(refused({ id: 3, method: "constructor", once: null }), "method_not_found");
  assert.equal(refused({ ...set(4, true), params: { on: "yes" } }), "invalid_params");
  assert.equal(flash.state.switched, 0);
  assert.equal(tally.counts.calls_from_site, 4);
  assert.equal(tally.counts.effects, 0);
});

Deno.test("SensorMethods runs an effect once for one id, over reboots", () => {
  const { methods, flash, tally } = device();
  assert.deepEqual(methods.answer(set(1, true)), { result: { relay: true, switched: 1 } });
  assert.deepEqual(methods.answer(set(2, false)), { result: { relay: false, switched: 2 } });
  const again = new SensorMethods({ flash, tally, monotonic: () => 0 });
  assert.deepEqual(again.answer({ ...set(9, true), once: onceOf(1) }), {
    result: { relay: true, switched: 1 },
  });
  assert.deepEqual([flash.state.relay, flash.state.switched], [false, 2]);
  assert.equal(tally.counts.duplicates_run, 0);
});

Deno.test("SensorMethods writes the effect together with what else must be kept", () => {
  const { methods, flash } = device();
  const writes: object[] = [];
  const write = flash.write.bind(flash);
  flash.write = (change) => {
    writes.push(change);
    write(change);
  };
  methods.answer(set(1, true, null), { keys: "AAAA" });
  assert.equal(writes.length, 1);
  assert.deepEqual([flash.state.keys, flash.state.switched], ["AAAA", 1]);
  methods.answer({ id: 2, method: "echo", once: null }, { keys: "AAAB" });
  assert.equal(flash.state.keys, "AAAB");
});

Deno.test("SensorMethods notices an effect that runs twice, beyond the ids that it keeps", () => {
  const { methods, tally, flash } = device();
  for (let n = 0; n <= answersKept; n++) methods.answer(set(n, true));
  assert.equal(flash.state.answered.length, answersKept);
  assert.equal(tally.counts.duplicates_run, 0);
  methods.answer(set(0, true));
  assert.equal(tally.counts.duplicates_run, 1);
});
