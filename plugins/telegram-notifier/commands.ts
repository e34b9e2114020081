/** What people can write: the notifier's own commands, and every view that a role offers at the desk. */
import { CodedError } from "../../core/base/errors.ts";
import { spanText } from "../../core/base/when.ts";
import type { Clock } from "../../core/base/clock.ts";
import type { ApiRole } from "../../core/services/access/mod.ts";
import { bounds, type Desk, type Verdict } from "../../core/services/desk.ts";
import type { RolePeers } from "../../core/services/peers/mod.ts";
import type { Alerts } from "./alerts.ts";
import type { Chat } from "./chats.ts";
import type { Decisions } from "./decisions.ts";
import { andMore, bold, fitted, type Html, joined, markup, sheetHtml, text } from "./markup.ts";
import { isEnough, type Member } from "./people.ts";
import { revoke } from "./revoke.ts";
import type { QuestionBook } from "./question_book.ts";
import { pendingHtml } from "./question_text.ts";
import type { Questions } from "./questions.ts";
import { isMutable } from "./subscriptions.ts";
import type { Times } from "./times.ts";

/** What somebody wrote, where, and who they are. */
export interface Ask {
  readonly args: string;
  readonly chat: Chat;
  readonly member: Member;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly needs: ApiRole;
  /** Whether it does something: then it is not done when it was asked long ago. */
  readonly isDeed: boolean;
  run(ask: Ask): Promise<Html>;
}

export class CommandError extends CodedError<"bad_command" | "not_offered" | "role_too_low"> {
  override readonly name = "CommandError";
}

export interface CommandParts {
  readonly site: string;
  readonly desk: Pick<Desk, "views" | "dockets">;
  readonly peers: Pick<RolePeers, "list" | "revoke">;
  readonly questions: Questions;
  readonly book: QuestionBook;
  readonly decisions: Decisions;
  readonly alerts: Alerts;
  readonly clock: Clock;
  readonly times: Times;
  /** Nothing that waits for this chat is told any more. */
  readonly clear: (chat: Chat) => void;
}

/** Views that people know, and the roles that offer them. */
const offers: Readonly<Record<string, string>> = {
  ...{ unlocks: "share-gateway", summary: "cloud-summary", fog: "fog-aggregator" },
  ...{ bill: "cloud-summary", keychains: "keychain-attestor" },
};

