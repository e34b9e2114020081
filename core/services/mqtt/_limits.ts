/**
 * What one client may cost the embedded broker, and why a client is turned away. Every limit is on
 * memory or time that a stranger can take; the site's own client is bound by none of the rates.
 */
import { defaultPacketLimit } from "./_packet_limit.ts";

/** Times in milliseconds, sizes in bytes. */
export interface BrokerLimits {
  /** Clients logged in at once; the site's own is let in beyond it. */
  readonly clients: number;
  /** Connections from one address, or from one IPv6 network of 64 bits; not from this machine. */
  readonly clientsPerAddress: number;
  /** A new connection has this long to log in. */
  readonly connectTimeout: number;
  /** The largest packet. */
  readonly packetBytes: number;
  /** Sustained rates; twice as much may come at once. */
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  /** Who is above the rates for so long without a break is cut. */
  readonly patience: number;
  /** What may wait for a subscriber that reads slowly. */
  readonly queuedBytes: number;
  /** What a subscriber may leave without acknowledgement: messages, and their bytes. */
  readonly unacknowledged: number;
  readonly unacknowledgedBytes: number;
  readonly subscriptions: number;
  /** Silence is allowed for one and a half times as long, whatever the client asks for. */
  readonly keepAlive: number;
  /** WebSocket connections are asked for a sign of life this often. */
  readonly pingInterval: number;
}

export const defaultLimits: BrokerLimits = {
  clients: 1_000,
  clientsPerAddress: 256,
  connectTimeout: 10_000,
  packetBytes: defaultPacketLimit,
  messagesPerSecond: 100,
  bytesPerSecond: 512 * 1024,
  patience: 10_000,
  queuedBytes: 1024 * 1024,
  unacknowledged: 1_000,
  unacknowledgedBytes: 4 * 1024 * 1024,
  subscriptions: 64,
  keepAlive: 20 * 60_000,
  pingInterval: 30_000,
};

/** Why something was refused or a connection ended: the label of the counter. */
export type Reason =
  | "address" // too many connections from one address
  | "busy" // too many passwords to check
  | "client_id"
  | "full"
  | "login"
  | "malformed"
  | "qos2"
  | "rate"
  | "revoked"
  | "silent"
  | "slow_login"
  | "slow_reader"
  | "stranger"
  | "subscription"
  | "takeover"
  | "too_large"
  | "topic"
  | "websocket";

/** Counts a refusal. */
export type Refused = (reason: Reason) => void;
