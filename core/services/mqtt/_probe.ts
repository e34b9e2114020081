/**
 * Finds out whether a broker does what the site needs of it: that one user may subscribe by wildcard,
 * gets what it publishes with QoS 1, and may send the largest message of a session. A broker that
 * drops a message for its size, or by its access rules, acknowledges it all the same, so this cannot
 * be seen from publishing alone.
 *
 * It runs over a connection of its own: some brokers answer what they forbid by hanging up.
 */
import { equalBytes } from "../../base/bytes.ts";
import { pause } from "../pause.ts";
import { type Link, type LinkOptions, openLink } from "./_link.ts";

/** What a broker was seen to do. */
export interface BrokerFacts {
  /** A subscription with `+` in it is granted. */
  readonly wildcards: boolean;
  /** A message comes back to who published it. False also where the access rules forbid it. */
  readonly delivers: boolean;
  /** A message of `largestMessage` bytes comes back too. */
  readonly largeMessages: boolean;
}

export interface ProbeOptions extends Omit<LinkOptions, "onMessage"> {
  /** Milliseconds to wait for each message. Default 5 s. */
  timeout?: number;
}

/** Bytes of the largest message of a session: a Noise message and the header before it. */
export const largestMessage = 65_535 + 18;

/** @throws MqttError "mqtt_down" when the broker cannot be reached */
export async function probeBroker(options: ProbeOptions): Promise<BrokerFacts> {
  const { timeout = 5_000 } = options;
  const clientId = `${options.clientId}-probe`;
  const topic = `edgeward/probe/up/${clientId}`;
  let onMessage = (_payload: Uint8Array) => {};
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const link = await openLink({
    ...options,
    clientId,
    signal,
    onMessage: ({ payload }) => onMessage(payload),
  });

  /** Whether a message of this size comes back in time. */
  async function returns(size: number): Promise<boolean> {
    const sent = new Uint8Array(size);
    crypto.getRandomValues(sent.subarray(0, 16));
    const waited = new AbortController();
    let hasReturned = false;
    onMessage = (payload) => {
      hasReturned ||= equalBytes(payload, sent);
      if (hasReturned) waited.abort();
    };
    void link.closed.then(() => waited.abort());
    signal.addEventListener("abort", () => waited.abort(), { signal: waited.signal });
    link.publish(topic, sent, 1).catch(() => waited.abort());
    await pause(timeout, waited.signal);
    return hasReturned;
  }

  try {
    const wildcards = await subscribes(link, `edgeward/+/up/${clientId}`);
    const listens = wildcards || await subscribes(link, topic);
    const delivers = listens && await returns(16);
    return { wildcards, delivers, largeMessages: delivers && await returns(largestMessage) };
  } finally {
    stop.abort();
    await link.closed;
  }
}

async function subscribes(link: Link, filter: string): Promise<boolean> {
  try {
    await link.subscribe(filter);
    return true;
  } catch {
    return false;
  }
}
