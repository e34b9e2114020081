/** Windows of the week: how they are written, over midnight, and when clocks change. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isOpen, isTimeZone, parseWindow, type TimeWindow, wallClock } from "./hours.ts";

const windows = (...texts: string[]): TimeWindow[] => texts.map((text) => parseWindow(text)!);
const names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

Deno.test("parseWindow() reads days, lists and ranges of them, and times", () => {
  const cases: [string, string, number, number][] = [
    ["mon-fri 06:00-22:00", "mon tue wed thu fri", 360, 1320],
    ["sat 08:30-12:15", "sat", 510, 735],
    ["mon,wed,fri 00:00-24:00", "mon wed fri", 0, 1440],
    ["fri-mon 22:00-04:00", "mon fri sat sun", 1320, 240],
    ["mon-tue,sun 10:00-11:00", "mon tue sun", 600, 660],
    ["daily 06:00-22:00", names.join(" "), 360, 1320],
    [" MON  06:00-07:00 ", "mon", 360, 420],
    ["sun-sun 23:59-00:00", "sun", 1439, 0],
  ];
  for (const [text, days, start, end] of cases) {
    const window = parseWindow(text)!;
    assert.deepEqual(names.filter((_, i) => window.days[i]).join(" "), days, text);
    assert.deepEqual([window.start, window.end], [start, end], text);
  }
});

Deno.test("parseWindow() refuses what is no window", () => {
  const wrong = [
    ...["", "mon", "06:00-22:00", "mon 6:00-22:00", "mon 06:00", "mon 06:00-25:00"],
    ...["mon 24:00-06:00", "mon 06:60-07:00", "mon 06:00-24:01", "mon 06:00-06:00"],
    ...["mo 06:00-07:00", "mon- 06:00-07:00", "mon-tue-wed 06:00-07:00", "mon, 06:00-07:00"],
    ...["daily,mon 06:00-07:00", "mon 06:00 - 07:00", "mon 06:00-07:00 x", "mon 06.00-07.00"],
  ];
  for (const text of wrong) assert.equal(parseWindow(text), null, text);
});

Deno.test("isOpen() has the start in a window and the end not, over midnight too", () => {
  const cases: [boolean, string, string][] = [
    [false, "mon 05:59", "mon-fri 06:00-22:00"],
    [true, "mon 06:00", "mon-fri 06:00-22:00"],
    [true, "fri 21:59", "mon-fri 06:00-22:00"],
    [false, "fri 22:00", "mon-fri 06:00-22:00"],
    [false, "sat 12:00", "mon-fri 06:00-22:00"],
    [true, "fri 23:00", "fri 22:00-04:00"],
    [true, "sat 03:59", "fri 22:00-04:00"],
    [false, "sat 04:00", "fri 22:00-04:00"],
    [false, "fri 03:00", "fri 22:00-04:00"],
    [false, "sat 22:00", "fri 22:00-04:00"],
    [true, "mon 01:00", "sun 22:00-04:00"],
    [true, "sun 23:59", "sun 12:00-24:00"],
    [false, "mon 00:00", "sun 12:00-24:00"],
    [true, "tue 00:00", "daily 00:00-24:00"],
  ];
  for (const [open, at, window] of cases) {
    const [, day, hour, minute] = /^(\w+) (\d+):(\d+)$/.exec(at)!;
    const time = { day: names.indexOf(day!), minute: Number(hour) * 60 + Number(minute) };
    assert.equal(isOpen(windows(window), time), open, `${at} in ${window}`);
  }
});

Deno.test("isOpen() is always open without windows, and open in any of several", () => {
  assert.ok(isOpen([], { day: 3, minute: 77 }));
  const several = windows("mon 06:00-07:00", "tue 06:00-07:00");
  assert.ok(isOpen(several, { day: 1, minute: 400 }));
  assert.ok(!isOpen(several, { day: 2, minute: 400 }));
});

Deno.test("isOpen() is what a minute of the week says that was marked one by one", () => {
  const week = 7 * 1440;
  const window = fc.record({
    days: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
    start: fc.nat(1439),
    end: fc.nat(1440),
  }).filter(({ start, end }) => start !== end);
  fc.assert(
    fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), fc.nat(week - 1), (all, at) => {
      const marked = new Set<number>();
      for (const { days, start, end } of all) {
        const length = end > start ? end - start : end + 1440 - start;
        days.forEach((isOn, day) => {
          for (let i = 0; isOn && i < length; i++) marked.add((day * 1440 + start + i) % week);
        });
      }
      const time = { day: Math.floor(at / 1440), minute: at % 1440 };
      assert.equal(isOpen(all, time), marked.has(at));
    }),
    { numRuns: 50 },
  );
});

Deno.test("wallClock() shows what clocks in the zone show, also when they change", () => {
  const clock = wallClock("Europe/Berlin");
  const at = (instant: string) => {
    const { day, minute } = clock(Date.parse(instant));
    const two = (n: number) => String(n).padStart(2, "0");
    return `${names[day]} ${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
  };
  assert.equal(at("2026-01-14T12:00:59Z"), "wed 13:00");
  assert.equal(at("2026-07-14T12:00:00Z"), "tue 14:00");
  assert.equal(at("2026-01-14T23:00:00Z"), "thu 00:00");
  // 29 March 2026: from 02:00 to 03:00; 25 October 2026: from 03:00 back to 02:00
  assert.deepEqual(["2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"].map(at), [
    ...["sun 01:59", "sun 03:00"],
  ]);
  const autumn = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"];
  assert.deepEqual(autumn.map(at), ["sun 02:30", "sun 02:30", "sun 03:30"]);
});

Deno.test("a window is by the wall clock on the days when clocks change", () => {
  const clock = wallClock("Europe/Berlin");
  const openAt = (window: string, instant: string) =>
    isOpen(windows(window), clock(Date.parse(instant)));
  // the hour that is skipped opens nothing, the hour that comes twice opens twice
  assert.ok(!openAt("sun 02:00-03:00", "2026-03-29T00:59:59Z"));
  assert.ok(!openAt("sun 02:00-03:00", "2026-03-29T01:00:00Z"));
  assert.ok(openAt("sun 02:00-03:00", "2026-10-25T00:30:00Z"));
  assert.ok(openAt("sun 02:00-03:00", "2026-10-25T01:30:00Z"));
  // over midnight, into a night of 23 hours: it ends at 06:00 on the wall
  assert.ok(openAt("sat 22:00-06:00", "2026-03-29T03:59:59Z"));
  assert.ok(!openAt("sat 22:00-06:00", "2026-03-29T04:00:00Z"));
});

Deno.test("isTimeZone() knows the names of zones", () => {
  for (const zone of ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]) {
    assert.ok(isTimeZone(zone), zone);
  }
  for (const zone of ["", "Mars/Base", "UTC+25", "Europe", "x".repeat(1000)]) {
    assert.ok(!isTimeZone(zone), zone);
  }
});
