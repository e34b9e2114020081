/**
 * The chats of the configuration: what they are called now, whether they are told anything, and what is
 * muted there. What people change is on disk, with its record, before it holds.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../../core/base/clock.ts";
import type { SiteAudit } from "../../core/services/audit.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";
import { isOpen, type WallTime } from "../../core/services/hours.ts";
import type { pause } from "../../core/services/pause.ts";
import { Bell } from "./bell.ts";
import type { ChatConfig } from "./config.ts";
import type { Mute } from "./subscriptions.ts";

/** Mutes of one chat at the most: types, roles. */
const mostMutes = 100;

interface Parts {
  readonly db: Database;
  readonly audit: SiteAudit;
  readonly clock: Clock;
  readonly pause: typeof pause;
  readonly signal: AbortSignal;
  /** What the clock on the wall shows where people read it. */
  readonly wallClock: (t: number) => WallTime;
}

export class Chat {
  /** As the configuration calls it. */
  readonly id: number;
  readonly config: ChatConfig;
  /** Rings when there is something to say. */
  readonly bell: Bell;
  /** Rings when it may be possible again to say it. */
  readonly way: Bell;
  /** Why it cannot be written to. */
  trouble: string | null = null;
  readonly #parts: Parts;
  #called: number;
  #isStopped: boolean;
  #mutes: readonly Mute[];

  constructor(
    config: ChatConfig,
    stored: { called: number; isStopped: boolean; mutes: readonly Mute[] },
    parts: Parts,
  ) {
    this.id = config.id;
    this.config = config;
    this.bell = new Bell(parts);
    this.way = new Bell(parts);
    this.#parts = parts;
    this.#called = stored.called;
    this.#isStopped = stored.isStopped;
    this.#mutes = stored.mutes;
  }

  /** As Telegram calls it: a group that grows gets another number. */
  get called(): number {
    return this.#called;
  }

  /** Whether somebody has said that nothing is to be told here. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Whether it is one of the hours in which people sleep. */
  isQuiet(now: number): boolean {
    const { quiet } = this.config;
    return quiet.length > 0 && isOpen(quiet, this.#parts.wallClock(now));
  }

  /** Those that hold now. */
  mutes(): readonly Mute[] {
    const now = this.#parts.clock();
    return this.#mutes.filter(({ until }) => until > now);
  }

  async moved(called: number): Promise<void> {
    await this.#parts.db.write((tx) => this.#write(tx, { called }));
    this.#called = called;
  }

  /** From now on nothing is told here, or it is again. */
  async stop(isStopped: boolean, actor: string): Promise<void> {
    await this.#parts.db.write(async (tx) => {
      await this.#write(tx, { isStopped });
      await this.#record(tx, actor, isStopped ? "telegram.stopped" : "telegram.started", {});
    });
    this.#isStopped = isStopped;
    this.bell.ring();
  }

  /** @returns false when so much is muted already that there is no room */
  async mute(mute: Mute, actor: string): Promise<boolean> {
    const others = this.mutes().filter(({ what }) => what !== mute.what);
    if (others.length >= mostMutes) return false;
    await this.#keep([...others, mute], { actor, type: "telegram.muted", detail: { ...mute } });
    return true;
  }

  /** @param what null for everything */
  async unmute(what: string | null, actor: string): Promise<void> {
    const kept = what === null ? [] : this.mutes().filter((mute) => mute.what !== what);
    await this.#keep(kept, { actor, type: "telegram.unmuted", detail: { what: what ?? "all" } });
  }

  async #keep(
    mutes: readonly Mute[],
    { actor, type, detail }: { actor: string; type: string; detail: Record<string, unknown> },
  ): Promise<void> {
    await this.#parts.db.write(async (tx) => {
      await tx.run(sql`DELETE FROM telegram_notifier_mutes WHERE chat = ${this.id}`);
      const rows = JSON.stringify(mutes.map(({ what, until }) => [what, until]));
      await tx.run(sql`INSERT INTO telegram_notifier_mutes (chat, what, until)
        SELECT ${this.id}, value ->> 0, value ->> 1 FROM json_each(${rows})`);
      await this.#record(tx, actor, type, detail);
    });
    this.#mutes = mutes;
  }

  async #record(
    tx: Queries,
    actor: string,
    type: string,
    detail: Record<string, unknown>,
  ): Promise<void> {
    await this.#parts.audit.append(tx, { type, actor, subject: `telegram:${this.id}`, detail });
  }

  async #write(
    tx: Queries,
    { called = this.#called, isStopped = this.#isStopped }: {
      called?: number;
      isStopped?: boolean;
    },
  ): Promise<void> {
    await tx.run(sql`INSERT INTO telegram_notifier_chats (chat, called, stopped)
      VALUES (${this.id}, ${called}, ${isStopped ? 1 : 0})
      ON CONFLICT (chat) DO UPDATE SET called = excluded.called, stopped = excluded.stopped`);
  }
}

/** All chats of the configuration; what is stored about others is forgotten. */
export async function openChats(
  configs: readonly ChatConfig[],
  parts: Parts,
): Promise<readonly Chat[]> {
  const ids = JSON.stringify(configs.map(({ id }) => id));
  await parts.db.write(async (tx) => {
    for (const table of ["chats", "mutes", "waiting", "messages", "asked"]) {
      const name = sql.raw(`telegram_notifier_${table}`);
      await tx.run(
        sql`DELETE FROM ${name} WHERE chat NOT IN (SELECT value FROM json_each(${ids}))`,
      );
    }
  });
  const [rows, mutes] = await parts.db.read(async (q) => [
    await q.all<{ chat: number; called: number; stopped: number }>(
      sql`SELECT chat, called, stopped FROM telegram_notifier_chats`,
    ),
    await q.all<Mute & { chat: number }>(
      sql`SELECT chat, what, until FROM telegram_notifier_mutes`,
    ),
  ]);
  return configs.map((config) => {
    const row = rows.find(({ chat }) => chat === config.id);
    return new Chat(config, {
      called: row?.called ?? config.id,
      isStopped: row?.stopped === 1,
      mutes: mutes.filter(({ chat }) => chat === config.id).map(({ what, until }) => {
        return { what, until };
      }),
    }, parts);
  });
}
