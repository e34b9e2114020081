/**
 * Carries the outbox to the cloud through any outage: a conversation begins with the question where the
 * cloud stands, goes on as long as there are summaries, and begins again after a failure. Fogs that lost
 * their cloud together come back apart: pauses are random, and so is when their backlog begins.
 */
import { messageOf } from "../../core/base/errors.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { pause } from "../../core/services/pause.ts";
import { encodeUplinkCall } from "../../core/wire/uplink.ts";
import { CallSize, compare } from "./backlog.ts";
import { cloudOf } from "./cloud.ts";
import type { Config } from "./config.ts";
import { Conversation, type Memory, type Surroundings } from "./conversation.ts";
import type { Outbox } from "./outbox.ts";

export interface Uplink {
  /** There is something new to send. */
  wake(): void;
  status(): UplinkStatus;
}

export interface UplinkStatus {
  readonly up: boolean;
  /** Where the cloud stood when it was heard last; null when this process has not heard it. */
  readonly head: { readonly epoch: number; readonly seq: number } | null;
  /** Why nothing gets through, or what the cloud refuses; null when all is well. */
  readonly trouble: string | null;
  readonly bytes_per_call: number;
}

/** The uplink's own parts of the role. */
export interface UplinkParts {
  readonly outbox: Outbox;
  readonly clock: Surroundings["clock"];
  /** Hears why nothing gets through or what is refused, or null. */
  readonly report: (trouble: string | null) => void;
  readonly reopened: Surroundings["reopened"];
}

/** Time and chance, real unless given. */
export interface UplinkOptions {
  readonly pause?: typeof pause;
  readonly random?: () => number;
  readonly monotonic?: () => number;
}

/** Pauses after failures are random, below a bound that doubles from the first to the longest. */
const firstPause = 500;
const longestPause = 60_000;
/** After an outage longer than this, the backlog begins within `spread`. */
const longOutage = 60_000;
const spread = 30_000;
/** How often the cloud is asked where it stands, at the least. */
const askEvery = 3_600_000;

/**
 * Starts the uplink, if the site has a cloud.
 * @throws CodedError when `code_file` is of no use
 */
export function startUplink(
  host: Host & Pick<Services, "db" | "sessions">,
  config: Config,
  { pause: wait = pause, random = Math.random, monotonic = () => performance.now(), ...parts }:
    & UplinkParts
    & UplinkOptions,
): Uplink | null {
  const remote = cloudOf(config);
  if (remote === null) {
    host.log.info("no cloud configured: summaries stay here");
    return null;
  }
  const channel = host.sessions.dial(remote, "uplink");
  const { outbox, report } = parts;
  const memory: Memory = { head: null, epochBegan: null, refused: null, size: new CallSize() };
  const stopping = new AbortController();
  let bell = new AbortController();
  let up: boolean | null = null;
  let trouble: string | null = null;
  let failures = 0;
  /** Since when nothing gets through. */
  let away: number | null = monotonic();
  /** The furthest that the cloud has ever come: what is before that is no progress. */
  let furthest = memory.head;

  const running = run();
  host.defer(async () => {
    stopping.abort();
    bell.abort();
    await channel[Symbol.asyncDispose]();
    await running;
  });
  return {
    wake: () => bell.abort(),
    status() {
      const head = memory.head && { epoch: memory.head.epoch, seq: memory.head.seq };
      return { up: up === true, head, trouble, bytes_per_call: memory.size.bytes };
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await converse();
      } catch (error) {
        if (stopping.signal.aborted) return;
        away ??= monotonic();
        host.log.debug("uplink failed", { error });
        fails(messageOf(error));
        await wait(random() * Math.min(longestPause, firstPause * 2 ** failures), stopping.signal);
        failures++;
      }
    }
  }

  async function converse(): Promise<void> {
    const ask = (call: Parameters<typeof encodeUplinkCall>[0]) =>
      channel.call(encodeUplinkCall(call));
    const conversation = new Conversation(ask, { ...parts, host, memory, monotonic });
    await conversation.agree();
    const asked = { at: monotonic() };
    const wasAway = away === null ? 0 : asked.at - away;
    const opens = wasAway > longOutage ? asked.at + random() * spread : asked.at;
    while (!stopping.signal.aborted) {
      bell = new AbortController();
      const withBacklog = monotonic() >= opens;
      const went = await conversation.step({ withBacklog });
      await works({ isIdle: !went });
      if (went) continue;
      const next = Math.min(asked.at + askEvery, withBacklog ? Infinity : opens);
      await wait(Math.max(0, next - monotonic()), bell.signal);
      if (stopping.signal.aborted || monotonic() < asked.at + askEvery) continue;
      await conversation.agree();
      asked.at = monotonic();
    }
  }

  async function works({ isIdle }: { isIdle: boolean }): Promise<void> {
    const { head } = memory;
    const isFurther = head !== null && (furthest === null || compare(head, furthest) > 0);
    if (isFurther) furthest = head;
    if (isFurther || isIdle) failures = 0;
    away = null;
    if (up !== true) tell(up = true, "the cloud answers");
    if (memory.refused === null || (isIdle && memory.refused > 0)) {
      memory.refused = (await outbox.counts()).refused;
    }
    const { refused } = memory;
    report(
      trouble = refused === 0 ? null : `the cloud refuses ${refused} summaries: ` +
        "GET /fog-aggregator/outbox?state=set_aside names them, the cloud's log says why",
    );
  }

  function fails(reason: string): void {
    report(trouble = `uplink: ${reason}`);
    if (up !== false) tell(up = false, reason);
  }

  function tell(isUp: boolean, detail: string): void {
    host.bus.emit({
      type: isUp ? "fog.uplink_up" : "fog.uplink_down",
      severity: isUp ? "info" : "warning",
      subject: host.site,
      detail: { detail },
    });
  }
}
