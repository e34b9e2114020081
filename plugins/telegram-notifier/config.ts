/** The table `[plugins.telegram-notifier]`. */
import { z } from "zod";
import { duration, filePath } from "../../core/host/config/mod.ts";
import { apiRoles } from "../../core/services/access/mod.ts";
import { isTimeZone, parseWindow, type TimeWindow } from "../../core/services/hours.ts";

/** Identifiers of Telegram have at most 52 bits; those of groups are negative. */
const chatId = z.int({ error: "expected the id of a chat, a whole number" })
  .refine((id) => id !== 0, "expected the id of a chat, a whole number");

const expectedWindow = 'expected hours such as "22:00-07:00"';

const quietHours = z.string({ error: expectedWindow }).transform((text, context): TimeWindow => {
  const window = parseWindow(/^\s*\d/.test(text) ? `daily ${text}` : text);
  if (window !== null) return window;
  const params = { hint: 'or with days before them: "mon-fri 22:00-07:00", "sat,sun 00:00-24:00"' };
  context.addIssue({ code: "custom", message: expectedWindow, input: text, params });
  return z.NEVER;
});

const chat = z.strictObject({
  id: chatId,
  roles: z.array(z.string().min(1).max(64)).min(1).max(32).default(["*"]),
  severity: z.enum(["info", "warning", "alarm"]).default("info"),
  routine: z.boolean().default(false),
  questions: z.boolean().default(true),
  quiet: z.union([z.string(), z.array(z.string())])
    .transform((hours) => [hours].flat()).pipe(z.array(quietHours).max(14))
    .prefault([]),
  thread: z.int().min(1).optional(),
  silent: z.boolean().default(false),
});

/** The number alone, or a table. */
const chatEntry = z.union([chatId, z.record(z.string(), z.unknown())])
  .transform((entry) => typeof entry === "number" ? { id: entry } : entry).pipe(chat);

export const config = z.object({
  token_file: filePath().optional()
    .describe("File with the token of the bot, as BotFather gave it, or env:NAME.")
    .meta({ example: "/run/credentials/edgeward.service/telegram" }),
  chats: z.array(chatEntry).max(32).default([])
    .describe(
      "Where it is told: the ids of chats, which the bot says to /start, or tables such as " +
        '{ id = 123456789, roles = ["share-gateway", "core"], severity = "warning", ' +
        'quiet = "22:00-07:00" }. Besides there are routine = true for what goes on all the time, ' +
        "questions = false, silent = true, and thread, the number of a topic.",
    )
    .meta({ example: [123456789] }),
  users: z.record(z.string(), z.enum(apiRoles)).default({})
    .describe(
      "Who may ask and decide in those chats, by the number that the bot says to /start: " +
        '{ "123456789" = "operator" }. A viewer looks, an operator decides.',
    )
    .meta({ example: { "123456789": "operator" } }),
  timezone: z.string().default("UTC")
    .refine(isTimeZone, {
      error: "expected the name of a time zone",
      params: { hint: 'for example "Europe/Berlin"; `timedatectl list-timezones` lists them' },
    })
    .describe("The time zone of quiet hours, and of times in messages.")
    .meta({ example: "Europe/Berlin" }),
  group_within: duration({ min: "100ms", max: "10m" }).prefault("5s")
    .describe(
      "What happens within this time is told in one message; when much happens, the time grows.",
    ),
  ask_within: duration({ min: "1s", max: "7d" }).prefault("24h")
    .describe("How long the buttons under a question work. Without a yes nobody is let in."),
  api_root: z.string().refine(isApiRoot, "expected https://, or http:// on this machine")
    .default("https://api.telegram.org")
    .describe("Where the Bot API is: Telegram's, or a server of one's own."),
}).superRefine(({ chats, users }, context) => {
  const complain = (path: (string | number)[], message: string, hint?: string) =>
    context.addIssue({ code: "custom", path, message, params: { hint } });
  const seen = new Set<number>();
  for (const [i, { id }] of chats.entries()) {
    if (seen.has(id)) complain(["chats", i], "the chat is in the list already", "keep one of them");
    seen.add(id);
  }
  for (const id of Object.keys(users)) {
    if (/^[1-9]\d{0,15}$/.test(id)) continue;
    const hint =
      "names may change hands, numbers do not: the bot tells yours when you write /start";
    complain(["users", id], "expected the number of a user", hint);
  }
});

export type Config = z.output<typeof config>;
/** A chat, and what it wants to hear. */
export type ChatConfig = Config["chats"][number];

/** The token is in every request, so nobody on the way may read it. */
function isApiRoot(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "" || url.search !== "") return false;
  if (text.endsWith("/")) return false;
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return url.protocol === "https:" || url.protocol === "http:" && isHere;
}
