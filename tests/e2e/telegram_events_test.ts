/**
 * What happens at a site, as it reads in a chat: every event is counted, a flood and a night without network
 * are a few messages, what is over is said where it began, and each chat hears what it wants to hear
 * when it wants to hear it.
 */
import assert from "node:assert/strict";
import type { Event } from "../../core/wire/event.ts";
import { startTelegramSite, type TelegramSite } from "./_telegram_site.ts";
import { eventually } from "./_test_site.ts";

const hour = 3_600_000;

Deno.test("an event is told in words, with whom it is about and what it said", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann, bob } } = telegram;
  const subject = "<kiosk> & co";
  drill.emit({ ...released, subject, detail: { reason: "hours > 22" } });
  for (const { id } of [ann, bob]) {
    const { text, entities } = await api.sees(id, /<kiosk> & co/);
    assert.match(text, /pump-house/);
    assert.match(text, /may open its volume/);
    assert.match(text, /hours > 22/);
    assert.doesNotMatch(text, /^\s|\\n|\n\s*\n/, "lines are whole, and none is empty");
    assert.ok(entities.some(({ type }) => type === "bold"));
  }
  assert.equal(api.count("sendMessage", 400), 0);
});

Deno.test("10,000 events in a minute are a handful of messages, and none is forgotten", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann } } = telegram;
  const types = ["reading.refused", "unlock.denied", "device.offline"] as const;
  for (let i = 0; i < 10_000; i++) {
    drill.emit({ ...released, type: types[i % 3]!, subject: `meter-${i % 700}` });
    if (i % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 400));
  }
  await eventually(
    "all are told of",
    () => counted(telegram, ann.id) >= 10_000 || undefined,
    120_000,
  );
  assert.equal(counted(telegram, ann.id), 10_000);
  const { length } = api.told(ann.id);
  assert.ok(length <= 10, `${length} messages`);
  const calls = api.count("sendMessage") + api.count("editMessageText");
  assert.ok(calls <= 40, `${calls} requests for two chats`);
  assert.equal(api.count("sendMessage", 429) + api.count("editMessageText", 429), 0);
});

Deno.test("after a night without network a chat hears of it once", async () => {
  await using telegram = await startTelegramSite();
  const { api, site, drill, people: { ann } } = telegram;
  await eventually("it listens", () => api.isPolled || undefined);
  await api.goAway();
  for (let i = 0; i < 600; i++) {
    drill.emit({ ...released, subject: `kiosk-${i % 50}` });
    if (i % 100 === 0) {
      site.advance(hour);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
  drill.emit({ ...uplinkDown, type: "fog.storage_full", severity: "alarm" });
  await eventually("it says how it is", async () => {
    const { parts } = await telegram.ask("/site") as { parts: Record<string, unknown> };
    return /degraded/.test(JSON.stringify(parts)) || undefined;
  }, 60_000);
  await api.comeBack();
  await eventually("all are told of", () => counted(telegram, ann.id) >= 601 || undefined, 120_000);
  assert.equal(counted(telegram, ann.id), 601);
  const told = api.told(ann.id);
  assert.ok(told.length <= 3, told.map(({ text }) => text).join("\n\n"));
  assert.match(told.map(({ text }) => text).join("\n"), /since/);
});

Deno.test("what is over is said in the message where it began", async () => {
  await using telegram = await startTelegramSite();
  const { api, site, drill, people: { ann } } = telegram;
  drill.emit(uplinkDown);
  const down = await api.sees(ann.id, /fog-1 does not reach the cloud/);
  site.advance(12 * 60_000);
  drill.emit({ ...uplinkDown, type: "fog.uplink_up", severity: "info" });
  const up = await api.sees(ann.id, /fog-1[^]*reaches the cloud[^]*after 12 min/);
  assert.deepEqual([up.id, up.edits], [down.id, 1]);
  assert.ok(up.entities.some(({ type }) => type === "strikethrough"));
});

Deno.test("each chat hears of the roles and severities that it wants, and alarms at night", async () => {
  await using telegram = await startTelegramSite();
  const { api, site, drill, people: { ann, bob } } = telegram;
  const quiet = `${timeOf(site.clock() - hour)}-${timeOf(site.clock() + hour)}`;
  await telegram.configure({
    chats: `[{ id = ${ann.id}, severity = "warning", quiet = "${quiet}" },
      { id = ${bob.id}, roles = ["share-gateway"] }]`.replace(/\s+/g, " "),
  });
  drill.emit({ ...released, subject: "told-to-nobody" });
  drill.emit({ ...uplinkDown, subject: "told-in-the-morning" });
  drill.emit({ ...uplinkDown, severity: "alarm", subject: "told-at-once" });
  const night = await api.sees(ann.id, /told-at-once/);
  assert.doesNotMatch(night.text, /told-in-the-morning/);
  assert.equal(counted(telegram, ann.id), 1);
  site.advance(2 * hour);
  await api.sees(ann.id, /told-in-the-morning/);
  const all = [...api.told(ann.id), ...api.told(bob.id)].map(({ text }) => text).join("\n");
  assert.doesNotMatch(all, /told-to-nobody/);
  assert.deepEqual(api.told(bob.id).filter(({ text }) => text.includes("told-")), []);
});

Deno.test("a group that becomes a supergroup goes on hearing", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann } } = telegram;
  const group = api.group("Pumps", [ann]);
  await telegram.configure({ chats: `[${group.id}]` });
  drill.emit({ ...released, subject: "before" });
  await api.sees(group.id, /before/);
  const { id } = api.upgrade(group);
  drill.emit({ ...released, subject: "after" });
  await api.sees(id, /after/);
  // it also takes commands there, and not only in the chat that was configured
  await ann.asks("/status", { chat: id });
});