const longestMute = 7 * 86_400_000;
const units = { m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

export class Commands {
  readonly #parts: CommandParts;
  readonly #own: readonly Command[];

  constructor(parts: CommandParts) {
    this.#parts = parts;
    this.#own = ownCommands(parts, () => this.all());
  }

  /** What can be written now. */
  all(): readonly Command[] {
    const own = new Set(this.#own.map(({ name }) => name));
    const views = this.#parts.desk.views().filter(({ name }) => !own.has(name));
    return [
      ...views.map(({ name, summary, needs, show }): Command => ({
        ...{ name, summary, needs, isDeed: false },
        run: async ({ args }) => sheetHtml(await show(args.slice(0, bounds.args))),
      })),
      ...this.#own,
    ];
  }

  /** @throws CommandError "bad_command", "not_offered" */
  find(name: string): Command {
    const command = this.all().find((one) => one.name === name);
    if (command !== undefined) return command;
    const role = Object.hasOwn(offers, name) ? offers[name] : undefined;
    if (role !== undefined) {
      throw new CommandError("not_offered", `Cannot show /${name}: nobody offers it at this site`, {
        hint: `that would be the role ${role}`,
      });
    }
    throw new CommandError("bad_command", "Cannot do that: there is no such command", {
      hint: "/help lists them",
    });
  }
}

function ownCommands(parts: CommandParts, all: () => readonly Command[]): readonly Command[] {
  const { questions, alerts, clock, times, peers } = parts;
  const command = (
    name: string,
    summary: string,
    needs: ApiRole,
    run: Command["run"],
  ): Command => ({ name, summary, needs, run, isDeed: needs !== "viewer" });
  return [
    command("pending", "What waits for a decision", "viewer", async () => {
      const { questions: waiting, more } = await questions.list();
      return pendingHtml(waiting, more);
    }),
    command("approve", "Say yes: /approve ID", "operator", (ask) => decide(parts, ask, "approve")),
    command("deny", "Say no: /deny ID", "operator", (ask) => decide(parts, ask, "deny")),
    command("revoke", "Shut a peer out: /revoke ID", "operator", async ({ args, member }) => {
      return await revoke(peers, args, member.actor);
    }),
    command(
      "alerts",
      "What has gone wrong lately",
      "viewer",
      () => Promise.resolve(sheetHtml(alerts.sheet(clock(), times))),
    ),
    command(
      "mute",
      "Tell nothing for a while: /mute 2h [TYPE or ROLE]",
      "operator",
      (ask) => mute(parts, ask),
    ),
    command(
      "unmute",
      "Tell again: /unmute [TYPE or ROLE]",
      "operator",
      async ({ args, ...ask }) => {
        await ask.chat.unmute(args === "" ? null : args.slice(0, 64), ask.member.actor);
        return mutesHtml(ask.chat, parts);
      },
    ),
    command("stop", "Tell nothing in this chat", "operator", async ({ chat, member }) => {
      await chat.stop(true, member.actor);
      parts.clear(chat);
      return text("Nothing is told here any more, until somebody writes /start.");
    }),
    command("start", "Tell what happens in this chat", "viewer", async ({ chat, member }) => {
      if (chat.isStopped && isEnough(member.role, "operator")) {
        await chat.stop(false, member.actor);
      }
      return markup`${whoHtml(parts, { chat, member })}\n${
        text(
          chat.isStopped ? "Nothing is told here." : "What happens is told here.",
        )
      } /help lists what you can write.`;
    }),
    command(
      "test",
      "Send a message, to see that it comes",
      "operator",
      ({ member }) =>
        Promise.resolve(markup`It works: ${bold(parts.site)} has heard ${text(member.name, 40)}.`),
    ),
    command("whoami", "Who you are here", "viewer", (ask) => Promise.resolve(whoHtml(parts, ask))),
    command("help", "What you can write", "viewer", ({ member }) => {
      const lines = all().filter(({ needs }) => isEnough(member.role, needs))
        .map(({ name, summary }) => markup`/${text(name, 32)} ${text(summary, 100)}`);
      return Promise.resolve(fitted([bold(parts.site), ...lines], andMore));
    }),
  ];
}

/** By the handle, or by the whole id: any other name could mean something else by now. */
async function decide(parts: CommandParts, ask: Ask, verdict: Verdict): Promise<Html> {
  const { questions, decisions } = parts;
  const { args, chat, member } = ask;
  if (args === "") throw badCommand(`/${verdict} takes what /pending shows behind it`);
  const found = await questions.find(args.slice(0, bounds.id));
  if (!("handle" in found)) {
    if (found.length === 0) {
      throw new CommandError("bad_command", "Cannot decide: nothing of this name waits", {
        hint: "/pending shows what waits",
      });
    }
    // a name can be anybody's: it is for the person to say which key they mean
    return pendingHtml(found, 0);
  }
  const docket = decisions.docketOf(found);
  if (docket !== null && !isEnough(member.role, docket.needs)) {
    throw new CommandError("role_too_low", `Cannot decide: this needs the role ${docket.needs}`);
  }
  const { title, ended } = await decisions.decide(found.handle, {
    ...{ verdict, by: member, chat: chat.id },
  });
  return markup`${bold(title)}: ${text(ended ?? "")}`;
}

async function mute(parts: CommandParts, { args, chat, member }: Ask): Promise<Html> {
  const [time = "", what = "*", ...rest] = args.split(/\s+/);
  const [, count, unit] = /^(\d{1,5})(m|min|h|d)$/.exec(time) ?? [];
  const span = Number(count) * units[unit as keyof typeof units];
  if (!(span > 0 && span <= longestMute) || rest.length > 0 || !isMutable(what)) {
    throw badCommand("write /mute 2h, or /mute 2h fog.uplink_down, for at most 7d");
  }
  const until = parts.clock() + span;
  if (!await chat.mute({ what, until }, member.actor)) throw badCommand("/unmute something first");
  return mutesHtml(chat, parts);
}

function mutesHtml(chat: Chat, { clock, times }: CommandParts): Html {
  const now = clock();
  const mutes = chat.mutes();
  if (mutes.length === 0) return text("Everything is told here.");
  const lines = mutes.map(({ what, until }) => {
    const name = what === "*" ? "everything but alarms" : what;
    return markup`• ${bold(name, 64)} until ${text(times(until, now))} (${
      text(spanText(until - now))
    })`;
  });
  return fitted([bold("Not told here"), ...lines], andMore);
}

function whoHtml({ site }: CommandParts, { chat, member }: Pick<Ask, "chat" | "member">): Html {
  const id = text(member.actor.slice("telegram:".length));
  return joined([
    markup`${bold(site)}: you are ${text(member.name, 40)}, user <code>${id}</code>, ${
      text(
        member.role,
      )
    }.`,
    markup`This is chat <code>${chat.called}</code>.`,
  ]);
}

function badCommand(hint: string): CommandError {
  return new CommandError("bad_command", "Cannot do that as it is written", { hint });
}
