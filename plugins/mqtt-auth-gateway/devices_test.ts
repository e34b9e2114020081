/** Walks through the life of a device, against a model that looks back instead of keeping a state. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { after, type Device, type Happening, isAdmitted, type State, states } from "./devices.ts";

const silence = 60_000;

type Step = Happening | { readonly type: "wait"; readonly for: number };

/** Turns steps that pass time into happenings at instants. */
function happenings(steps: readonly Step[]): Happening[] {
  let now = 1_000;
  return steps.map((step): Happening => {
    if (step.type === "wait") return { type: "time", at: now += step.for, silence };
    return step.type === "frame" ? { type: "frame", at: now } : step;
  });
}

function walk(all: readonly Happening[]): Device | null {
  let device: Device | null = null;
  for (const one of all) device = after(device, one);
  return device;
}

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom<Step[]>(
    ...["applied", "conflicting", "approved", "approved", "revoked", "removed", "replaced"].map(
      (type) => ({ type }) as Step,
    ),
    { type: "restarted" },
    { type: "frame", at: 0 },
    { type: "frame", at: 0 },
  ),
  fc.constantFrom(1, silence - 1, silence, 2 * silence).map((ms): Step => ({
    type: "wait",
    for: ms,
  })),
);
const anyWalk = fc.array(anyStep, { maxLength: 30 }).map(happenings);

/** The same, told from the end: every question is one about the whole history. */
function modelOf(all: readonly Happening[]): State | null {
  const begin = all.findLastIndex(({ type }) => type === "removed" || type === "replaced") + 1;
  const life = all.slice(begin);
  const admittedAt = life.findIndex(({ type }) => type === "approved");
  if (admittedAt < 0) {
    // whoever waits is forgotten at a restart, and is what it last came as
    const since = life.slice(life.findLastIndex(({ type }) => type === "restarted") + 1);
    const came = since.findLast(({ type }) => type === "applied" || type === "conflicting");
    return came === undefined ? null : came.type === "applied" ? "PENDING" : "CONFLICT";
  }
  const since = life.slice(admittedAt + 1);
  if (since.some(({ type }) => type === "revoked")) return "REVOKED";
  const lastFrame = since.findLastIndex(({ type }) => type === "frame");
  if (lastFrame < 0) return "APPROVED";
  const { at } = since[lastFrame] as { at: number };
  const isQuiet = since.slice(lastFrame + 1).some((one) =>
    one.type === "restarted" || one.type === "time" && one.at >= at + silence
  );
  return isQuiet ? "OFFLINE" : "AUTHORIZED";
}

Deno.test("after() agrees with a model that looks back at the whole history", () => {
  const seen = new Set<State | null>();
  fc.assert(
    fc.property(anyWalk, (all) => {
      for (let n = 0; n <= all.length; n++) {
        const device = walk(all.slice(0, n));
        assert.equal(device?.state ?? null, modelOf(all.slice(0, n)));
        seen.add(device?.state ?? null);
      }
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual(seen, new Set([null, ...states]));
});

Deno.test("once approved, no reboot of device or gateway needs a second approval", () => {
  const reboots = fc.array(
    anyStep.filter(({ type }) => !/revoked|removed|replaced/.test(type)),
    { maxLength: 30 },
  );
  fc.assert(fc.property(reboots, (steps) => {
    const all = happenings([{ type: "applied" }, { type: "approved" }, ...steps]);
    const device = walk(all);
    assert.ok(isAdmitted(device));
    assert.equal(after(device, { type: "frame", at: 9e9 })?.state, "AUTHORIZED");
  }));
});

Deno.test("nobody is heard before a person has let it in, nor after it was revoked", () => {
  const unheard: (Device | null)[] = [
    null,
    ...(["PENDING", "CONFLICT", "REVOKED"] as const).map((state) => ({ state, heard: null })),
  ];
  for (const device of unheard) {
    assert.equal(isAdmitted(device), false);
    assert.deepEqual(after(device, { type: "frame", at: 1 }), device);
    assert.deepEqual(after(device, { type: "time", at: 9e9, silence }), device);
  }
});

Deno.test("a revoked device applies and is approved in vain, until it is removed", () => {
  const revoked: Device = { state: "REVOKED", heard: 7 };
  for (const type of ["applied", "conflicting", "approved", "restarted", "revoked"] as const) {
    assert.deepEqual(after(revoked, { type }), revoked);
  }
  const removed = after(revoked, { type: "removed" });
  assert.equal(after(removed, { type: "applied" })?.state, "PENDING");
});

Deno.test("weakness 12: a second key under a name is in conflict, and never the first one's heir", () => {
  const owner = walk(happenings([{ type: "approved" }, { type: "frame", at: 0 }]));
  const rival = after(null, { type: "conflicting" });
  assert.deepEqual([owner?.state, rival?.state], ["AUTHORIZED", "CONFLICT"]);
  assert.equal(after(rival, { type: "frame", at: 1 })?.state, "CONFLICT");
  // the name goes over: the one loses it, the other gets it
  assert.equal(after(owner, { type: "replaced" }), null);
  assert.equal(after(rival, { type: "approved" })?.state, "APPROVED");
});

Deno.test("weakness 17: a device is offline after its silence, to the millisecond, and no sooner", () => {
  const device = walk([{ type: "approved" }, { type: "frame", at: 1_000 }]);
  const at = (ms: number) => after(device, { type: "time", at: ms, silence })?.state;
  assert.deepEqual([at(1_000), at(60_999), at(61_000)], ["AUTHORIZED", "AUTHORIZED", "OFFLINE"]);
  // a clock that was set back makes nobody silent, and nobody immortal
  const earlier = after(device, { type: "time", at: 0, silence });
  const later = (ms: number) => after(earlier, { type: "time", at: ms, silence })?.state;
  assert.equal(earlier?.state, "AUTHORIZED");
  assert.deepEqual([later(59_999), later(60_000)], ["AUTHORIZED", "OFFLINE"]);
});
