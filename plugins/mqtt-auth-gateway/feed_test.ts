/** Tests of the feed: whoever comes back in time misses nothing, and whoever does not is told so. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Feed } from "./feed.ts";

function open(start = 1_000) {
  const time = { now: start };
  return { time, feed: new Feed({ clock: () => time.now }) };
}

/** What a listener hears, as it was told. */
function listen(feed: Feed, after: number | null = null) {
  const heard: { seq: number; type: string; n?: number; reset?: true; skipped?: number }[] = [];
  const stop = feed.listen((text) => heard.push(JSON.parse(text)), after);
  return { heard, stop };
}

Deno.test("Feed tells what happens from now on, numbered, to whoever listens", () => {
  const { feed, time } = open(2_000);
  feed.tell({ type: "a", n: 1 });
  const one = listen(feed);
  feed.tell({ type: "a", n: 2 });
  const two = listen(feed);
  time.now = 3_000;
  feed.tell({ type: "b", n: 3 });
  one.stop();
  feed.tell({ type: "b", n: 4 });
  assert.deepEqual(one.heard, [
    { seq: 2_000_001, type: "hello" },
    { seq: 2_000_002, t: 2_000, type: "a", n: 2 },
    { seq: 2_000_003, t: 3_000, type: "b", n: 3 },
  ]);
  assert.deepEqual(two.heard.map(({ n }) => n), [undefined, 3, 4]);
  assert.equal(feed.seq, 2_000_004);
});

Deno.test("Feed leaves out no message and repeats none for a listener that comes and goes", () => {
  const step = fc.constantFrom("tell", "leave", "come back");
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const { feed, time } = open();
    const heard: number[] = [];
    let last = feed.seq;
    let stop: (() => void) | undefined;
    const join = () =>
      stop ??= feed.listen((text) => {
        const { seq, type } = JSON.parse(text);
        assert.equal(type, "x");
        heard.push(last = seq);
      }, last);
    let told = 0;
    const first = feed.seq + 1;
    for (const what of [...steps, "come back"]) {
      if (what === "come back") join();
      if (what === "leave") stop = void stop?.();
      if (what === "tell") {
        time.now += 1_000;
        feed.tell({ type: "x", n: ++told });
      }
    }
    assert.deepEqual(heard, Array.from({ length: told }, (_, i) => first + i));
  }));
});

Deno.test("Feed tells who was away for too long, or comes from elsewhere, to begin anew", () => {
  const { feed, time } = open();
  const first = feed.seq;
  for (let i = 0; i < 1_001; i++) {
    time.now += 1_000;
    feed.tell({ type: "x" });
  }
  assert.deepEqual(listen(feed, first).heard, [{ seq: feed.seq, type: "hello", reset: true }]);
  assert.equal(listen(feed, first + 1).heard.length, 1_000);
  assert.deepEqual(listen(feed, feed.seq).heard, []);
  assert.equal(listen(feed, feed.seq + 1).heard[0]!.reset, true);
  assert.equal(listen(feed, 0).heard[0]!.reset, true);
  // what another run has told is older than anything of this one
  assert.ok(open(time.now + 2).feed.seq > feed.seq);
});

Deno.test("Feed keeps little of what is long", () => {
  const { feed, time } = open();
  const first = feed.seq;
  for (let i = 0; i < 100; i++) {
    time.now += 1_000;
    feed.tell({ type: "x", long: "x".repeat(100_000) });
  }
  assert.equal(listen(feed, first).heard[0]!.reset, true);
  const { heard } = listen(feed, feed.seq - 40);
  assert.deepEqual([heard.length, heard[0]!.reset], [40, undefined]);
});

Deno.test("Feed tells 50 of a type in a second, and how many it has left out", () => {
  const { feed, time } = open();
  const { heard } = listen(feed);
  for (let i = 0; i < 1_000; i++) feed.tell({ type: "call" });
  feed.tell({ type: "device" });
  assert.equal(heard.length, 1 + 50 + 1);
  time.now += 1_000;
  feed.tell({ type: "call" });
  feed.tell({ type: "call" });
  assert.deepEqual(heard.slice(-3).map(({ type, skipped }) => [type, skipped]), [
    ["device", undefined],
    ["call", 950],
    ["call", undefined],
  ]);
  for (let i = 0; i < 60; i++) feed.tell({ type: "device" });
  feed.tick();
  time.now += 1_000;
  feed.tick();
  feed.tick();
  const { type, skipped } = heard.at(-1)!;
  assert.deepEqual([heard.length, type, skipped], [1 + 50 + 1 + 2 + 50 + 1, "device", 10]);
});
