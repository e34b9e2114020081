/** Tests of knowing that nothing has changed meanwhile. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Changes } from "./changes.ts";

Deno.test("seen() is null while a change is under way, and another number after it", async () => {
  const changes = new Changes();
  const before = changes.seen("kiosk-1");
  const { promise, resolve } = Promise.withResolvers<void>();
  const change = changes.during("kiosk-1", () => promise);
  assert.equal(changes.seen("kiosk-1"), null);
  assert.equal(changes.seen("kiosk-2"), before);
  resolve();
  await change;
  assert.notEqual(changes.seen("kiosk-1"), before);
});

Deno.test("a change that fails counts too", async () => {
  const changes = new Changes();
  const before = changes.seen("kiosk-1");
  await assert.rejects(changes.during("kiosk-1", () => Promise.reject(new Error("no room"))));
  assert.notEqual(changes.seen("kiosk-1"), before);
  assert.notEqual(changes.seen("kiosk-1"), null);
});

Deno.test("isAlone() says yes only to whoever has read after everybody else had written", async () => {
  const step = fc.record({ who: fc.nat(3), what: fc.constantFrom("read", "begin", "end") });
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const changes = new Changes();
    // an independent account: the version that each has read, and what has been written since
    let version = 0;
    const read = new Map<number, { version: number; clean: boolean; seen: number | null }>();
    const open = new Map<number, { end: () => void; done: Promise<void> }>();
    for (const { who, what } of steps) {
      if (what === "read" && !open.has(who)) {
        read.set(who, { version, clean: open.size === 0, seen: changes.seen("kiosk-1") });
      } else if (what === "begin" && read.has(who) && !open.has(who)) {
        const { promise, resolve } = Promise.withResolvers<void>();
        open.set(who, { end: resolve, done: changes.during("kiosk-1", () => promise) });
        const mine = read.get(who)!;
        const isAlone = mine.clean && mine.version === version && open.size === 1;
        assert.equal(changes.isAlone("kiosk-1", mine.seen), isAlone);
      } else if (what === "end" && open.has(who)) {
        const { end, done } = open.get(who)!;
        end();
        await done;
        open.delete(who);
        read.delete(who);
        version++;
      }
    }
    for (const { end, done } of open.values()) {
      end();
      await done;
    }
  }));
});
