/**
 * What a chat is told of events. It waits in groups, on disk as in memory, until its time has come and
 * Telegram can be reached: a backlog of hours and a flood of thousands are one message each. What is
 * told and may end is remembered, and its message is changed when it does.
 */
import type { Clock } from "../../core/base/clock.ts";
import type { Event } from "../../core/wire/event.ts";
import type { Chat } from "./chats.ts";
import { digestHtml } from "./digest.ts";
import {
  endedGroups,
  type Group,
  groupOf,
  type Groups,
  keyOf,
  mergedGroup,
  mergedGroups,
} from "./groups.ts";
import { isNews, mayEnd } from "./incidents.ts";
import type { Html } from "./markup.ts";
import { Rhythm } from "./rhythm.ts";
import { isMuted, wants } from "./subscriptions.ts";
import type { StoredMessage, TellingsStore } from "./tellings_store.ts";
import type { Times } from "./times.ts";
import type { Source, Work } from "./work.ts";

/** Messages of a chat that may be changed still: so many, and for so long (Telegram says two days). */
const mostMessages = 50;
const changeable = 47 * 3_600_000;

export interface TellingParts {
  readonly site: string;
  readonly chat: Chat;
  readonly store: TellingsStore;
  readonly clock: Clock;
  readonly times: Times;
  /** Milliseconds in which events come together. */
  readonly within: number;
}

export class Tellings implements Source {
  readonly #parts: TellingParts;
  readonly #rhythm: Rhythm;
  /** Not tried yet, and tried without knowing whether it came through. */
  #waiting: Map<string, Group>;
  #sending = new Map<string, Group>();
  #messages: StoredMessage[];
  /** Numbers of messages that say what is not so any more. */
  readonly #outdated = new Set<number>();

  constructor(
    parts: TellingParts,
    stored: { readonly waiting: Groups; readonly messages: readonly StoredMessage[] },
  ) {
    this.#parts = parts;
    this.#rhythm = new Rhythm(parts.within);
    this.#waiting = new Map(stored.waiting);
    this.#messages = [...stored.messages];
    for (const message of stored.messages) this.#compare(message);
  }

  /** Events that wait to be told. */
  get waiting(): number {
    let count = 0;
    for (const groups of [this.#waiting, this.#sending]) {
      for (const { n } of groups.values()) count += n;
    }
    return count;
  }

  /** @param isAsked whether people are asked about it here, with buttons */
  hear(event: Event, { isAsked }: { isAsked: boolean }): void {
    const { chat, clock } = this.#parts;
    const isShown = this.#end(event);
    if (isShown && !isNews(event)) return chat.bell.ring();
    if (isAsked || chat.isStopped || !wants(chat.config, event)) return;
    if (isMuted(chat.mutes(), event, clock())) return;
    const group = groupOf(event);
    const key = keyOf(group);
    const before = this.#waiting.get(key);
    this.#waiting.set(key, before === undefined ? group : mergedGroup(before, group));
    this.#keep([key]);
    chat.bell.ring();
  }

  next(now: number): Work | number | null {
    const outdated = this.#messages.find(({ message }) => this.#outdated.has(message));
    if (outdated !== undefined) return this.#change(outdated);
    const all = mergedGroups(this.#sending, this.#waiting);
    const isQuiet = this.#parts.chat.isQuiet(now);
    const ready = [...all].filter(([, { severity }]) => !isQuiet || severity === "alarm");
    const firstOf = (groups: typeof ready) =>
      groups.length === 0 ? null : Math.min(...groups.map(([, { first }]) => first));
    const first = firstOf(ready);
    const firstAlarm = firstOf(ready.filter(([, { severity }]) => severity === "alarm"));
    const due = this.#rhythm.due({ first, firstAlarm });
    if (due === null || due > now) return due;
    const keys = new Set(ready.map(([key]) => key));
    this.#sending = new Map(ready);
    this.#waiting = new Map([...all].filter(([key]) => !keys.has(key)));
    return this.#tell(now, first!);
  }

  /** Nothing waits any more. */
  clear(): void {
    const keys = [...this.#waiting.keys(), ...this.#sending.keys()];
    this.#waiting = new Map();
    this.#sending = new Map();
    this.#keep(keys);
  }

  #tell(now: number, first: number): Work {
    const { chat, store } = this.#parts;
    const tried = this.#sending;
    const shown = this.#digest(tried.values(), now);
    const isAlarm = [...tried.values()].some(({ severity }) => severity === "alarm");
    const settle = async (message: StoredMessage | null) => {
      // what has ended in the meantime is in there, and the message does not show it
      const told = [...this.#sending.values()];
      this.#sending = new Map();
      this.#keep([...tried.keys()]);
      if (message !== null && told.some(({ type }) => mayEnd(type))) {
        this.#remember({ ...message, groups: told });
      }
      this.#rhythm.told(now, first);
      await store.flush();
    };
    return {
      html: shown,
      silent: chat.config.silent && !isAlarm,
      done: (message) => settle({ chat: chat.id, message, t: now, groups: [], shown }),
      dropped: () => settle(null),
    };
  }

  #change(stored: StoredMessage): Work {
    const { store } = this.#parts;
    const shown = this.#htmlOf(stored);
    const isStored = ({ message }: StoredMessage) => message === stored.message;
    return {
      html: shown,
      message: stored.message,
      done: async () => {
        this.#messages = this.#messages.map((one) => {
          if (!isStored(one)) return one;
          const changed = { ...one, shown };
          store.keepMessage(changed);
          this.#compare(changed);
          return changed;
        });
        await store.flush();
      },
      dropped: async () => {
        this.#messages = this.#messages.filter((one) => !isStored(one));
        this.#outdated.delete(stored.message);
        store.forgetMessage(stored);
        await store.flush();
      },
    };
  }

