/** Questions in chats, in a real site: who may decide, that it happens once, and what the messages show. */
import assert from "node:assert/strict";
import { CodedError } from "../../core/base/errors.ts";
import {
  ann,
  bob,
  group,
  openNotifier,
  stranger,
  type TestNotifier,
  viewer,
} from "./_test_notifier.ts";
import { PatienceError } from "./patient_desk.ts";
import { type Sent, until } from "./_test_telegram.ts";

/** Has something asked, and gives its messages in both chats. */
async function asked(site: TestNotifier, id = "box/b-1/1111"): Promise<[mine: Sent, ours: Sent]> {
  site.docket.ask(id);
  site.look();
  const in_ = (chat: number) =>
    until(
      `${id} is asked in ${chat}`,
      () => site.telegram.in(chat).find(({ text }) => text.includes(`${id} wants`)),
    );
  return [await in_(ann), await in_(group)];
}

const answered = (site: TestNotifier, pattern: RegExp) =>
  until(
    `a press is answered with ${pattern}`,
    () => site.telegram.answers.find(({ text }) => pattern.test(text)),
  );

Deno.test("who may approves with a button, and every chat shows it", async () => {
  await using site = await openNotifier();
  const [mine, ours] = await asked(site);
  assert.deepEqual(mine.buttons.map(({ text }) => text), ["Approve", "Deny"]);
  assert.ok(mine.buttons.every(({ data }) => new TextEncoder().encode(data).length <= 64));
  assert.notEqual(mine.buttons[0]!.data, ours.buttons[0]!.data);
  site.telegram.presses("Approve", ours, { from: bob });
  await answered(site, /^Approved by @user1002 \d\d:\d\d$/);
  for (const message of [mine, ours]) {
    await until("the message shows it", () => /✅ Approved by @user1002/.test(message.text));
    assert.deepEqual(message.buttons, []);
  }
  assert.deepEqual(site.docket.decided, [`approve box/b-1/1111 telegram:${bob}`]);
  const audit = await site.audited();
  assert.ok(audit.includes(`telegram.approve telegram:${bob} box/box/b-1/1111`), audit.join("\n"));
});

Deno.test("strangers and viewers decide nothing, and it is on record", async () => {
  await using site = await openNotifier();
  const [, ours] = await asked(site);
  site.telegram.presses("Approve", ours, { from: stranger });
  assert.ok((await answered(site, /not for you to decide\. You are user 666/)).alert);
  site.telegram.presses("Deny", ours, { from: viewer });
  assert.ok((await answered(site, /needs the role operator; you are viewer/)).alert);
  assert.deepEqual(site.docket.decided, []);
  assert.equal(ours.buttons.length, 2);
  const audit = await site.audited();
  for (const who of [stranger, viewer]) {
    assert.ok(audit.includes(`telegram.refused telegram:${who} telegram`), audit.join("\n"));
  }
});

Deno.test("a button counts in its own chat only, and one that nobody made nowhere", async () => {
  await using site = await openNotifier();
  const [mine, ours] = await asked(site);
  site.telegram.pressesData(mine.buttons[0]!.data, ours, { from: bob });
  site.telegram.pressesData(`a:${"A".repeat(22)}`, ours, { from: bob });
  site.telegram.pressesData("something else", ours, { from: bob });
  await until("all are answered", () => site.telegram.answers.length === 3);
  assert.ok(site.telegram.answers.every(({ text }) => text.startsWith("This is over")));
  assert.deepEqual(site.docket.decided, []);
});

Deno.test("a right is looked at when the button is pressed", async () => {
  await using site = await openNotifier();
  const [, ours] = await asked(site);
  await site.restart(`
    chats = [${ann}, ${group}]
    users = { "${bob}" = "viewer" }
    group_within = "100ms"`);
  site.telegram.presses("Approve", ours, { from: bob });
  await answered(site, /needs the role operator/);
  site.telegram.presses("Approve", ours, { from: ann });
  await answered(site, /not for you/);
  assert.deepEqual(site.docket.decided, []);
});

