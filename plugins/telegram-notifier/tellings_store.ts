/**
 * What is to be told, on disk. Events come faster than disks write: what has changed is noted, and written
 * together a moment later, each thing once and as it is by then.
 */
import { sql } from "drizzle-orm";
import type { Database } from "../../core/services/db/mod.ts";
import type { Log } from "../../core/services/logging.ts";
import type { pause } from "../../core/services/pause.ts";
import type { Alert } from "./alerts.ts";
import type { Group, Groups } from "./groups.ts";
import type { Html } from "./markup.ts";

/** A message that may have to be changed. */
export interface StoredMessage {
  /** As the configuration calls it. */
  readonly chat: number;
  readonly message: number;
  /** When it was put together, in Unix milliseconds. */
  readonly t: number;
  /** What it is about, as that is now. */
  readonly groups: readonly Group[];
  /** What it says. */
  readonly shown: Html;
}

/** Milliseconds in which changes come together, and until another attempt after one that failed. */
const gathering = 50;
const rest = 2_000;

export class TellingsStore {
  readonly #options: { db: Database; log: Log; pause: typeof pause; signal: AbortSignal };
  #groups = new Map<string, { chat: number; key: string; group: Group | null }>();
  #messages = new Map<string, { chat: number; message: number; now: StoredMessage | null }>();
  #alerts = new Map<string, Alert | null>();
  #writing: Promise<void> | undefined;
  #flushed: Promise<void> = Promise.resolve();

  constructor(options: { db: Database; log: Log; pause: typeof pause; signal: AbortSignal }) {
    this.#options = options;
  }

  /** @param group null when it has been told */
  keepGroup(chat: number, key: string, group: Group | null): void {
    this.#groups.set(`${chat} ${key}`, { chat, key, group });
    this.#soon();
  }

  keepMessage(now: StoredMessage): void {
    const { chat, message } = now;
    this.#messages.set(`${chat} ${message}`, { chat, message, now });
    this.#soon();
  }

  forgetMessage({ chat, message }: StoredMessage): void {
    this.#messages.set(`${chat} ${message}`, { chat, message, now: null });
    this.#soon();
  }

  /** @param alert null when it is too old to be shown */
  keepAlert(key: string, alert: Alert | null): void {
    this.#alerts.set(key, alert);
    this.#soon();
  }

  /** Resolves when all that was noted is on disk. @throws DatabaseError; then it is noted still */
  flush(): Promise<void> {
    // one after another: what is noted again after a failure must not be older than what is on disk
    const flushed = this.#flushed.then(() => this.#flush());
    this.#flushed = flushed.catch(() => this.#soon());
    return flushed;
  }

  async #flush(): Promise<void> {
    const [groups, messages, alerts] = [this.#groups, this.#messages, this.#alerts];
    if (groups.size + messages.size + alerts.size === 0) return;
    this.#groups = new Map();
    this.#messages = new Map();
    this.#alerts = new Map();
    try {
      await this.#options.db.write(async (tx) => {
        for (const { chat, key, group } of groups.values()) {
          await tx.run(
            group === null
              ? sql`DELETE FROM telegram_notifier_waiting WHERE chat = ${chat} AND kind = ${key}`
              : sql`INSERT INTO telegram_notifier_waiting (chat, kind, told)
                  VALUES (${chat}, ${key}, ${JSON.stringify(group)})
                  ON CONFLICT (chat, kind) DO UPDATE SET told = excluded.told`,
          );
        }
        for (const { chat, message, now } of messages.values()) {
          await tx.run(
            now === null
              ? sql`DELETE FROM telegram_notifier_messages
                  WHERE chat = ${chat} AND message = ${message}`
              : sql`INSERT INTO telegram_notifier_messages (chat, message, t, told, shown)
                  VALUES (${chat}, ${message}, ${now.t}, ${JSON.stringify(now.groups)},
                    ${now.shown})
                  ON CONFLICT (chat, message)
                  DO UPDATE SET told = excluded.told, shown = excluded.shown`,
          );
        }
        for (const [key, alert] of alerts) {
          await tx.run(
            alert === null
              ? sql`DELETE FROM telegram_notifier_alerts WHERE kind = ${key}`
              : sql`INSERT INTO telegram_notifier_alerts (kind, last, told)
                  VALUES (${key}, ${alert.last}, ${JSON.stringify(alert)})
                  ON CONFLICT (kind) DO UPDATE SET last = excluded.last, told = excluded.told`,
          );
        }
      });
    } catch (error) {
      // what was noted since is newer
      this.#groups = new Map([...groups, ...this.#groups]);
      this.#messages = new Map([...messages, ...this.#messages]);
      this.#alerts = new Map([...alerts, ...this.#alerts]);
      throw error;
    }
  }

  /** What waited for this chat when the site stopped. */
  async ofChat(chat: number): Promise<{ waiting: Groups; messages: StoredMessage[] }> {
    return await this.#options.db.read(async (q) => {
      const waiting = await q.all<{ kind: string; told: string }>(
        sql`SELECT kind, told FROM telegram_notifier_waiting WHERE chat = ${chat}`,
      );
      const messages = await q.all<{ message: number; t: number; told: string; shown: Html }>(
        sql`SELECT message, t, told, shown FROM telegram_notifier_messages
          WHERE chat = ${chat} ORDER BY message`,
      );
      return {
        waiting: new Map(waiting.map(({ kind, told }) => [kind, JSON.parse(told) as Group])),
        messages: messages.map(({ message, t, told, shown }) => {
          return { chat, message, t, groups: JSON.parse(told) as Group[], shown };
        }),
      };
    });
  }

  async alerts(): Promise<readonly (readonly [string, Alert])[]> {
    const rows = await this.#options.db.read((q) =>
      q.all<{ kind: string; told: string }>(
        sql`SELECT kind, told FROM telegram_notifier_alerts ORDER BY last`,
      )
    );
    return rows.map(({ kind, told }) => [kind, JSON.parse(told) as Alert]);
  }

  /** Writes what is left, once nothing is noted any more. */
  async close(): Promise<void> {
    await this.#writing;
    await this.flush();
  }

  #soon(): void {
    this.#writing ??= this.#write().finally(() => this.#writing = undefined);
  }

  async #write(): Promise<void> {
    const { pause, signal, log } = this.#options;
    while (!signal.aborted) {
      await pause(gathering, signal);
      try {
        return await this.flush();
      } catch (error) {
        log.error("what is to be told could not be written down; it is tried again", { error });
        await pause(rest, signal);
      }
    }
  }
}
