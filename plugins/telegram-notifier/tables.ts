/**
 * The notifier's tables. `waiting` holds what is to be told, one row per kind of event, however many there
 * were; `messages` those that may have to be changed; `questions` what was asked, `asked` where. Chats
 * bear the id of the configuration; what Telegram calls them since is in `chats`.
 */
import type { Migration } from "../../core/services/db/mod.ts";

export const migrations: readonly Migration[] = [{
  sql: `
  CREATE TABLE telegram_notifier_chats (
    chat INTEGER PRIMARY KEY,
    called INTEGER NOT NULL,
    stopped INTEGER NOT NULL,
    more_message INTEGER
  ) STRICT;
  CREATE TABLE telegram_notifier_mutes (
    chat INTEGER NOT NULL,
    what TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (chat, what)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE telegram_notifier_waiting (
    chat INTEGER NOT NULL,
    kind TEXT NOT NULL,
    told TEXT NOT NULL,
    PRIMARY KEY (chat, kind)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE telegram_notifier_messages (
    chat INTEGER NOT NULL,
    message INTEGER NOT NULL,
    t INTEGER NOT NULL,
    told TEXT NOT NULL,
    shown TEXT NOT NULL,
    PRIMARY KEY (chat, message)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE telegram_notifier_alerts (
    kind TEXT PRIMARY KEY,
    last INTEGER NOT NULL,
    told TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE telegram_notifier_questions (
    handle TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    facts TEXT NOT NULL,
    until INTEGER NOT NULL,
    announced INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'deciding', 'lapsed', 'done')),
    verdict TEXT CHECK (verdict IN ('approve', 'deny')),
    actor TEXT,
    person TEXT,
    ended TEXT,
    at INTEGER NOT NULL,
    UNIQUE (kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE telegram_notifier_asked (
    button TEXT PRIMARY KEY,
    handle TEXT NOT NULL,
    chat INTEGER NOT NULL,
    message INTEGER,
    shown TEXT,
    UNIQUE (handle, chat)
  ) STRICT, WITHOUT ROWID;
  `,
}];
