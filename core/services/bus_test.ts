/** The bus: every listener hears every event in order, and none disturbs another. */
import assert from "node:assert/strict";
import type { Event } from "../wire/event.ts";
import { EventBus } from "./bus.ts";

function open() {
  const failures: Record<string, unknown>[] = [];
  let now = 1_000;
  const quiet = { debug() {}, info() {}, warn() {} };
  const error = (_message: string, properties = {}) => void failures.push(properties);
  const bus = new EventBus({ clock: () => now++, log: { ...quiet, error } });
  return { bus, failures };
}

const event = { type: "reading.refused", severity: "warning", subject: "m-1", detail: {} } as const;

Deno.test("EventBus fills in number, time and role, and lets every role hear all of them", () => {
  const { bus } = open();
  const heard: Event[][] = [[], []];
  const [fog, cloud] = ["fog-aggregator", "cloud-summary"].map((role) => bus.scoped(role));
  fog!.listen((event) => heard[0]!.push(event));
  cloud!.listen((event) => heard[1]!.push(event));
  fog!.emit(event);
  cloud!.emit({ ...event, subject: "m-2" });
  assert.deepEqual(heard[0], [
    { ...event, role: "fog-aggregator", seq: 1, t: 1_000 },
    { ...event, subject: "m-2", role: "cloud-summary", seq: 2, t: 1_001 },
  ]);
  assert.deepEqual(heard[1], heard[0]);
});

Deno.test("EventBus logs a listener that throws and goes on with the others", () => {
  const { bus, failures } = open();
  const door = bus.scoped("role");
  const heard: number[] = [];
  const thrown = new Error("broken");
  door.listen(() => {
    throw thrown;
  });
  door.listen(({ seq }) => void heard.push(seq));
  door.emit(event);
  door.emit(event);
  assert.deepEqual(heard, [1, 2]);
  assert.deepEqual(failures[0], { type: "reading.refused", error: thrown });
  assert.equal(failures.length, 2);
});

Deno.test("EventBus forgets a listener when told, even from within it, and twice", () => {
  const { bus } = open();
  const door = bus.scoped("role");
  const heard: string[] = [];
  const stop = door.listen(() => {
    heard.push("once");
    stop();
  });
  door.listen(() => void heard.push("always"));
  door.emit(event);
  door.emit(event);
  stop();
  door.emit(event);
  assert.deepEqual(heard, ["once", "always", "always", "always"]);
});
