/**
 * Who may ask and decide: people in the configuration, in chats of the configuration, by their numbers,
 * which nobody can choose. Looked at anew whenever somebody writes or presses. Whoever is refused is on
 * record, as often as does no harm: anybody can find a bot.
 */
import { plainLine } from "../../core/base/plain_text.ts";
import type { Clock } from "../../core/base/clock.ts";
import { type ApiRole, apiRoles } from "../../core/services/access/mod.ts";
import type { SiteAudit } from "../../core/services/audit.ts";
import type { Bus } from "../../core/services/bus.ts";
import type { Database } from "../../core/services/db/mod.ts";
import type { Log } from "../../core/services/logging.ts";
import { rateLimit } from "../../core/services/token_bucket.ts";
import type { Config } from "./config.ts";
import type { Person } from "./question_store.ts";

/** Who writes, as Telegram names them. The name is theirs to choose. */
export interface Sender {
  readonly id: number;
  readonly username?: string | undefined;
  readonly first_name: string;
}

/** A person of the configuration. */
export interface Member extends Person {
  readonly role: ApiRole;
}

/** Refusals that are recorded, and commands and presses of one person that are heard. */
const recorded = { perSecond: 1 / 6, burst: 10 };
const heard = { perSecond: 1 / 3, burst: 20 };
/** People whose haste is remembered. */
const mostPeople = 1_000;

export interface PeopleParts {
  readonly users: Config["users"];
  readonly db: Database;
  readonly audit: SiteAudit;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
}

export class People {
  readonly #parts: PeopleParts;
  readonly #mayRecord = rateLimit(recorded, { most: 1 });
  readonly #mayAsk = rateLimit(heard, { most: mostPeople });
  #unrecorded = 0;

  constructor(parts: PeopleParts) {
    this.#parts = parts;
  }

  /** Null for a stranger. */
  find(sender: Sender): Member | null {
    const { users } = this.#parts;
    const id = String(sender.id);
    if (!Object.hasOwn(users, id)) return null;
    const { username, first_name } = sender;
    const name = plainLine(username === undefined ? first_name : `@${username}`, 40);
    return { actor: `telegram:${id}`, name: name || id, role: users[id]! };
  }

  /** Whether somebody is heard who writes and presses so often. */
  isHeard({ id }: Sender): boolean {
    return this.#mayAsk(String(id), this.#parts.clock());
  }

  /** Somebody was refused. @param what they wanted: of words from here, not theirs */
  async refused(
    { id }: Sender,
    { what, reason, chat }: { what: string; reason: "stranger" | "role_too_low"; chat: number },
  ): Promise<void> {
    const { log, clock, db, audit, bus } = this.#parts;
    const actor = `telegram:${id}`;
    log.warn("somebody was refused in Telegram", { actor, what, reason, chat });
    if (!this.#mayRecord("", clock())) {
      this.#unrecorded++;
      return;
    }
    const detail = { what, reason, chat, unrecorded: this.#unrecorded };
    this.#unrecorded = 0;
    bus.emit({ type: "admin.refused", severity: "warning", subject: actor, detail });
    await db.write((tx) =>
      audit.append(tx, { type: "telegram.refused", actor, subject: "telegram", detail })
    ).catch((error) => log.error("a refusal could not be recorded", { error }));
  }
}

/** Whether the role is enough. */
export function isEnough(role: ApiRole, needed: ApiRole): boolean {
  return apiRoles.indexOf(role) >= apiRoles.indexOf(needed);
}
