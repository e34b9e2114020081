/** What `edgeward doctor` finds out: is the token there, and does Telegram know it? */
import { CodedError } from "../../core/base/errors.ts";
import type { Finding } from "../../core/host/plugin.ts";
import { pause } from "../../core/services/pause.ts";
import { boundedFetch } from "./bounded_fetch.ts";
import type { Config } from "./config.ts";
import { Telegram } from "./telegram.ts";
import { readToken } from "./token.ts";

/** Milliseconds until Telegram counts as away. */
const patience = 10_000;

export async function* check(
  { token_file, chats, users, api_root }: Config,
): AsyncIterable<Finding> {
  if (token_file === undefined) {
    return yield {
      state: "degraded",
      what: "token_file is not set: nobody is told anything",
      hint: "write to @BotFather in Telegram, and put the token that it gives into a file",
    };
  }
  if (chats.length === 0) {
    yield {
      state: "degraded",
      what: "chats is empty: nobody is told anything",
      hint: "write /start to the bot: it says the ids that chats and users want",
    };
  }
  if (chats.length > 0 && Object.keys(users).length === 0) {
    yield {
      state: "ok",
      what: "users is empty: nobody may ask or decide in Telegram",
    };
  }
  try {
    readToken(token_file).wipe();
    using fetch = boundedFetch();
    const telegram = new Telegram({
      apiRoot: api_root,
      token: () => readToken(token_file),
      ...{ fetch, pause, random: Math.random, signal: AbortSignal.timeout(patience) },
    });
    const username = await telegram.meet();
    yield { state: "ok", what: `Telegram knows the bot as @${username}` };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { code, message, hint } = error;
    if (code === "unreachable" || code === "stopped") {
      return yield {
        state: "degraded",
        what: `api_root: ${api_root} does not answer`,
        hint: "what there is to tell waits until it does; look at the network",
      };
    }
    yield { state: "failed", what: message, ...(hint !== undefined && { hint }) };
  }
}
