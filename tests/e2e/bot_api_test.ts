/** The Bot API server for tests, held to what Telegram documents: a test against a lenient one proves nothing. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseHtml } from "./_bot_html.ts";
import { eventually } from "./_test_site.ts";
import { BotApi } from "./bot_api.ts";

interface Answer {
  readonly ok: boolean;
  // deno-lint-ignore no-explicit-any -- what a method gives is its own
  readonly result?: any;
  readonly error_code?: number;
  readonly description?: string;
  readonly parameters?: Record<string, number>;
}

class Client implements Disposable {
  readonly #api: BotApi;
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

  constructor(api: BotApi) {
    this.#api = api;
  }

  async call(method: string, params: object = {}, token = this.#api.token): Promise<Answer> {
    // a Blob, because a text would be sent again when the connection breaks
    const body = new Blob([JSON.stringify(params)], { type: "application/json" });
    const client = this.#client;
    const url = `${this.#api.url}/bot${token}/${method}`;
    const response = await fetch(url, { method: "POST", body, client });
    const answer = await response.json() as Answer;
    assert.equal(response.status, answer.error_code ?? 200);
    assert.equal(answer.ok, response.ok);
    return answer;
  }

  async done(method: string, params: object = {}) {
    const { ok, result, description } = await this.call(method, params);
    assert.ok(ok, `${description}`);
    return result;
  }

  async refused(status: number, why: RegExp, [method, params]: [string, object]) {
    const { error_code, description, parameters } = await this.call(method, params);
    assert.equal(error_code, status, `${description}`);
    assert.match(description!, why);
    return parameters;
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

Deno.test("the Bot API server knows its token and its methods", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  assert.match(api.token, /^\d{6,12}:[\w-]{35,}$/);
  const { is_bot, username } = await client.done("getMe");
  assert.deepEqual([is_bot, username], [true, "edgeward_test_bot"]);
  const wrong = await client.call("getMe", {}, `${api.token.split(":")[0]}:${"A".repeat(35)}`);
  assert.deepEqual([wrong.error_code, wrong.description], [401, "Unauthorized"]);
  await client.refused(404, /^Not Found: method not found$/, ["sendNothing", {}]);
  await client.refused(404, /^Not Found: method not found$/, ["constructor", {}]);
  assert.equal(api.count("getMe"), 1);
});

Deno.test("an update comes again until a later offset confirms it", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  const ann = api.person(1, "Ann");
  ann.says("/start@edgeward_test_bot now");
  ann.says("two");
  const first = await client.done("getUpdates");
  assert.deepEqual(first.map(({ message }: { message: { text: string } }) => message.text), [
    "/start@edgeward_test_bot now",
    "two",
  ]);
  assert.deepEqual(first[0].message.entities, [{ type: "bot_command", offset: 0, length: 24 }]);
  assert.deepEqual(await client.done("getUpdates", { limit: 1 }), [first[0]]);
  const offset = first[1].update_id;
  assert.deepEqual(await client.done("getUpdates", { offset }), [first[1]]);
  assert.deepEqual(await client.done("getUpdates", { offset: 0 }), [first[1]]);
  assert.deepEqual(await client.done("getUpdates", { offset: offset + 1 }), []);
  assert.deepEqual(await client.done("getUpdates"), []);
  ann.says("three");
  ann.says("four");
  const [last] = await client.done("getUpdates", { offset: -1 });
  assert.equal(last.message.text, "four");
  assert.deepEqual(await client.done("getUpdates"), [last], "-1 has forgotten what was before it");
});

Deno.test("a request that waits hears of an update, and ends when another one comes to wait", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  const ann = api.person(1, "Ann");
  const waiting = client.done("getUpdates", { timeout: 50 });
  await eventually("it waits", () => api.isPolled || undefined);
  ann.says("hello");
  const [{ update_id, message }] = await waiting;
  assert.equal(message.text, "hello");
  const offset = update_id + 1;
  const old = client.call("getUpdates", { offset, timeout: 50 });
  await eventually("it waits", () => api.isPolled || undefined);
  const young = client.done("getUpdates", { offset, timeout: 50 });
  const { error_code, description } = await old;
  assert.equal(error_code, 409);
  assert.match(description!, /^Conflict: terminated by other getUpdates request/);
  ann.says("again");
  assert.equal((await young)[0].message.text, "again");
});

Deno.test("what a bot did not ask for it is not told, and groups tell it what is meant for it", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  const ann = api.person(1, "Ann");
  assert.deepEqual(await client.done("getUpdates", { allowed_updates: ["callback_query"] }), []);
  ann.says("unheard");
  assert.deepEqual(await client.done("getUpdates", { allowed_updates: [] }), []);
  const { id: chat } = api.group("Pumps", [ann]);
  ann.says("chatter", { chat });
  ann.says("/status@another_bot", { chat });
  ann.says("/status", { chat });
  ann.says("/status@edgeward_test_bot", { chat });
  const updates = await client.done("getUpdates") as { message: { text: string; chat: object } }[];
  assert.deepEqual(updates.map(({ message }) => message.text), [
    "/status",
    "/status@edgeward_test_bot",
  ]);
  assert.deepEqual(updates[0]!.message.chat, { id: chat, type: "group", title: "Pumps" });
});

Deno.test("a text is read as HTML, measured after that, and refused with a reason", async () => {
  await using api = await BotApi.start({ limits: false });
  using client = new Client(api);
  const chat_id = api.person(1, "Ann").says("/start").chat;
  const html = (text: string) => ({ chat_id, text, parse_mode: "HTML" });
  const sent = await client.done("sendMessage", html("<b>a &lt; b</b> &amp; <code>x</code> \n"));
  assert.equal(sent.text, "a < b & x");
  assert.deepEqual(sent.entities, [
    { type: "bold", offset: 0, length: 5 },
    { type: "code", offset: 8, length: 1 },
  ]);
  const refusals: [string, RegExp][] = [
    ["1 < 2", /can't parse entities: Unclosed start tag at byte offset 2$/],
    ["ü <p>x</p>", /Unsupported start tag "p" at byte offset 3$/],
    ["<b>x", /Can't find end tag corresponding to start tag "b"$/],
    ["<b><i>x</b></i>", /Unmatched end tag at byte offset 7, expected "<\/i>", found "<\/b>"$/],
    ["x</b>", /Unexpected end tag at byte offset 1$/],
    ["<span>x</span>", /must have class "tg-spoiler"/],
    ["<b> </b>\n", /text must be non-empty$/],
    ["", /message text is empty$/],
    [`<b>${"x".repeat(4_097)}</b>`, /message is too long$/],
  ];
  for (const [text, why] of refusals) await client.refused(400, why, ["sendMessage", html(text)]);
  await client.done("sendMessage", html(`<b>${"&amp;".repeat(4_096)}</b>`));
  await client.done("sendMessage", { chat_id, text: "1 < 2" });
  await client.refused(400, /unsupported parse_mode/, [
    "sendMessage",
    { chat_id, text: "x", parse_mode: "Markdown" },
  ]);
});

Deno.test("parseHtml() gives back what was escaped, whatever it was", () => {
  const escape = (text: string) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string(), (inside, after) => {
    const { text, entities } = parseHtml(`<b>${escape(inside)}</b>${escape(after)}`);
    assert.equal(text, inside + after);
    const bold = { type: "bold", offset: 0, length: inside.length };
    assert.deepEqual(entities, inside === "" ? [] : [bold]);
  }));
  const link = parseHtml(
    '<a href="https://x.example/?a&amp;b">here</a> <tg-spoiler>&#33;&#x21;</tg-spoiler>',
  );
  assert.deepEqual(link, {
    text: "here !!",
    entities: [
      { type: "text_link", offset: 0, length: 4, url: "https://x.example/?a&b" },
      { type: "spoiler", offset: 5, length: 2 },
    ],
  });
});

Deno.test("buttons are checked, pressed once answered, and gone when an edit does not name them", async () => {
  await using api = await BotApi.start({ limits: false });
  using client = new Client(api);
  const ann = api.person(1, "Ann");
  const chat_id = ann.says("/start").chat;
  const keyboard = (callback_data: string) => ({
    reply_markup: { inline_keyboard: [[{ text: "Yes", callback_data }]] },
  });
  for (const data of ["", "x".repeat(65), "ü".repeat(33)]) {
    const params = { chat_id, text: "x", ...keyboard(data) };
    await client.refused(400, /BUTTON_DATA_INVALID$/, ["sendMessage", params]);
  }
  const question = { chat_id, text: "May it?", ...keyboard("x".repeat(64)) };
  const { message_id } = await client.done("sendMessage", question);
  const seen = await api.sees(1, /May it/);
  const pressed = ann.presses(seen, "Yes");
  const updates = await client.done("getUpdates");
  const { callback_query } = updates.at(-1);
  assert.deepEqual(
    [callback_query.data, callback_query.message.message_id, callback_query.from.id],
    [
      "x".repeat(64),
      message_id,
      1,
    ],
  );
  const answer = { callback_query_id: callback_query.id, text: "Noted" };
  await client.done("answerCallbackQuery", answer);
  assert.deepEqual(await pressed, { text: "Noted", alert: false });
  await client.refused(400, /query ID is invalid$/, ["answerCallbackQuery", answer]);

  const edit = { chat_id, message_id, text: "May it?" };
  const same = { ...edit, ...keyboard("x".repeat(64)) };
  await client.refused(400, /^Bad Request: message is not modified/, ["editMessageText", same]);
  const edited = await client.done("editMessageText", edit);
  assert.equal(edited.reply_markup, undefined);
  assert.deepEqual([api.told(1)[0]!.buttons, api.told(1)[0]!.edits], [[], 1]);
  assert.equal(seen.buttons.length, 1, "who has not heard of the edit sees what was there");
  await client.refused(400, /message is not modified/, ["editMessageReplyMarkup", edit]);
  await client.refused(400, /message to edit not found$/, ["editMessageText", {
    ...edit,
    message_id: 99,
  }]);
  await client.refused(400, /message can't be edited$/, ["editMessageText", {
    ...edit,
    message_id: 1,
  }]);
  await client.done("deleteMessage", { chat_id, message_id });
  await client.refused(400, /message to delete not found$/, ["deleteMessage", {
    chat_id,
    message_id,
  }]);
});

Deno.test("a bot writes to nobody who did not begin, or who has blocked it", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  const ann = api.person(1, "Ann");
  const text = { chat_id: 1, text: "hello" };
  await client.refused(400, /^Bad Request: chat not found$/, ["sendMessage", text]);
  ann.says("/start");
  await client.done("sendMessage", text);
  assert.equal((await client.done("getChat", { chat_id: 1 })).first_name, "Ann");
  ann.blocks();
  await client.refused(403, /^Forbidden: bot was blocked by the user$/, ["sendMessage", text]);
  ann.blocks(false);
  await client.done("sendMessage", text);
});

Deno.test("a group that has become a supergroup names it", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  const group = api.group("Pumps", [api.person(1, "Ann")]);
  const text = { chat_id: group.id, text: "hello" };
  const { message_id } = await client.done("sendMessage", text);
  const next = api.upgrade(group);
  const parameters = await client.refused(400, /group chat was upgraded to a supergroup chat$/, [
    "sendMessage",
    text,
  ]);
  assert.deepEqual(parameters, { migrate_to_chat_id: next.id });
  await client.done("sendMessage", { ...text, chat_id: next.id });
  const edit = { chat_id: group.id, message_id, text: "x" };
  await client.refused(400, /upgraded/, ["editMessageText", edit]);
  const [one, two] = await client.done("getUpdates");
  assert.equal(one.message.migrate_to_chat_id, next.id);
  assert.equal(two.message.migrate_from_chat_id, group.id);
  next.topics.add(7);
  await client.done("sendMessage", { ...text, chat_id: next.id, message_thread_id: 7 });
  await client.refused(400, /message thread not found$/, [
    "sendMessage",
    { ...text, chat_id: next.id, message_thread_id: 8 },
  ]);
});

Deno.test("a flood is told how long to wait: one chat, a group, all together", async () => {
  let now = 1_000_000;
  await using api = await BotApi.start({ clock: () => now });
  using client = new Client(api);
  const send = (chat_id: number) => client.call("sendMessage", { chat_id, text: "x" });
  api.person(1, "Ann").says("/start");
  for (let i = 0; i < 5; i++) assert.ok((await send(1)).ok);
  const { error_code, description, parameters } = await send(1);
  assert.deepEqual([error_code, description, parameters], [
    429,
    "Too Many Requests: retry after 1",
    { retry_after: 1 },
  ]);
  now += 1_000;
  assert.ok((await send(1)).ok);

  const { id } = api.group("Pumps", []);
  for (let i = 0; i < 20; i++) {
    assert.ok((await send(id)).ok);
    now += 1_000;
  }
  let sent = 20;
  for (let i = 0; i < 40; i++, now += 1_000) if ((await send(id)).ok) sent++;
  assert.ok(sent >= 36 && sent <= 40, `${sent} in a minute`);

  now += 60_000;
  let wait = 0;
  for (let i = 2; i < 40; i++) {
    api.person(i, `P${i}`).says("/start");
    wait = Math.max(wait, (await send(i)).parameters?.retry_after ?? 0);
  }
  assert.equal(wait, 1);
  assert.equal(api.count("sendMessage"), 6 + sent + 30);
});

Deno.test("the commands of a bot are names and short lines", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  const commands = [{ command: "status", description: "how it is" }];
  await client.done("setMyCommands", { commands });
  await client.done("setMyCommands", { commands: [], scope: { type: "chat", chat_id: 1 } });
  assert.deepEqual(await client.done("getMyCommands"), commands);
  assert.deepEqual([...api.commands.keys()], ["default", "chat 1"]);
  await client.refused(400, /BOT_COMMAND_INVALID$/, [
    "setMyCommands",
    { commands: [{ command: "Status", description: "x" }] },
  ]);
});

Deno.test("the server breaks connections before and after the deed, hangs, and is away", async () => {
  await using api = await BotApi.start();
  using client = new Client(api);
  api.person(1, "Ann").says("/start");
  const send = (text: string) => client.call("sendMessage", { chat_id: 1, text });
  const texts = () => api.told(1).map(({ text }) => text);
  {
    using _ = api.trouble("drop", { times: 1 });
    await assert.rejects(send("a"));
    await send("b");
  }
  {
    using _ = api.trouble("lose", { methods: ["sendMessage"] });
    await client.done("getMe");
    await assert.rejects(send("c"));
  }
  assert.deepEqual(texts(), ["b", "c"]);
  {
    using hang = api.trouble("hang");
    const hanging = assert.rejects(send("d"));
    await eventually("it hangs", () => hang.hanging === 1 || undefined);
    hang[Symbol.dispose]();
    await hanging;
  }
  {
    using _ = api.trouble("bad gateway");
    const { url, token } = api;
    using http = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const response = await fetch(`${url}/bot${token}/getMe`, { client: http });
    assert.deepEqual([response.status, await response.text()], [502, "<h1>502 Bad Gateway</h1>"]);
  }
  await api.goAway();
  await assert.rejects(send("e"));
  await api.comeBack();
  await send("f");
  assert.deepEqual(texts(), ["b", "c", "f"]);
});