Deno.test("however many press, it is decided once", async () => {
  await using site = await openNotifier();
  const [mine, ours] = await asked(site);
  const copies = [{ ...mine }, { ...ours }, { ...ours }];
  for (const [i, copy] of copies.entries()) {
    site.telegram.presses(i === 2 ? "Deny" : "Approve", copy, { from: i === 0 ? ann : bob });
  }
  await until("all are answered", () => site.telegram.answers.length === 3);
  assert.deepEqual(site.docket.decided, [`approve box/b-1/1111 telegram:${ann}`]);
  const again = site.telegram.answers.filter(({ text }) =>
    /decide again: Approved by @user1001/.test(text)
  );
  assert.equal(again.length, 2);
});

Deno.test("what is decided elsewhere, and what is gone, is shown to be over", async () => {
  await using site = await openNotifier();
  const [mine] = await asked(site);
  const [other] = await asked(site, "box/b-2/2222");
  site.docket.end("box/b-1/1111", { verdict: "denied", by: "site" });
  site.docket.end("box/b-2/2222", { verdict: "gone", by: null });
  site.look();
  await until("it is shown", () => /❌ Denied by the operator of this machine/.test(mine.text));
  await until("it is shown", () => /⌛ Over: it does not wait any more/.test(other.text));
  assert.deepEqual([mine.buttons, other.buttons], [[], []]);
});

Deno.test("buttons lapse, and what waits still can be decided by its name", async () => {
  await using site = await openNotifier();
  const [mine] = await asked(site);
  const late = { ...mine };
  site.advance(25 * 3_600_000);
  site.telegram.presses("Approve", late, { from: ann });
  assert.ok((await answered(site, /too old/)).alert);
  await until("it is shown", () => /Not decided in time/.test(mine.text));
  assert.deepEqual(mine.buttons, []);
  assert.deepEqual(site.docket.decided, []);
  const [, command] = /(\/approve_[a-z2-9]{8})/.exec(mine.text)!;
  site.telegram.says(command!, { from: ann, date: Date.now() + 25 * 3_600_000 });
  await until("it is decided", () => site.docket.decided.length === 1);
  await until("it is shown", () => /✅ Approved/.test(mine.text));
});

Deno.test("a flood of questions is ten messages, and one for all others", async () => {
  await using site = await openNotifier();
  for (let i = 0; i < 47; i++) site.docket.waiting.push(questionOf(i));
  site.look();
  const more = await until(
    "it says how many more",
    () =>
      site.telegram.in(ann).find(({ text }) =>
        /and 37 more wait for a decision: \/pending/.test(text)
      ),
  );
  assert.equal(site.telegram.in(ann).length, 11);
  // however long it takes: as many as are open are enough
  site.advance(900_000);
  site.look();
  site.emit({ subject: "fog-later" });
  await until(
    "news come after questions",
    () => site.telegram.in(ann).find(({ text }) => text.includes("fog-later")),
  );
  assert.equal(site.telegram.in(ann).length, 12);
  site.docket.waiting = [];
  site.look();
  site.advance(60_000);
  await until("it says that no more wait", () => /nothing more waits/.test(more.text));
  assert.equal(site.telegram.in(ann).length, 12);
});

Deno.test("a decision whose messages could not be changed is made once, and shown after a restart", async () => {
  await using site = await openNotifier();
  const [mine, ours] = await asked(site);
  site.telegram.trouble = (method) => method === "editMessageText" ? "away" : null;
  site.telegram.presses("Approve", ours, { from: bob });
  await answered(site, /^Approved/);
  await site.restart();
  site.telegram.trouble = () => null;
  for (const { id } of [mine, ours]) {
    await until(
      "it is shown",
      () =>
        site.telegram.messages.find((one) =>
          one.id === id && /Approved by @user1002/.test(one.text)
        ),
    );
  }
  assert.equal(site.docket.decided.length, 1);
});

Deno.test("a decision that was on record and had no effect has it after a restart", async () => {
  await using site = await openNotifier();
  const [mine] = await asked(site);
  site.docket.trouble = () => new Promise(() => {});
  site.telegram.presses("Deny", mine, { from: ann });
  await answered(site, /under way/);
  site.docket.trouble = null; // the one that hangs goes on hanging
  await site.restart();
  await until("it is shown", () => /❌ Denied by @user1001/.test(mine.text));
  assert.deepEqual(site.docket.decided, [`deny box/b-1/1111 telegram:${ann}`]);
});