  /** Notes what ends with the event, wherever it is told or waits to be. */
  #end(event: Event): boolean {
    let isShown = false;
    for (const groups of [this.#waiting, this.#sending]) {
      for (const group of endedGroups(groups.values(), event)) {
        groups.set(keyOf(group), group);
        this.#keep([keyOf(group)]);
        isShown = true;
      }
    }
    this.#forgetOld();
    this.#messages = this.#messages.map((message) => {
      const ended = endedGroups(message.groups, event);
      if (ended.length === 0) return message;
      isShown = true;
      const byKey = new Map(ended.map((group) => [keyOf(group), group]));
      const groups = message.groups.map((group) => byKey.get(keyOf(group)) ?? group);
      const changed = { ...message, groups };
      this.#parts.store.keepMessage(changed);
      this.#compare(changed);
      return changed;
    });
    return isShown;
  }

  #remember(message: StoredMessage): void {
    const { store } = this.#parts;
    this.#messages.push(message);
    store.keepMessage(message);
    this.#compare(message);
    this.#forgetOld();
  }

  #forgetOld(): void {
    const { store, clock } = this.#parts;
    const since = clock() - changeable;
    const kept = this.#messages.slice(-mostMessages).filter(({ t }) => t > since);
    if (kept.length === this.#messages.length) return;
    for (const message of this.#messages) {
      if (kept.includes(message)) continue;
      store.forgetMessage(message);
      this.#outdated.delete(message.message);
    }
    this.#messages = kept;
  }

  #compare(stored: StoredMessage): void {
    if (this.#htmlOf(stored) === stored.shown) this.#outdated.delete(stored.message);
    else this.#outdated.add(stored.message);
  }

  /** Has these groups written to disk as they are now. */
  #keep(keys: readonly string[]): void {
    const { chat, store } = this.#parts;
    const all = mergedGroups(this.#sending, this.#waiting);
    for (const key of keys) store.keepGroup(chat.id, key, all.get(key) ?? null);
  }

  #htmlOf({ groups, t }: StoredMessage): Html {
    return this.#digest(groups, t);
  }

  #digest(groups: Iterable<Group>, now: number): Html {
    const { site, times } = this.#parts;
    return digestHtml(groups, { site, now, times });
  }
}
