/** Telegram's own limits are kept, whatever there is to say. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Pacing } from "./pacing.ts";

/** When messages to these chats go out, one after another, in milliseconds. */
async function played(chats: readonly number[]): Promise<{ chat: number; t: number }[]> {
  let now = 0;
  const pacing = new Pacing(() => now);
  const sent: { chat: number; t: number }[] = [];
  for (const chat of chats) {
    const mayGo = await pacing.turn(chat, (milliseconds) => {
      now += milliseconds;
      return Promise.resolve(true);
    });
    assert.ok(mayGo);
    sent.push({ chat, t: now });
  }
  return sent;
}

function mostWithin(times: readonly number[], span: number): number {
  return Math.max(
    0,
    ...times.map((t) => times.filter((other) => other >= t && other < t + span).length),
  );
}

Deno.test("one message a second in a chat, twenty a minute in a group, thirty a second in all", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: -3, max: 40 }), { maxLength: 300 }),
      async (chats) => {
        const sent = await played(chats);
        assert.ok(mostWithin(sent.map(({ t }) => t), 1_000) <= 30);
        for (const chat of new Set(chats)) {
          const times = sent.filter((one) => one.chat === chat).map(({ t }) => t);
          assert.ok(mostWithin(times, 999) <= 1, `chat ${chat}`);
          if (chat < 0) assert.ok(mostWithin(times, 60_000) <= 20, `group ${chat}`);
        }
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("who stops waiting does not go", async () => {
  const pacing = new Pacing(() => 0);
  assert.equal(await pacing.turn(1, () => Promise.resolve(false)), true);
  assert.equal(await pacing.turn(1, () => Promise.resolve(false)), false);
});
