/**
 * Errors as `application/problem+json` (RFC 9457): as a response of a route, and as the text that
 * goes straight to a socket when no request came to be.
 */
import { Buffer } from "node:buffer";

interface Extra {
  readonly hint?: string;
  readonly headers?: Record<string, string>;
}

/** @param code stable, for programs; `detail` is a sentence for people, `hint` the next step */
export function problem(
  status: number,
  code: string,
  detail: string,
  extra: Extra = {},
): Response {
  const { headers, body } = problemParts(status, code, detail, extra);
  return new Response(body, { status, headers });
}

/** What a route says that failed in a way it had not thought of. */
export function internalError(): Response {
  return problem(
    500,
    "internal",
    "Something went wrong here; the log of the site says what.",
  );
}

/** What a problem is made of. */
export function problemParts(
  status: number,
  code: string,
  detail: string,
  { hint, headers }: Extra = {},
): { status: number; title: string; headers: Record<string, string>; body: string } {
  const title = titles[status] ?? "Error";
  return {
    status,
    title,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
    body: JSON.stringify({ type: "about:blank", title, status, code, detail, hint }),
  };
}

/** A whole HTTP/1.1 response, after which the connection ends. */
export function lastWords(
  status: number,
  code: string,
  detail: string,
  extra: Extra = {},
): string {
  const { title, headers, body } = problemParts(status, code, detail, extra);
  const lines = Object.entries({
    ...headers,
    "content-length": String(Buffer.byteLength(body)),
    "connection": "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${title}\r\n${lines.join("")}\r\n${body}`;
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  417: "Expectation Failed",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};
