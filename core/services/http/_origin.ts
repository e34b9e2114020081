/**
 * Where a request comes from, for the few routes that do not answer everybody alike. It reaches a route
 * through Hono's environment, which no request can write into.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Context } from "hono";
import type { Clients } from "./_client.ts";

export interface Origin {
  /** The address, as limits have it. */
  readonly client: string;
  /** Whether nobody on the way could read along: it came by TLS, or from this machine. */
  readonly isPrivate: boolean;
}

/** What the listener hands to an app with each request. */
export interface OriginEnv {
  readonly origin: Origin;
}

/** Null where no listener brought the request. */
export function originOf(c: Context): Origin | null {
  return (c.env as Partial<OriginEnv> | undefined)?.origin ?? null;
}

const loopback = /^(127\.|::1$|::ffff:127\.)/i;

/**
 * @param from the address of the socket
 * @param options.secure whether this listener speaks TLS
 */
export function originIn(
  headers: IncomingHttpHeaders,
  from: string,
  { clients, client, secure }: { clients: Clients; client: string; secure: boolean },
): Origin {
  return { client, isPrivate: secure || loopback.test(from) && isOwn(headers, from, clients) };
}

/** A proxy on this machine brings others: it has to be trusted, and to say that they came by TLS. */
function isOwn(headers: IncomingHttpHeaders, from: string, clients: Clients): boolean {
  const isForwarded = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "forwarded",
    "via",
  ]
    .some((name) => headers[name] !== undefined);
  if (!isForwarded) return !clients.isProxy(from);
  const scheme = headers["x-forwarded-proto"]?.toString().split(",").at(-1)?.trim();
  return clients.isProxy(from) && scheme?.toLowerCase() === "https";
}
