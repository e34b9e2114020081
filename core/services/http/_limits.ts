/**
 * Every bound of the public listener, with its default, in one place. Times are milliseconds, sizes
 * bytes. A client is an address: an IPv4 address, or the /64 of an IPv6 one.
 */
import type { Rate } from "../token_bucket.ts";

/**
 * Which bucket a request draws from. Session endpoints have their own, a generous one: a fog sends
 * what a thousand meters say from one address, and every frame is authenticated behind it.
 */
export type RateClass = "open" | "session";

export interface Limits {
  /** For a request's head; the first one's time begins when the connection opens. */
  readonly headTimeout: number;
  /** For a whole body, per MiB that its route takes. */
  readonly bodyTimeout: number;
  /** How long a connection may stay between two requests. */
  readonly keepAlive: number;
  /** How long nothing may move on a connection while an answer is on its way. */
  readonly stallTimeout: number;
  /** For a TLS handshake. */
  readonly handshakeTimeout: number;
  /** How long requests under way may go on when the listener closes. */
  readonly drain: number;
  readonly maxHead: number;
  /** Of a route that does not say otherwise. */
  readonly maxBody: number;
  /** Bodies held in memory at a time, of all clients, and of one. */
  readonly maxBodies: number;
  readonly maxClientBodies: number;
  readonly maxConnections: number;
  /** Of one client; a trusted proxy may have as many as there are. */
  readonly maxClientConnections: number;
  /** Clients whose rate is remembered; beyond, the one that was away longest is forgotten. */
  readonly maxClients: number;
  readonly rates: Readonly<Record<RateClass, Rate>>;
}

const MiB = 1024 * 1024;

export const defaultLimits: Limits = {
  headTimeout: 10_000,
  bodyTimeout: 30_000,
  keepAlive: 65_000,
  stallTimeout: 120_000,
  handshakeTimeout: 10_000,
  drain: 8_000,
  maxHead: 16 * 1024,
  maxBody: MiB,
  maxBodies: 128 * MiB,
  maxClientBodies: 16 * MiB,
  maxConnections: 10_000,
  maxClientConnections: 1_000,
  maxClients: 50_000,
  rates: {
    open: { perSecond: 100, burst: 300 },
    session: { perSecond: 1_000, burst: 3_000 },
  },
};
