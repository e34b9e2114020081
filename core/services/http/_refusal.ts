/** Why a request, or a connection, goes no further, and how its sender is told. */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { hasBody } from "./_body.ts";
import type { Refused } from "./_metrics.ts";
import { lastWords, problemParts } from "./_problem.ts";

/** For how long the rest of a refused body is thrown away, so that its sender gets to the answer. */
const linger = 500;

export interface Refusal {
  readonly code: Refused;
  readonly status: number;
  readonly detail: string;
  /** Seconds. */
  readonly retryAfter?: number;
}

/** A refusal; `detail` replaces the usual sentence. */
export function refusal(
  code: Refused,
  options: { detail?: string; retryAfter?: number } = {},
): Refusal {
  return { code, ...usual[code], ...options };
}

/** What to write to a socket that no request came from, before it ends. */
export function farewell({ status, code, detail, retryAfter }: Refusal): string {
  return lastWords(status, code, detail, { headers: retryHeader(retryAfter) });
}

/**
 * Answers a request with a problem. A body that is not read to its end is the end of the connection,
 * once its sender had a moment to hear the answer.
 */
export function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code, detail, retryAfter }: Refusal,
): void {
  const { headers, body } = problemParts(status, code, detail, {
    headers: { "content-length": "", ...retryHeader(retryAfter) },
  });
  headers["content-length"] = String(Buffer.byteLength(body));
  if (!hasBody(incoming) || incoming.readableEnded) {
    outgoing.writeHead(status, headers).end(body);
    return;
  }
  outgoing.writeHead(status, { ...headers, connection: "close" });
  outgoing.write(body);
  const end = () => {
    clearTimeout(timer);
    outgoing.end();
  };
  const timer = setTimeout(end, linger);
  outgoing.once("close", end);
  incoming.once("end", end).resume();
}

function retryHeader(seconds: number | undefined): Record<string, string> {
  return seconds === undefined ? {} : { "retry-after": String(seconds) };
}

const usual: Readonly<Record<Refused, Omit<Refusal, "code">>> = {
  not_found: { status: 404, detail: "There is nothing at this address." },
  malformed: { status: 400, detail: "This is not a request of HTTP/1.1 (RFC 9112)." },
  expectation_failed: { status: 417, detail: "The only expectation known here is 100-continue." },
  head_timeout: { status: 408, detail: "The request's head took too long." },
  head_too_large: { status: 431, detail: "The request's head is too large." },
  body_timeout: { status: 408, detail: "The request's body took too long." },
  body_too_large: { status: 413, detail: "The request's body is too large." },
  body_cut: { status: 400, detail: "The request's body is broken off or malformed." },
  bodies_full: { status: 503, detail: "Too many bodies are on their way.", retryAfter: 1 },
  rate_limited: { status: 429, detail: "Too many requests come from this address." },
  full: { status: 503, detail: "There are too many connections.", retryAfter: 5 },
  client_full: {
    status: 503,
    detail: "There are too many connections from this address.",
    retryAfter: 5,
  },
  tls: { status: 400, detail: "This is no TLS connection." },
};
