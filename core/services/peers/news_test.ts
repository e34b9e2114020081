/** What is told of newcomers: little of many, and something again after a while, whatever clocks do. */
import assert from "node:assert/strict";
import { News } from "./_news.ts";

const minute = 60_000;

Deno.test("News has room for 10 announcements in a minute, and for one of a name in 15", () => {
  let now = 0;
  const news = new News(() => now);
  for (let i = 0; i < 12; i++) assert.equal(news.take(), i < 10, `${i}`);
  now = minute;
  assert.ok(news.take());
  assert.deepEqual([news.isNew("a"), news.isNew("a"), news.isNew("b")], [true, false, true]);
  now += 15 * minute - 1;
  assert.equal(news.isNew("a"), false);
  now += 1;
  assert.ok(news.isNew("a"));
});

Deno.test("News does not fall silent because the clock is set back", () => {
  let now = 365 * 24 * 60 * minute;
  const news = new News(() => now);
  while (news.take());
  news.isNew("a");
  now = 0;
  assert.deepEqual([news.take(), news.isNew("a")], [true, true]);
});
