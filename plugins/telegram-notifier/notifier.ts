/** Puts the parts of the role together. */
import type { Host, Services } from "../../core/host/plugin.ts";
import { wallClock } from "../../core/services/hours.ts";
import { pause as realPause } from "../../core/services/pause.ts";
import { Alerts } from "./alerts.ts";
import { Asking } from "./asking.ts";
import { Bell } from "./bell.ts";
import { boundedFetch } from "./bounded_fetch.ts";
import { openChats } from "./chats.ts";
import { Commands } from "./commands.ts";
import { Condition, type Trouble } from "./condition.ts";
import type { Config } from "./config.ts";
import { Decisions } from "./decisions.ts";
import { handleIncoming } from "./incoming.ts";
import { Lane } from "./lane.ts";
import { Pacing } from "./pacing.ts";
import { patientDesk } from "./patient_desk.ts";
import { People } from "./people.ts";
import { QuestionBook } from "./question_book.ts";
import { Questions } from "./questions.ts";
import { Replies } from "./replies.ts";
import { type Figures, notifierRoutes } from "./routes.ts";
import { Telegram } from "./telegram.ts";
import type { TelegramError } from "./telegram_error.ts";
import { Tellings } from "./tellings.ts";
import { TellingsStore } from "./tellings_store.ts";
import { timesIn } from "./times.ts";
import { readToken } from "./token.ts";
import { Updates } from "./updates.ts";

/** Milliseconds between two looks at what waits for a decision, besides those after events. */
const betweenLooks = 20_000;

/** What a test has in its own hands. */
export interface Surroundings {
  readonly fetch: typeof fetch;
  readonly pause: typeof realPause;
  readonly random: () => number;
  /** Milliseconds that never go backwards. */
  readonly monotonic: () => number;
}

const real: Surroundings = {
  fetch,
  pause: realPause,
  random: Math.random,
  monotonic: () => performance.now(),
};

export async function startNotifier(
  host: Host & Pick<Services, "db" | "http" | "peers">,
  config: Config,
  surroundings: Surroundings = real,
): Promise<void> {
  const { site, db, audit, bus, peers, clock, log, signal, suite, metrics } = host;
  const { pause, random } = surroundings;
  const { token_file, users } = config;
  const desk = patientDesk(host.desk, { pause, signal });
  const times = timesIn(config.timezone);
  const condition = new Condition(host.report);
  const figures: Figures = { bot: null, connected: false, sent: 0, edited: 0, lastError: null };
  const messages = metrics.counter(
    "edgeward_telegram_messages_total",
    "Messages in Telegram, by what became of them",
  );
  const waitingGauge = metrics.gauge(
    "edgeward_telegram_waiting",
    "Events that wait to be told in Telegram, in all chats",
  );

  const chats = await openChats(config.chats, {
    ...{ db, audit, clock, pause, signal, wallClock: wallClock(config.timezone) },
  });
  const store = new TellingsStore({ db, log, pause, signal });
  const alerts = new Alerts(store, await store.alerts());
  const ringAll = () => chats.forEach(({ bell }) => bell.ring());
  const book = await QuestionBook.open({
    ...{ db, clock, within: config.ask_within, onChange: ringAll },
    randomBytes: (count) => suite.randomBytes(count),
    chats: config.chats.filter(({ questions }) => questions).map(({ id }) => id),
  });
  const decisions = new Decisions({ book, desk, audit, clock, times });
  const questions = new Questions({ desk, book, decisions, clock, log, onChange: ringAll });
  const served = await Promise.all(chats.map(async (chat) => ({
    chat,
    replies: new Replies(chat.bell),
    asking: await Asking.open({ site, chat, book, questions, db }),
    tellings: new Tellings(
      { site, chat, store, clock, times, within: config.group_within },
      await store.ofChat(chat.id),
    ),
  })));
  const servedOf = new Map(served.map((one) => [one.chat, one]));

  const { access } = host;
  host.http.mount(notifierRoutes({ site, figures, served, access, audit, db, clock }));
  if (token_file === undefined) {
    const detail = "token_file is not set: nobody is told anything";
    return condition.say("token", { state: "degraded", detail });
  }

  host.defer(() => store.close());
  host.defer(bus.listen((event) => {
    alerts.hear(event);
    questions.hear(event);
    const isAskedAbout = questions.isAskedAbout(event);
    for (const { chat, tellings } of served) {
      tellings.hear(event, { isAsked: isAskedAbout && chat.config.questions });
    }
    waitingGauge.set(served.reduce((sum, { tellings }) => sum + tellings.waiting, 0));
  }));

  const fetch = boundedFetch(surroundings.fetch);
  host.defer(() => fetch[Symbol.dispose]());
  const token = () => readToken(token_file);
  const telegram = new Telegram({
    ...{ apiRoot: config.api_root, token, fetch, pause, random, signal },
  });
  const people = new People({ users, db, audit, bus, clock, log });
  const commands = new Commands({
    ...{ site, desk, peers, questions, book, decisions, alerts, clock, times },
    clear: (chat) => servedOf.get(chat)!.tellings.clear(),
  });
  handleIncoming(telegram.bot, {
    ...{ site, telegram, people, commands, book, questions, decisions, chats },
    ...{ clock, log, pause, signal },
    reply: (chat, html, message) => servedOf.get(chat)!.replies.add(html, message),
  });

  const failed = (part: string, trouble: Trouble | null, error: TelegramError | null) => {
    if (error !== null) figures.lastError = error.message;
    condition.say(part, trouble);
  };
  const way = new Bell({ pause, signal });
  const updates = new Updates({
    ...{ telegram, log, random, signal, way },
    onState(trouble, error) {
      const isBack = trouble === null && !figures.connected;
      figures.connected = trouble === null;
      failed("updates", trouble, error);
      if (isBack) chats.forEach((chat) => chat.way.ring());
    },
    async onMet(username) {
      figures.bot = username;
      const shown = commands.all().map(({ name, summary }) => {
        return { command: name, description: summary };
      });
      await telegram.offer(shown).catch((error) => log.warn("no menu of commands", { error }));
    },
  });
  const pacing = new Pacing(surroundings.monotonic);
  const lanes = served.map(({ chat, replies, asking, tellings }) =>
    new Lane({
      ...{ chat, telegram, pacing, pause, clock, log, random, signal },
      sources: [replies, asking, tellings],
      sent(what) {
        figures[what]++;
        messages.add(1, { outcome: what });
        failed("sending", null, null);
        failed(`chat ${chat.id}`, null, null);
      },
      failed(error) {
        const { code, message, hint } = error;
        messages.add(1, { outcome: code });
        const what = hint === undefined ? message : `${message}: ${hint}`;
        const isOfChat = code === "chat_gone" || code === "refused";
        const [part, detail] = isOfChat
          ? [`chat ${chat.id}`, `chat ${chat.id}: ${what}`]
          : ["sending", what];
        failed(part, { state: "degraded", detail }, error);
      },
    })
  );
  const looking = (async () => {
    while (!signal.aborted) {
      await questions.look();
      await pause(betweenLooks, signal);
    }
  })();
  host.defer(async () => {
    await Promise.all([updates.ended, looking, ...lanes.map(({ ended }) => ended)]);
  });
}
