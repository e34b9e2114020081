/** The notifier over HTTP: how it is, and a message to see that it comes. */
import { Hono } from "hono";
import type { Clock } from "../../core/base/clock.ts";
import { type Access, actorOf, type Guarded } from "../../core/services/access/mod.ts";
import type { SiteAudit } from "../../core/services/audit.ts";
import type { Database } from "../../core/services/db/mod.ts";
import type { Asking } from "./asking.ts";
import type { Chat } from "./chats.ts";
import type { Replies } from "./replies.ts";
import { bold, markup } from "./markup.ts";
import type { Tellings } from "./tellings.ts";

/** A chat with all that is written into it. */
export interface ServedChat {
  readonly chat: Chat;
  readonly replies: Replies;
  readonly asking: Pick<Asking, "open">;
  readonly tellings: Pick<Tellings, "waiting" | "clear">;
}

/** What the role knows of itself. */
export interface Figures {
  /** Without the @; null until Telegram was reached. */
  bot: string | null;
  /** Whether Telegram was reached when it was last tried. */
  connected: boolean;
  /** Since the role was started. */
  sent: number;
  edited: number;
  lastError: string | null;
}

/** `GET /telegram-notifier/status` and `POST /telegram-notifier/test`. */
export function notifierRoutes(
  { site, figures, served, access, audit, db, clock }: {
    site: string;
    figures: Readonly<Figures>;
    served: readonly ServedChat[];
    access: Access;
    audit: SiteAudit;
    db: Database;
    clock: Clock;
  },
): Hono {
  const routes = new Hono<Guarded>();

  routes.get("/status", access.require("viewer"), (c) => {
    const { bot, connected, sent, edited, lastError } = figures;
    const chats = served.map(({ chat, replies, asking, tellings }) => ({
      ...{ id: chat.id, called: chat.called, stopped: chat.isStopped, trouble: chat.trouble },
      quiet: chat.isQuiet(clock()),
      muted: chat.mutes(),
      waiting: { events: tellings.waiting, replies: replies.waiting },
      questions: asking.open,
    }));
    const queued = chats.reduce((sum, { waiting }) => sum + waiting.events + waiting.replies, 0);
    return c.json({ bot, connected, sent, edited, queued, last_error: lastError, chats });
  });

  routes.post("/test", access.require("operator"), async (c) => {
    const actor = actorOf(c);
    await db.write((tx) =>
      audit.append(tx, { type: "telegram.tested", actor, subject: "telegram" })
    );
    for (const { replies } of served) {
      replies.add(markup`It works: this is ${bold(site)}.`);
    }
    return c.json({ chats: served.length }, 202);
  });

  return new Hono().route("/", routes);
}