Deno.test("a decision of which nobody knows whether it had an effect is asked for again", async () => {
  await using site = await openNotifier();
  const [mine] = await asked(site);
  site.docket.trouble = () =>
    Promise.reject(new PatienceError("too_slow", "Cannot wait: too slow"));
  site.telegram.presses("Approve", mine, { from: ann });
  await answered(site, /too slow/);
  site.telegram.presses("Deny", mine, { from: bob });
  await answered(site, /somebody is deciding it/);
  site.docket.trouble = null;
  await until("it is shown", () => /✅ Approved by @user1001/.test(mine.text));
  assert.deepEqual(site.docket.decided, [`approve box/b-1/1111 telegram:${ann}`]);
});

Deno.test("a decision that fails leaves the question open", async () => {
  await using site = await openNotifier();
  const [mine] = await asked(site);
  site.docket.trouble = () => Promise.reject(new CodedError("full", "Cannot admit: no room"));
  site.telegram.presses("Approve", mine, { from: ann });
  assert.ok((await answered(site, /Cannot admit: no room/)).alert);
  site.docket.trouble = null;
  site.telegram.presses("Approve", mine, { from: ann });
  await answered(site, /^Approved/);
});

Deno.test("/pending names what waits, and a name that others may bear decides nothing", async () => {
  await using site = await openNotifier();
  await asked(site);
  site.telegram.says("/approve b-1", { from: ann });
  const choice = await until(
    "it asks which",
    () => site.telegram.in(ann).find(({ text }) => /\/deny_[a-z2-9]{8}/.test(text)),
  );
  assert.match(choice.text, /1111-box\/b-1\/1111/);
  assert.deepEqual(site.docket.decided, []);
  site.telegram.says(/\/deny_[a-z2-9]{8}/.exec(choice.text)![0], { from: viewer, chat: group });
  await until(
    "a viewer may not",
    () => site.telegram.in(group).find(({ text }) => /needs the role operator/.test(text)),
  );
  site.telegram.says("/deny box/b-1/1111", { from: ann });
  await until("it is decided", () => site.docket.decided.length === 1);
  site.telegram.says("/pending", { from: ann });
  await until(
    "nothing waits",
    () => site.telegram.in(ann).find(({ text }) => /Nothing waits/.test(text)),
  );
});

Deno.test("somebody who was denied and asks again is asked about again", async () => {
  await using site = await openNotifier();
  const [mine] = await asked(site);
  site.telegram.presses("Deny", mine, { from: ann });
  await answered(site, /^Denied/);
  site.docket.waiting.push({ ...questionOf(0), id: "box/b-1/1111", asked: Date.now() + 60_000 });
  site.look();
  const second = await until(
    "it is asked again",
    () => site.telegram.in(ann).find(({ id, buttons }) => id !== mine.id && buttons.length > 0),
  );
  assert.notEqual(second.buttons[0]!.data, mine.buttons[0]?.data);
});

Deno.test("a question that was sent twice, its answer lost, is over in both messages", async () => {
  await using site = await openNotifier();
  let lost = false;
  site.telegram.trouble = (method, { chat_id }) => {
    if (lost || method !== "sendMessage" || chat_id !== ann) return null;
    lost = true;
    return "lost";
  };
  site.docket.ask("box/b-1/1111");
  site.look();
  const copies = await until("it is there twice", () => {
    const all = site.telegram.in(ann);
    return all.length === 2 ? all : null;
  });
  await until("it is known", () => site.telegram.in(group).length === 1);
  site.telegram.presses("Approve", copies[0]!, { from: ann });
  for (const copy of copies) {
    await until("it is shown", () => /✅ Approved/.test(copy.text));
    assert.deepEqual(copy.buttons, []);
  }
  assert.equal(site.docket.decided.length, 1);
});

Deno.test("a question that Telegram does not take is not sent for ever", async () => {
  await using site = await openNotifier();
  const refused = { error_code: 400, description: "Bad Request: message is too strange" };
  let refusals = 0;
  site.telegram.trouble = (_, { reply_markup }) =>
    reply_markup === undefined ? null : (refusals++, refused);
  site.docket.ask("box/b-1/1111");
  site.look();
  await until("both chats refuse it", () => refusals >= 2);
  site.emit({ subject: "fog-later" });
  for (const chat of [ann, group]) {
    await until(
      "what comes after it is told",
      () => site.telegram.in(chat).find(({ text }) => text.includes("fog-later")),
    );
  }
  assert.equal(refusals, 2);
});

function questionOf(i: number) {
  return { id: `box/x-${i}/${i}`, title: `x-${i}`, facts: [], asked: Date.now(), expires: null };
}
