/** What is to be told is on disk once, as it is by then, whatever the disk does in between. */
import assert from "node:assert/strict";
import { openDatabase } from "../../core/services/db/mod.ts";
import { pause } from "../../core/services/pause.ts";
import type { Alert } from "./alerts.ts";
import { type Group, groupOf, keyOf } from "./groups.ts";
import type { Html } from "./markup.ts";
import { migrations } from "./tables.ts";
import { TellingsStore } from "./tellings_store.ts";
import { eventOf } from "./_test_events.ts";

const quietLog = { debug() {}, info() {}, warn() {}, error() {} };

async function withStore(
  use: (store: TellingsStore, disk: { isBroken: boolean; writes: number }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using db = await openDatabase({ path: `${folder}/test.db` });
    await db.migrate("telegram-notifier", migrations);
    const disk = { isBroken: false, writes: 0 };
    const stopping = new AbortController();
    const store = new TellingsStore({
      db: {
        read: (query) => db.read(query),
        write: (job) => {
          disk.writes++;
          return disk.isBroken ? Promise.reject(new Error("The disk is full")) : db.write(job);
        },
      },
      ...{ log: quietLog, pause, signal: stopping.signal },
    });
    await use(store, disk);
    stopping.abort();
    await store.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const group = (n: number): Group => ({ ...groupOf(eventOf()), n });
const key = keyOf(group(1));

Deno.test("many changes of one thing are few writes, and the last one counts", async () => {
  await withStore(async (store, disk) => {
    for (let n = 1; n <= 5_000; n++) store.keepGroup(1, key, group(n));
    store.keepGroup(2, key, group(7));
    await store.flush();
    assert.ok(disk.writes <= 2, `${disk.writes} writes`);
    const { waiting } = await store.ofChat(1);
    assert.deepEqual([...waiting], [[key, group(5_000)]]);
    store.keepGroup(1, key, null);
    await store.flush();
    assert.equal((await store.ofChat(1)).waiting.size, 0);
    assert.equal((await store.ofChat(2)).waiting.size, 1);
  });
});

Deno.test("what could not be written is written later, but not over what is newer", async () => {
  await withStore(async (store, disk) => {
    disk.isBroken = true;
    store.keepGroup(1, key, group(1));
    store.keepGroup(1, "other", group(2));
    await assert.rejects(store.flush(), /disk is full/);
    store.keepGroup(1, key, group(3));
    disk.isBroken = false;
    await store.flush();
    const { waiting } = await store.ofChat(1);
    assert.deepEqual([waiting.get(key)?.n, waiting.get("other")?.n], [3, 2]);
  });
});

Deno.test("messages and alerts come back as they were", async () => {
  await withStore(async (store) => {
    const message = { chat: 1, message: 9, t: 5, groups: [group(2)], shown: "<b>x</b>" as Html };
    store.keepMessage(message);
    store.keepMessage({ ...message, message: 10 });
    store.forgetMessage({ ...message, message: 10 });
    const alert: Alert = {
      ...{ type: "quorum.low" as const, severity: "alarm" as const, role: "r", subject: "s" },
      ...{ facts: "", n: 1, first: 1, last: 2, end: null },
    };
    store.keepAlert("a", alert);
    await store.flush();
    assert.deepEqual((await store.ofChat(1)).messages, [message]);
    assert.deepEqual(await store.alerts(), [["a", alert]]);
  });
});