Deno.test("a chat whose person has blocked the bot keeps no other waiting", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann, bob } } = telegram;
  bob.blocks();
  drill.emit({ ...released, subject: "kiosk-1" });
  await api.sees(ann.id, /kiosk-1/);
  drill.emit({ ...released, subject: "kiosk-2" });
  await api.sees(ann.id, /kiosk-2/);
  await eventually("it says which chat", async () => {
    const { parts } = await telegram.ask("/site") as { parts: Record<string, unknown> };
    return JSON.stringify(parts).includes(`${bob.id}`) || undefined;
  });
  const refusals = api.count("sendMessage", 403);
  assert.ok(refusals >= 1 && refusals <= 4, `${refusals} times it was told`);
});

Deno.test("short troubles on the way lose nothing, and hurry nobody", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann } } = telegram;
  for (const fault of ["drop", "bad gateway"] as const) {
    using _ = api.trouble(fault, { methods: ["sendMessage"], times: 2 });
    const subject = fault.replace(" ", "-");
    drill.emit({ ...released, subject });
    await api.sees(ann.id, new RegExp(subject));
    assert.equal(api.told(ann.id).filter(({ text }) => text.includes(subject)).length, 1);
  }
  // nobody can know that it has arrived: once more is better than not at all
  using lost = api.trouble("lose", { methods: ["sendMessage"], times: 1 });
  drill.emit({ ...released, subject: "kiosk-9" });
  await api.sees(ann.id, /kiosk-9/);
  lost[Symbol.dispose]();
  drill.emit({ ...released, subject: "kiosk-10" });
  await api.sees(ann.id, /kiosk-10/);
  assert.ok(api.told(ann.id).filter(({ text }) => /kiosk-9\b/.test(text)).length <= 2);
});

Deno.test("a second listener is named with what to do, and when it is gone the first goes on", async () => {
  await using telegram = await startTelegramSite();
  const { api, people: { ann } } = telegram;
  await eventually("it listens", () => api.isPolled || undefined);
  const rival = new AbortController();
  const listening = (async () => {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const url = `${api.url}/bot${api.token}/getUpdates?timeout=50`;
    while (!rival.signal.aborted) {
      await fetch(url, { client, signal: rival.signal }).then((r) => r.text(), () => {});
    }
  })();
  const partOf = async () => {
    const { parts } = await telegram.ask("/site") as { parts: unknown };
    return JSON.stringify(parts);
  };
  await eventually("it says so", async () => {
    return /failed[^}]*a bot of its own/.test(await partOf()) || undefined;
  }, 60_000);
  rival.abort();
  await listening;
  // nothing that was written in the meantime is lost
  await ann.asks("/whoami", { reply: /1001/ });
  assert.doesNotMatch(await partOf(), /a bot of its own/);
});

const released = {
  ...{ type: "unlock.released", severity: "info", subject: "kiosk-1", detail: {} },
} satisfies Omit<Event, "seq" | "t" | "role">;
const uplinkDown = {
  ...{ type: "fog.uplink_down", severity: "warning", subject: "fog-1", detail: {} },
} satisfies Omit<Event, "seq" | "t" | "role">;

/** Events that the messages of a chat speak of. */
function counted({ api }: TelegramSite, chat: number): number {
  const messages = api.told(chat).filter(({ text }) => /^pump-house/.test(text));
  return messages.reduce((sum, { text }) => sum + Number(/· (\d+) events/.exec(text)?.[1] ?? 1), 0);
}

function timeOf(t: number): string {
  return new Date(t).toISOString().slice(11, 16);
}
