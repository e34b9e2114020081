/** Calls of the Bot API: what is tried again, what is told, and that the token is in neither. */
import assert from "node:assert/strict";
import { CodedError } from "../../core/base/errors.ts";
import { Secret } from "../../core/base/secret.ts";
import type { Html } from "./markup.ts";
import { boundedFetch } from "./bounded_fetch.ts";
import { Telegram } from "./telegram.ts";
import { TelegramError } from "./telegram_error.ts";

const token = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_test";
const message = { chat: 1, html: "hello" as Html };

/** A bot whose calls meet these answers, one after another; the last one again and again. */
function open(...answers: (() => Response | Promise<Response>)[]) {
  const requests: { url: string; init: RequestInit }[] = [];
  const pauses: number[] = [];
  const stopping = new AbortController();
  const fetch = boundedFetch(
    ((url: string, init: RequestInit) => {
      requests.push({ url: String(url), init });
      return Promise.resolve((answers.length > 1 ? answers.shift()! : answers[0]!)());
    }) as typeof globalThis.fetch,
  );
  const telegram = new Telegram({
    ...{ apiRoot: "https://api.example", token: () => new Secret(token), fetch, random: () => 0.5 },
    pause: (milliseconds) => Promise.resolve(void pauses.push(milliseconds)),
    signal: stopping.signal,
  });
  return {
    ...{ telegram, requests, pauses, stopping },
    [Symbol.dispose]: () => fetch[Symbol.dispose](),
  };
}

const well = () => Response.json({ ok: true, result: { message_id: 7 } });
const refusal = (error_code: number, description: string, parameters = {}) => () =>
  Response.json({ ok: false, error_code, description, parameters }, { status: error_code });
const away = () => Promise.reject(new TypeError(`error sending request for url (/bot${token}/x)`));

function shown(error: unknown): string {
  const { stack, cause, hint } = error as TelegramError;
  return Deno.inspect([error, stack, cause, hint], { depth: 9 }) + JSON.stringify(error);
}

Deno.test("a short trouble is waited out: so long as Telegram asks for, or longer each time", async () => {
  using bot = open(
    refusal(429, "Too Many Requests", { retry_after: 3 }),
    away,
    well,
  );
  assert.equal(await bot.telegram.send(message), 7);
  assert.deepEqual(bot.pauses, [3_000, 1_500]);
});

Deno.test("a long trouble is the caller's, with how long Telegram asks to be left alone", async () => {
  using bot = open(refusal(429, "Too Many Requests", { retry_after: 120 }));
  await assert.rejects(bot.telegram.send(message), { code: "too_many", retryAfter: 120_000 });
  assert.equal(bot.requests.length, 1);
  using gone = open(() => new Response("<h1>Bad gateway</h1>", { status: 502 }));
  await assert.rejects(gone.telegram.send(message), { code: "unreachable" });
  assert.equal(gone.requests.length, 3);
});

Deno.test("what Telegram refuses has a code of its own", async () => {
  const cases: [number, string, string][] = [
    [401, "Unauthorized", "token_refused"],
    [404, "Not Found", "token_refused"],
    [403, "Forbidden: bot was blocked by the user", "chat_gone"],
    [400, "Bad Request: chat not found", "chat_gone"],
    [400, "Bad Request: message is not modified: specified new message", "message_same"],
    [400, "Bad Request: message to edit not found", "message_gone"],
    [409, "Conflict: terminated by other getUpdates request", "elsewhere"],
    [400, "Bad Request: can't parse entities", "refused"],
  ];
  for (const [status, description, code] of cases) {
    using bot = open(refusal(status, description));
    await assert.rejects(bot.telegram.edit(1, message), (error: TelegramError) => {
      assert.equal(error.code, code, description);
      assert.ok(error.message.includes(description), error.message);
      return true;
    });
    assert.equal(bot.requests.length, 1, "it is not tried again");
  }
  using moved = open(refusal(400, "group chat was upgraded", { migrate_to_chat_id: -100 }));
  await assert.rejects(moved.telegram.send(message), { code: "chat_moved", movedTo: -100 });
});

Deno.test("the token is in the address, and in no error", async () => {
  using bot = open(away);
  const secret = token.split(":")[1]!;
  const error = await bot.telegram.send(message).catch((error) => error);
  assert.ok(error instanceof TelegramError);
  assert.equal(error.code, "unreachable");
  assert.equal(bot.requests[0]!.url, `https://api.example/bot${token}/sendMessage`);
  assert.ok(!shown(error).includes(secret), shown(error));
  assert.ok(!Deno.inspect(bot.telegram.bot, { depth: 9, showHidden: true }).includes(secret));
});

Deno.test("a token that cannot be read is said to be so, and nothing is sent", async () => {
  using fetch = boundedFetch(() => Promise.reject(new Error("it was sent")));
  const telegram = new Telegram({
    ...{
      apiRoot: "https://api.example",
      fetch,
      random: () => 0,
      signal: new AbortController().signal,
    },
    pause: () => Promise.resolve(),
    token: () => {
      throw new CodedError("secret_unreadable", "Cannot read the secret: no such file");
    },
  });
  await assert.rejects(telegram.meet(), { code: "token_refused", message: /no such file/ });
});

Deno.test("nothing is sent a second time by the runtime, no redirect is followed, no answer is endless", async () => {
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
  });
  using bot = open(() => new Response(endless));
  await assert.rejects(bot.telegram.answer("1", "x"), { code: "unreachable" });
  const { body, redirect } = bot.requests[0]!.init;
  assert.ok(body instanceof Blob);
  assert.equal(redirect, "error");
});

Deno.test("when the site stops, so do calls, and nothing is tried again", async () => {
  using bot = open(away);
  bot.stopping.abort();
  await assert.rejects(bot.telegram.send(message), { code: "stopped" });
  assert.equal(bot.pauses.length, 0);
});
