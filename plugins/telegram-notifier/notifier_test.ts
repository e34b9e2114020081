/** The role as a whole, in a real site: what people in Telegram see of it. */
import assert from "node:assert/strict";
import { ann, group, openNotifier, stranger, viewer } from "./_test_notifier.ts";
import { token, until } from "./_test_telegram.ts";

Deno.test("an event is told in every chat that wants it, and nowhere else", async () => {
  await using site = await openNotifier();
  site.emit({ type: "fog.window_closed", severity: "info", subject: "routine" });
  site.emit({ type: "share.refreshed", severity: "info", subject: "gw <1>" });
  site.emit({ type: "quorum.low", severity: "alarm", subject: "gw-2", detail: { left: 2 } });
  const [inGroup] = await until("the group is told", () => nonEmpty(site.telegram.in(group)));
  const [mine] = await until("Ann is told", () => nonEmpty(site.telegram.in(ann)));
  assert.match(inGroup!.text, /🔴 <b>gw-2<\/b> has no gateway to spare · \d\d:\d\d\n +left 2$/);
  assert.ok(!inGroup!.text.includes("shares"), inGroup!.text);
  assert.match(
    mine!.text,
    /^<b>kiosk-7<\/b> · 2 events\n🔴[^]+🔹 <b>gw &lt;1&gt;<\/b> has new shares/,
  );
  assert.ok(!mine!.text.includes("window"), mine!.text);
});

Deno.test("what ends changes the message of its beginning", async () => {
  await using site = await openNotifier();
  site.emit({ type: "fog.uplink_down", subject: "fog-1", detail: { detail: "no route" } });
  const [down] = await until("it is told", () => nonEmpty(site.telegram.in(group)));
  site.advance(720_000);
  site.emit({ type: "fog.uplink_up", severity: "info", subject: "fog-1" });
  await until("it is changed", () => down!.edits > 0);
  assert.match(
    down!.text,
    /✅ <b>fog-1<\/b> <s>does not reach the cloud<\/s> · \S+\n +reaches the cloud .+, after 12 min/,
  );
  // nobody is told a second time, not even who wants to hear of everything
  site.advance(60_000);
  site.emit({ type: "share.refreshed", severity: "info", subject: "later" });
  await until(
    "others are told",
    () => site.telegram.in(ann).find(({ text }) => text.includes("later")),
  );
  assert.equal(site.telegram.in(ann).filter(({ text }) => text.includes("fog-1")).length, 1);
  assert.equal(site.telegram.in(group).length, 1);
});

