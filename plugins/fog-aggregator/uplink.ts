/**
 * Carries the outbox to the cloud, in order, each summary until the cloud has said that it is stored.
 * It begins by asking where the cloud stands; what the cloud has already is not sent again, and what
 * was sent but not answered is sent again, which does no harm there.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { pause } from "../../core/services/pause.ts";
import { type Channel, ChannelError } from "../../core/services/sessions/mod.ts";
import {
  decodeHead,
  decodeSummariesAnswer,
  encodeUplinkCall,
  type Head,
  maxStatements,
} from "../../core/wire/uplink.ts";
import { cloudOf } from "./cloud.ts";
import type { Config } from "./config.ts";
import type { Store, StoredSummary } from "./store.ts";

export interface Uplink {
  /** There is something new to send. */
  wake(): void;
}

/** Bytes of statements in one call, which must fit into a frame of any binding. */
const maxBytes = 192 * 1024;

/** Waiting times after a failure; jitter keeps fogs apart after an outage of their cloud. */
const firstPause = 500;
const longestPause = 60_000;

/**
 * Starts the uplink, if the site has a cloud. @param report hears why nothing gets through, or null
 * @throws CodedError when `code_file` is of no use
 */
export function startUplink(
  host: Host & Pick<Services, "sessions">,
  config: Config,
  store: Store,
  report: (trouble: string | null) => void,
): Uplink | null {
  const remote = cloudOf(config);
  if (remote === null) {
    host.log.info("no cloud configured: summaries stay here");
    return null;
  }
  const channel = host.sessions.dial(remote, "uplink");
  const stopping = new AbortController();
  let bell = Promise.withResolvers<void>();
  const running = run();
  host.defer(async () => {
    stopping.abort();
    bell.resolve();
    await channel[Symbol.asyncDispose]();
    await running;
  });
  return { wake: () => bell.resolve() };

  async function run(): Promise<void> {
    let up: boolean | null = null;
    let head: Head | null = null;
    let wait = firstPause;
    while (!stopping.signal.aborted) {
      bell = Promise.withResolvers<void>();
      try {
        if (head === null) head = await agree(channel, store);
        if (up !== true) say(up = true, "the cloud answers");
        wait = firstPause;
        if (await sendPending(channel, store, host)) continue;
        await bell.promise;
      } catch (error) {
        if (stopping.signal.aborted) return;
        head = null;
        if (up !== false) say(up = false, messageOf(error));
        host.log.debug("uplink failed", { error });
        await pause(wait * (0.5 + Math.random()), stopping.signal);
        wait = Math.min(wait * 2, longestPause);
      }
    }
  }

  function say(up: boolean, detail: string): void {
    report(up ? null : `uplink: ${detail}`);
    host.bus.emit({
      type: up ? "fog.uplink_up" : "fog.uplink_down",
      severity: up ? "info" : "warning",
      subject: host.site,
      detail: { detail },
    });
  }
}

/** Learns where the cloud stands and settles what it has. @throws CodedError "chain_unknown" */
async function agree(channel: Channel, store: Store): Promise<Head> {
  const head = decodeHead(await channel.call(encodeUplinkCall({ call: "head" })));
  if (head.epoch === 0) return head;
  const ours = await store.summary(head.epoch, head.seq);
  if (ours === null || !equalBytes(ours.hash, head.hash)) {
    throw new CodedError("chain_unknown", "the cloud holds summaries that this fog does not know");
  }
  await store.acknowledge(head.epoch, head.seq);
  return head;
}

/** Sends one call's worth. Returns whether there may be more. */
async function sendPending(channel: Channel, store: Store, host: Host): Promise<boolean> {
  const pending = fitting(await store.pending(maxStatements));
  if (pending.length === 0) return false;
  const statements = pending.map(({ statement }) => statement);
  const answer = decodeSummariesAnswer(
    await channel.call(encodeUplinkCall({ call: "summaries", statements })),
  );
  const { head, refused } = answer;
  const reached = pending.findLast(({ epoch, seq }) => epoch === head.epoch && seq === head.seq);
  if (reached !== undefined && equalBytes(reached.hash, head.hash)) {
    await store.acknowledge(head.epoch, head.seq);
  }
  if (refused.length > 0) {
    host.log.error("the cloud refuses summaries", { refused });
    throw new ChannelError("refused", `the cloud refuses a summary: ${refused[0]!.reason}`);
  }
  if (reached === undefined) throw new ChannelError("refused", "the cloud acknowledges nothing");
  return true;
}

/** As many as fit into one call, and always the first. */
function fitting(pending: readonly StoredSummary[]): readonly StoredSummary[] {
  let bytes = 0;
  const end = pending.findIndex(({ statement }, i) =>
    (bytes += statement.length) > maxBytes && i > 0
  );
  return end === -1 ? pending : pending.slice(0, end);
}
