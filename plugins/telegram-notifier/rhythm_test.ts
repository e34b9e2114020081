/** When a chat is told, and how often at the most, whatever happens. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Rhythm } from "./rhythm.ts";

const within = 5_000;

/** Plays events in time order; gives when messages go out, and how long an event waited at most. */
function play(
  events: readonly { t: number; isAlarm: boolean }[],
): { sent: number[]; longest: number; longestAlarm: number } {
  const rhythm = new Rhythm(within);
  const sent: number[] = [];
  let waiting: { t: number; isAlarm: boolean }[] = [];
  let [longest, longestAlarm] = [0, 0];
  const due = () =>
    rhythm.due({
      first: waiting[0]?.t ?? null,
      firstAlarm: waiting.find(({ isAlarm }) => isAlarm)?.t ?? null,
    });
  const tellUntil = (t: number) => {
    for (let at = due(); at !== null && at <= t; at = due()) {
      for (const one of waiting) {
        longest = Math.max(longest, at - one.t);
        if (one.isAlarm) longestAlarm = Math.max(longestAlarm, at - one.t);
      }
      rhythm.told(at, waiting[0]!.t);
      sent.push(at);
      waiting = [];
    }
  };
  for (const event of events) {
    tellUntil(event.t);
    waiting.push(event);
  }
  tellUntil(Infinity);
  return { sent, longest, longestAlarm };
}

const anyTimes = (most: number, count: number) =>
  fc.array(fc.record({ t: fc.nat(most), isAlarm: fc.boolean() }), {
    minLength: 1,
    maxLength: count,
  })
    .map((events) => events.sort((a, b) => a.t - b.t));

Deno.test("what comes alone is told a moment later", () => {
  assert.deepEqual(play([{ t: 100, isAlarm: false }]).sent, [5_100]);
  const hourly = Array.from({ length: 24 }, (_, i) => ({ t: i * 3_600_000, isAlarm: false }));
  assert.equal(play(hourly).longest, within);
});

Deno.test("ten thousand events in a minute are a handful of messages", () => {
  const flood = Array.from({ length: 10_000 }, (_, i) => ({ t: i * 6, isAlarm: i % 100 === 0 }));
  const { sent } = play(flood);
  assert.ok(sent.length <= 7, `${sent.length} messages`);
  assert.ok(sent.filter((t) => t <= 60_000).length <= 6);
});

Deno.test("no event waits much longer than the longest interval, and no minute has many messages", () => {
  fc.assert(fc.property(anyTimes(7_200_000, 400), (events) => {
    const { sent, longest } = play(events);
    assert.ok(longest <= 300_000 + within, `one waited ${longest} ms`);
    for (const [i, t] of sent.entries()) {
      const inMinute = sent.slice(i).filter((other) => other < t + 60_000);
      assert.ok(inMinute.length <= 7, `${inMinute.length} messages in a minute`);
    }
  }));
});

Deno.test("an alarm amid much else comes before its turn", () => {
  const flow = Array.from({ length: 400 }, (_, i) => ({ t: i * 3_000, isAlarm: false }));
  const events = [...flow, { t: 1_000_000, isAlarm: true }].sort((a, b) => a.t - b.t);
  assert.equal(play(events).longestAlarm, within);
  assert.ok(play(events).longest > 100_000);
});

Deno.test("a clock that was set back keeps nobody waiting for long", () => {
  const rhythm = new Rhythm(within);
  rhythm.told(10_000_000, 9_990_000);
  const due = rhythm.due({ first: 1_000, firstAlarm: null })!;
  assert.ok(due <= 1_000 + 4 * within, `due at ${due}`);
});
