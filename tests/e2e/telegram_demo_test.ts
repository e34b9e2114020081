/** The demo with a bot: what happens in it is in the chat, the final line says how much, and a wrong chat fails it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { BotApi } from "./bot_api.ts";
import { run, temporaryFolder } from "./program.ts";

Deno.test("edgeward demo tells a Telegram chat what happens, and counts its messages", async () => {
  await using folder = await temporaryFolder();
  await using api = await BotApi.start();
  const { id } = api.person(1_001, "Ann");
  api.person(id, "Ann").says("/start");
  const { code, stdout, stderr } = await demo(folder.path, { api, chat: id });
  assert.equal(code, 0, stderr);
  const final = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assert.deepEqual(final.telegram, { sent: api.count("sendMessage") });
  assert.ok(final.telegram.sent >= 1 && final.telegram.sent <= 10, `${final.telegram.sent}`);
  assert.match(api.told(id).map(({ text }) => text).join("\n"), /kiosk-1/);
  assert.ok(!(stdout + stderr).includes(api.token.split(":")[1]!));
});

Deno.test("edgeward demo fails when the chat hears nothing, and says what to do", async () => {
  await using folder = await temporaryFolder();
  await using api = await BotApi.start();
  const { code, stdout, stderr } = await demo(folder.path, { api, chat: 1_001 });
  assert.equal(code, 1, stderr);
  assert.deepEqual(JSON.parse(stdout.trimEnd().split("\n").at(-1)!).telegram, { sent: 0 });
  assert.match(stderr, /error: Not everything reached the chat: .*chat not found/);
  assert.match(stderr, /hint: write \/start to the bot/);
});

async function demo(folder: string, { api, chat }: { api: BotApi; chat: number }) {
  const token = join(folder, "token");
  await Deno.writeTextFile(token, `${api.token}\n`, { mode: 0o600 });
  const usual = ["--for", "4", "--json", "--port", "0"];
  const bot = ["--telegram-token-file", token, "--telegram-chat", `${chat}`];
  return await run(["demo", ...usual, ...bot, "--telegram-api", api.url]);
}