Deno.test("ten thousand events are a handful of messages", async () => {
  await using site = await openNotifier();
  for (let i = 0; i < 10_000; i++) {
    site.emit({ type: "reading.refused", subject: `meter-${i % 900}`, detail: { i } });
    if (i % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const counted = () => site.telegram.in(group).reduce((sum, { text }) => sum + countIn(text), 0);
  // the longer it goes on, the longer it takes: time that passes
  await until("all are told", () => (site.advance(60_000), counted() === 10_000));
  const messages = site.telegram.in(group);
  assert.ok(messages.length <= 10, `${messages.length} messages`);
});

Deno.test("what happened while Telegram was away is one message, also over a restart", async () => {
  await using site = await openNotifier();
  await until("it has begun", () => site.telegram.calls.includes("getUpdates"));
  site.telegram.trouble = () => "away";
  for (let i = 0; i < 50; i++) site.emit({ type: "reading.refused", subject: `meter-${i}` });
  await until("it is tried", () => site.telegram.calls.includes("sendMessage"));
  await site.restart();
  site.emit({ type: "reading.refused", subject: "meter-last" });
  site.advance(3_600_000);
  site.telegram.trouble = () => null;
  const messages = await until("it is told", () => nonEmpty(site.telegram.in(group)));
  await until("nothing is left", async () => {
    const { text } = await site.ask("/status");
    return JSON.parse(text).queued === 0;
  });
  // one may have been on its way already when the last event came
  assert.ok(site.telegram.in(group).length <= 2);
  assert.match(messages[0]!.text, /(50|51) events/);
  assert.equal(site.telegram.in(group).reduce((sum, { text }) => sum + countIn(text), 0), 51);
});

Deno.test("every command of a person who may is answered", async () => {
  await using site = await openNotifier();
  const { telegram } = site;
  const ask = async (text: string, pattern: RegExp, from = ann) => {
    const before = telegram.in(from === ann ? ann : group).length;
    telegram.says(text, { from, chat: from === ann ? ann : group });
    await until(
      `${text} is answered with ${pattern}`,
      () =>
        telegram.in(from === ann ? ann : group).slice(before).find((one) => pattern.test(one.text)),
    );
  };
  await ask("/start", /user <code>1001<\/code>, operator\.\nThis is chat <code>1001<\/code>/);
  await ask("/help", /\/boxes What boxes there are[^]*\/mute/);
  await ask("/whoami", /@user1001/);
  await ask("/status@test_bot", /kiosk-7/);
  await ask("/boxes <b>", /Boxes &lt;&lt;b&gt;&gt;<\/b>\n• <b>box &amp; co<\/b>/);
  await ask("/bill", /nobody offers it at this site\.\nthat would be the role cloud-summary/);
  await ask("/nothing", /no such command/);
  await ask("/pending", /Nothing waits/);
  await ask("/alerts", /Nothing has gone wrong/);
  await ask("/test", /It works/);
  await ask("/approve nobody", /nothing of this name waits/);
  await ask("/revoke nobody", /nobody here is called/);
  await ask("/mute 2h fog.uplink_down", /<b>fog\.uplink_down<\/b> until .+ \(1 h\)|\(2 h\)/);
  await ask("/unmute", /Everything is told/);
  await ask("/mute 9d", /at most 7d/);
  await ask("/help", /\/boxes/, viewer);
  await ask("/mute 1h", /needs the role operator/, viewer);
  const audit = await site.audited();
  assert.ok(audit.includes(`telegram.muted telegram:${ann} telegram:${ann}`));
  assert.ok(audit.includes(`telegram.refused telegram:${viewer} telegram`));
});

Deno.test("what is muted is not told until it is over, and alarms are", async () => {
  await using site = await openNotifier();
  site.telegram.says("/mute 2h", { from: ann, chat: group });
  await until("it is muted", () => nonEmpty(site.telegram.in(group)));
  site.emit({ type: "fog.uplink_down", subject: "fog-muted" });
  site.emit({ type: "fog.storage_full", severity: "alarm", subject: "fog-loud" });
  const loud = await until(
    "it is told",
    () => site.telegram.in(group).find(({ text }) => text.includes("fog-loud")),
  );
  assert.ok(!loud.text.includes("fog-muted"));
  site.advance(2 * 3_600_000 + 1_000);
  site.emit({ type: "fog.uplink_down", subject: "fog-later" });
  await until(
    "it is told again",
    () => site.telegram.in(group).find(({ text }) => text.includes("fog-later")),
  );
  assert.ok(!site.telegram.in(group).some(({ text }) => text.includes("fog-muted")));
});

Deno.test("/stop silences a chat for as long as nobody starts it, also over a restart", async () => {
  await using site = await openNotifier();
  const { telegram } = site;
  telegram.says("/stop", { from: ann });
  await until("it is stopped", () => telegram.in(ann).find(({ text }) => /any more/.test(text)));
  await site.restart();
  site.emit({ subject: "fog-silent" });
  await until("others are told", () => nonEmpty(telegram.in(group)));
  telegram.says("/start", { from: ann });
  await until(
    "it is started",
    () => telegram.in(ann).find(({ text }) => /What happens is told here/.test(text)),
  );
  site.emit({ subject: "fog-again" });
  await until("it is told", () => telegram.in(ann).find(({ text }) => text.includes("fog-again")));
  assert.ok(!telegram.in(ann).some(({ text }) => text.includes("fog-silent")));
});

Deno.test("a stranger is told who they are, once, and nothing else", async () => {
  await using site = await openNotifier();
  const { telegram } = site;
  for (const text of ["/status", "/devices", "/start"]) telegram.says(text, { from: stranger });
  telegram.says("/status", { from: ann, chat: -999 });
  telegram.says("/whoami", { from: ann });
  await until(
    "Ann has an answer",
    () => telegram.in(ann).find(({ text }) => /Ann|user1001/.test(text)),
  );
  assert.equal(telegram.in(stranger).length, 1);
  assert.match(telegram.in(stranger)[0]!.text, /user <code>666<\/code>/);
  assert.ok(!telegram.in(stranger)[0]!.text.includes("kiosk-7"));
  assert.match(telegram.in(-999)[0]!.text, /chat <code>-999<\/code>/);
  const audit = await site.audited();
  assert.ok(audit.includes(`telegram.refused telegram:${stranger} telegram`), audit.join("\n"));
});

Deno.test("what was forwarded or said long ago does nothing", async () => {
  await using site = await openNotifier();
  const { telegram } = site;
  telegram.says("/mute 1h", { from: ann, forward_origin: { type: "user" } });
  telegram.says("/mute 1h", { from: ann, date: Date.now() - 3_600_000 });
  await until("it is answered", () => telegram.in(ann).find(({ text }) => /long ago/.test(text)));
  telegram.says("/unmute", { from: ann });
  await until("it is answered", () => telegram.in(ann).find(({ text }) => /Everything/.test(text)));
  assert.ok(!(await site.audited()).some((line) => line.startsWith("telegram.muted")));
});

Deno.test("/revoke shuts out whom it names, and asks when there are two", async () => {
  await using site = await openNotifier();
  const { telegram, peers } = site;
  await peers.openJoin(60_000);
  const applicant = {
    key: new Uint8Array(32).fill(7),
    proof: "key" as const,
    words: "a b c d e f",
  };
  for (const kind of ["device", "meter"] as const) {
    const device = "pump-7" as never;
    await peers.apply(kind, { ...applicant, device });
    await peers.approve(kind, "pump-7", { words: applicant.words });
  }
  telegram.says("/revoke pump-7", { from: ann });
  await until(
    "it asks",
    () => telegram.in(ann).find(({ text }) => text.includes("/revoke meter/pump-7")),
  );
  telegram.says("/revoke meter/pump-7", { from: ann });
  await until(
    "it is done",
    () => telegram.in(ann).find(({ text }) => /meter\) is revoked/.test(text)),
  );
  assert.equal((await peers.find("meter", "pump-7" as never))!.state, "revoked");
  assert.equal((await peers.find("device", "pump-7" as never))!.state, "approved");
  assert.ok((await site.audited()).includes(`device.revoked telegram:${ann} pump-7`));
});

Deno.test("a refused token fails the role, is in no log, and a new one heals it", async () => {
  await using site = await openNotifier();
  site.telegram.trouble = () => ({ error_code: 401, description: "Unauthorized" });
  site.emit({});
  const failed = await until("it has failed", async () => {
    const { text } = await site.ask("/status");
    const { connected, last_error } = JSON.parse(text);
    return !connected && last_error !== null ? text : null;
  });
  assert.match(failed, /Telegram says \\"Unauthorized\\"/);
  site.telegram.trouble = () => "away";
  await until("it is away", () => site.telegram.calls.length > 20);
  site.telegram.trouble = () => null;
  await until("it is told", () => nonEmpty(site.telegram.in(group)));
  const secret = token.split(":")[1]!;
  const { text } = await site.ask("/status");
  for (const said of [...site.logged, failed, text]) assert.ok(!said.includes(secret), said);
});

Deno.test("a chat that is gone troubles no other, and has all when it is back", async () => {
  await using site = await openNotifier();
  site.telegram.trouble = (_, { chat_id }) =>
    chat_id === group ? { error_code: 403, description: "Forbidden: bot was kicked" } : null;
  site.emit({ subject: "fog-1" });
  await until("the other is told", () => nonEmpty(site.telegram.in(ann)));
  await until("it is known", async () => {
    const { text } = await site.ask("/status");
    return /bot was kicked/.test(JSON.parse(text).chats[1].trouble ?? "");
  });
  site.telegram.trouble = () => null;
  await until("it is told", () => nonEmpty(site.telegram.in(group)));
});

Deno.test("a group that has become a supergroup is written to under its new number", async () => {
  await using site = await openNotifier();
  site.telegram.trouble = (_, { chat_id }) =>
    chat_id !== group ? null : {
      ...{ error_code: 400, description: "Bad Request: group chat was upgraded" },
      parameters: { migrate_to_chat_id: -1_000_500 },
    };
  site.emit({ subject: "fog-1" });
  await until("it is told", () => nonEmpty(site.telegram.in(-1_000_500)));
  await site.restart();
  site.telegram.says("/whoami", { from: ann, chat: -1_000_500 });
  await until(
    "it is known",
    () => site.telegram.in(-1_000_500).find(({ text }) => /you are @user1001/.test(text)),
  );
});

Deno.test("a message whose markup Telegram does not take does not hold up the next", async () => {
  await using site = await openNotifier();
  site.telegram.trouble = (method) =>
    method === "sendMessage"
      ? { error_code: 400, description: "Bad Request: can't parse entities" }
      : null;
  site.emit({ subject: "fog-1" });
  await until("it is refused", () => site.logged.some((line) => line.includes("does not take")));
  site.telegram.trouble = () => null;
  site.advance(60_000);
  site.emit({ subject: "fog-2" });
  await until(
    "the next is told",
    () => site.telegram.in(group).find(({ text }) => text.includes("fog-2")),
  );
});

/** Of how many events a message tells. */
function countIn(text: string): number {
  return Number(/ ×(\d+) · \d/.exec(text)?.[1] ?? 1);
}

function nonEmpty<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}
