/**
 * Finds out what a broker does of what the site needs: that one user may subscribe by wildcard, gets
 * what it publishes with QoS 1, and may send the largest message of a session. A broker that drops a
 * message for its size, or by its access rules, acknowledges it all the same, so this cannot be seen
 * from publishing alone. And what else is worth knowing of it.
 *
 * It runs over connections of its own: some brokers answer what they forbid by hanging up.
 */
import { equalBytes } from "../../base/bytes.ts";
import { pause } from "../pause.ts";
import { type Link, type LinkOptions, type MqttMessage, openLink } from "./_link.ts";

/** What a broker was seen to do. */
export interface BrokerFacts {
  /** What it calls itself; null when it does not say. */
  readonly name: string | null;
  /** A subscription with `+` in it is granted. */
  readonly wildcards: boolean;
  /** The QoS of a subscription that asked for 1. */
  readonly qos: number;
  /** Bytes of the largest message that came back; 0 when none does, by its access rules maybe. */
  readonly largest: number;
  /** It keeps the last message of a topic for those who come later; null when that was not seen. */
  readonly retains: boolean | null;
  /** A connection that asks for a new session gets one; null when that was not seen. */
  readonly forgets: boolean | null;
}

export interface ProbeOptions extends Omit<LinkOptions, "onMessage"> {
  /** Milliseconds to wait for each message. Default 5 s. */
  timeout?: number;
}

/** Bytes of the largest message of a session: a Noise message and the header before it. */
export const largestMessage = 65_535 + 18;
/** From small to large: a message that does not come back costs time, and maybe the connection. */
const sizes = [16, 1_024, 8_192, 32_768, largestMessage];
/** Where brokers say what they are: Mosquitto and its kin, EMQX. */
const names = ["$SYS/broker/version", "$SYS/brokers/+/version"];

/** @throws MqttError "mqtt_down" when the broker cannot be reached */
export async function probeBroker(options: ProbeOptions): Promise<BrokerFacts> {
  const clientId = `${options.clientId}-probe`;
  const ends = {
    topic: `edgeward/probe/up/${clientId}`,
    wild: `edgeward/+/up/${clientId}`,
  };
  const needed = await visit({ ...options, clientId }, (line) => essentials(line, ends));
  const nothing = { name: null, retains: null, forgets: null };
  if (needed.largest === 0) return { ...nothing, ...needed };
  // what it does not answer here is not known, and not needed
  const more = await visit({ ...options, clientId }, (line) => extras(line, ends.topic))
    .catch(() => nothing);
  return { ...more, ...needed };
}

async function essentials(line: Line, { topic, wild }: { topic: string; wild: string }) {
  let granted = await line.subscribe(wild);
  const wildcards = granted !== undefined;
  granted ??= await line.subscribe(topic);
  let largest = 0;
  if (granted !== undefined) {
    for (const size of sizes) {
      if (!await line.returns(topic, size)) break;
      largest = size;
    }
  }
  return { wildcards, qos: granted ?? 0, largest };
}

/** Comes under the same id as the visit before, which unsubscribed from nothing. */
async function extras(line: Line, topic: string) {
  const forgets = !line.link.isStale;
  let retains: boolean | null = null;
  await line.link.publish(topic, Uint8Array.of(1), { qos: 1, retain: true });
  if (await line.subscribe(topic) !== undefined && await line.returns(topic)) {
    retains = line.heard.some((message) => message.retained && message.topic === topic);
    await line.link.publish(topic, new Uint8Array(), { qos: 1, retain: true });
  }
  for (const name of names) await line.subscribe(name);
  await line.returns(topic);
  const said = line.heard.find(({ topic }) => topic.startsWith("$SYS/"));
  return { name: said === undefined ? null : nameIn(said.payload), retains, forgets };
}

/** A connection, and what has come over it. */
interface Line {
  readonly link: Link;
  readonly heard: readonly MqttMessage[];
  /** The QoS granted; undefined when it was refused. */
  subscribe(filter: string): Promise<number | undefined>;
  /** Whether a message of this size comes back in time. */
  returns(topic: string, size?: number): Promise<boolean>;
}

/** Messages that are looked at: nobody else's business is below the probe's topics. */
const heardLimit = 32;

async function visit<T>(options: ProbeOptions, act: (line: Line) => Promise<T>): Promise<T> {
  const { timeout = 5_000 } = options;
  const heard: MqttMessage[] = [];
  let onMessage = (_message: MqttMessage) => {};
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const link = await openLink({
    ...options,
    signal,
    onMessage(message) {
      if (heard.length < heardLimit) heard.push(message);
      onMessage(message);
    },
  });
  try {
    return await act({
      link,
      heard,
      subscribe: (filter) => link.subscribe(filter).catch(() => undefined),
      async returns(topic, size = 16) {
        const sent = new Uint8Array(size);
        crypto.getRandomValues(sent.subarray(0, 16));
        const waited = new AbortController();
        let hasReturned = false;
        onMessage = ({ payload }) => {
          hasReturned ||= equalBytes(payload, sent);
          if (hasReturned) waited.abort();
        };
        void link.closed.then(() => waited.abort());
        signal.addEventListener("abort", () => waited.abort(), { signal: waited.signal });
        link.publish(topic, sent, { qos: 1 }).catch(() => waited.abort());
        await pause(timeout, waited.signal);
        return hasReturned;
      },
    });
  } finally {
    stop.abort();
    await link.closed;
  }
}

/** As it may be shown: what a broker says is a stranger's word. */
function nameIn(payload: Uint8Array): string | null {
  const text = new TextDecoder().decode(payload.subarray(0, 64));
  return text.replace(/[^\x20-\x7e]/g, "").trim() || null;
}
