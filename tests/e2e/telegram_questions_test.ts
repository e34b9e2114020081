/**
 * Questions with two buttons, from the device that waits to the person who presses and back: who may
 * decide is looked up when the button is pressed, a decision is made once, and every chat shows what
 * became of it, whoever has made it and wherever.
 */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { httpDoor } from "./_doors.ts";
import { Stranger } from "./_stranger.ts";
import { startTelegramSite, type TelegramSite } from "./_telegram_site.ts";
import { eventually } from "./_test_site.ts";
import type { Message } from "./bot_api.ts";

const id = parseId("pump-7");
const hour = 3_600_000;
const operators = (...ids: number[]) => `{ ${ids.map((id) => `"${id}" = "operator"`).join(", ")} }`;

Deno.test("a device that waits is let in by a button, and both chats say by whom", async () => {
  await using telegram = await startTelegramSite({ tables: "[plugins.fog-aggregator]" });
  const { api, site, people: { ann, bob } } = telegram;
  await using door = await httpDoor(site, "meter", { id, url: site.url });
  await telegram.ask("/peers/join", { method: "POST", body: { for_ms: hour } });
  const device = new Stranger(id, door);
  const { words, session } = await device.meet();
  const question = await asked(telegram, ann.id, /pump-7 wants to join/);
  assert.ok(question.text.includes(device.fingerprint), question.text);
  assert.ok(question.text.includes(words), question.text);
  assert.deepEqual(question.buttons.flat().map(({ text }) => /Approve|Deny/.exec(text)?.[0]), [
    "Approve",
    "Deny",
  ]);

  // who only looks decides nothing
  const shown = await asked(telegram, bob.id, /pump-7 wants to join/);
  assert.match((await bob.presses(shown, "Approve")).text, /operator/);
  assert.equal(session.joined(await door.exchange(session.enrol())), "pending");

  await ann.presses(question, "Approve");
  assert.equal(session.joined(await door.exchange(session.enrol())), "pump-house");
  for (const chat of [ann.id, bob.id]) {
    const { buttons } = await api.sees(chat, /pump-7[^]*Approved by @?ann/i);
    assert.deepEqual(buttons, []);
  }
  assert.deepEqual(await decisionsIn(telegram), [["device.approved", `telegram:${ann.id}`, id]]);
  assert.equal(
    (await site.rows("SELECT * FROM audit WHERE actor = 'telegram:1002'")).length,
    1,
    "what was refused is on record",
  );
});

Deno.test("a device that is denied stays away, and asks nobody again", async () => {
  await using telegram = await startTelegramSite({ tables: "[plugins.fog-aggregator]" });
  const { api, site, people: { ann } } = telegram;
  await using door = await httpDoor(site, "meter", { id, url: site.url });
  await telegram.ask("/peers/join", { method: "POST", body: { for_ms: hour } });
  const device = new Stranger(id, door);
  await device.meet();
  await ann.presses(await asked(telegram, ann.id, /pump-7 wants to join/), "Deny");
  const { id: told } = await api.sees(ann.id, /pump-7[^]*Denied by @?ann/i);
  await assert.rejects(device.meet());
  // another one is asked about after it, so the first was not
  await new Stranger(parseId("pump-8"), door).meet();
  await asked(telegram, ann.id, /pump-8 wants to join/);
  const again = api.told(ann.id).filter(({ id, text }) => id > told && /pump-7 wants/.test(text));
  assert.deepEqual(again, []);
});

Deno.test("a decision on the command line takes the buttons away in Telegram", async () => {
  await using telegram = await startTelegramSite({ tables: "[plugins.fog-aggregator]" });
  const { api, site, people: { ann } } = telegram;
  await using door = await httpDoor(site, "meter", { id, url: site.url });
  await telegram.ask("/peers/join", { method: "POST", body: { for_ms: hour } });
  const { words } = await new Stranger(id, door).meet();
  const question = await asked(telegram, ann.id, /pump-7 wants to join/);
  await telegram.ask(`/peers/meter/${id}/approve`, { method: "POST", body: { words } });
  const edited = await api.sees(ann.id, /pump-7[^]*Approved/i);
  assert.deepEqual([edited.id, edited.buttons], [question.id, []]);
  // who has not seen that yet hears it, and changes nothing
  const { text } = await ann.presses(question, "Deny");
  assert.match(text, /approved|decided|already|over/i);
  assert.deepEqual(await decisionsIn(telegram), []);
});

Deno.test("who may decide is looked up when the button is pressed, not when the question came", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann } } = telegram;
  drill.wonder("r-1");
  const question = await asked(telegram, ann.id, /rollout r-1/);
  assert.ok(question.text.includes("<b>&amp;</b>"), "what a role says is text, not markup");
  await telegram.configure({ users: `{ "${ann.id}" = "viewer" }` });
  const { text } = await ann.presses(question, "Approve");
  assert.match(text, /operator/);
  assert.deepEqual(drill.decisions, []);

  // the question is still there, for somebody who may
  await telegram.configure({ users: operators(ann.id) });
  await ann.presses(question, "Approve");
  await api.sees(ann.id, /r-1[^]*Approved/i);
  assert.deepEqual(drill.decisions, [
    { id: "r-1", verdict: "approve", actor: `telegram:${ann.id}` },
  ]);
});

Deno.test("a stranger in the group presses in vain, and a chat that is no longer told as well", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann, eve } } = telegram;
  const group = api.group("Pumps", [ann, eve]);
  await telegram.configure({ chats: `[${group.id}]`, users: operators(ann.id) });
  drill.wonder("r-1");
  const question = await asked(telegram, group.id, /rollout r-1/);
  await eve.presses(question, "Approve");
  await telegram.configure({ chats: `[${ann.id}]`, users: operators(ann.id, eve.id) });
  await ann.presses(question, "Approve");
  assert.deepEqual(drill.decisions, []);
});

Deno.test("of two people who press at once one decides, and a second press is told so", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann, bob } } = telegram;
  const group = api.group("Pumps", [ann, bob]);
  await telegram.configure({ chats: `[${group.id}]`, users: operators(ann.id, bob.id) });
  drill.wonder("r-1");
  const question = await asked(telegram, group.id, /rollout r-1/);
  await Promise.all([
    ann.presses(question, "Approve"),
    bob.presses(question, "Deny"),
    ann.presses(question, "Approve"),
  ]);
  const { text } = await api.sees(group.id, /r-1[^]*(Approved|Denied) by/i);
  await bob.presses(question, "Deny");
  assert.equal(drill.decisions.length, 1, JSON.stringify(drill.decisions));
  const [{ verdict, actor }] = drill.decisions as [typeof drill.decisions[0]];
  assert.match(text, verdict === "approve" ? /Approved by @?ann/i : /Denied by @?bob/i);
  assert.equal(actor, `telegram:${verdict === "approve" ? ann.id : bob.id}`);
  const told = api.told(group.id).filter(({ text }) => text.includes("r-1"));
  assert.equal(told.filter(({ text }) => /Approved by|Denied by/i.test(text)).length, 1);
});

Deno.test("a question that is over takes its buttons along, and late presses do nothing", async () => {
  await using telegram = await startTelegramSite({ table: { ask_within: '"1s"' } });
  const { api, site, drill, people: { ann } } = telegram;
  drill.wonder("r-1");
  const question = await asked(telegram, ann.id, /rollout r-1/);
  site.advance(2_000);
  drill.wonder("r-2"); // whatever happens, it looks again
  await eventually("the buttons are gone", () => {
    const now = api.told(ann.id).find(({ id }) => id === question.id);
    return now?.buttons.length === 0 || undefined;
  }, 60_000);
  await ann.presses(question, "Approve");
  assert.deepEqual(drill.decisions.filter(({ id }) => id === "r-1"), []);
});

Deno.test("a question that its role has dropped is shown as gone", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann } } = telegram;
  drill.wonder("r-1");
  const question = await asked(telegram, ann.id, /rollout r-1/);
  drill.end("r-1", { verdict: "gone", by: null });
  drill.wonder("r-2");
  await eventually("the buttons are gone", () => {
    const now = api.told(ann.id).find(({ id }) => id === question.id);
    return now?.buttons.length === 0 || undefined;
  });
});

Deno.test("a crowd of questions is a few messages and a number", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann } } = telegram;
  for (let i = 1; i <= 60; i++) drill.wonder(`r-${i}`);
  const { text } = await api.sees(ann.id, /\d+ more[^]*\/pending/);
  const questions = () => api.told(ann.id).filter(({ buttons }) => buttons.length > 0).length;
  const left = Number(/(\d+) more/.exec(text)![1]);
  await eventually("all are told of", () => questions() + left === 60 || undefined, 60_000);
  assert.ok(questions() <= 10, `${questions()} messages`);
});

/** The question in a chat, with its buttons. */
async function asked({ api }: TelegramSite, chat: number, what: RegExp): Promise<Message> {
  return await eventually(
    `chat ${chat} is asked ${what}: ${JSON.stringify(api.told(chat).map(({ text }) => text))}`,
    () => api.told(chat).findLast(({ text, buttons }) => what.test(text) && buttons.length > 0),
    60_000,
  );
}

/** What people in Telegram have decided, as the site has it on record. */
async function decisionsIn({ site }: TelegramSite) {
  const rows = await site.rows(
    "SELECT type, actor, subject FROM audit WHERE actor LIKE 'telegram:%' AND type LIKE 'device.%'",
  );
  return rows.map(({ type, actor, subject }) => [type, actor, subject]);
}
