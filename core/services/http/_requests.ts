/**
 * The way of a request: is it whole, may this client come now, which door, is the body there in time;
 * then its route runs. What fails on this way is answered as a problem, in the order of the requests.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import type { Log } from "../logging.ts";
import type { Buckets } from "../token_bucket.ts";
import { type BodyStore, hasBody, readBody } from "./_body.ts";
import type { Clients } from "./_client.ts";
import type { Connection } from "./_connections.ts";
import { type Door, type Doors, pathOf } from "./_doors.ts";
import { defaultLimits, type Limits, type RateClass } from "./_limits.ts";
import type { HttpMetrics } from "./_metrics.ts";
import { type Origin, type OriginEnv, originIn } from "./_origin.ts";
import { internalError, problem } from "./_problem.ts";
import { type Refusal, refusal, refuse } from "./_refusal.ts";
import { respond } from "./_respond.ts";

/** As many as the runtime hands on; what is beyond is lost without a word. */
const maxHeaderLines = 1_000;

interface RequestOptions {
  readonly doors: Doors;
  readonly clients: Clients;
  readonly buckets: Readonly<Record<RateClass, Buckets>>;
  readonly bodies: BodyStore;
  readonly limits: Limits;
  readonly metrics: HttpMetrics;
  readonly log: Log;
  /** Whether the listener speaks TLS. */
  readonly secure: boolean;
}

interface Requests {
  /** Sees to one request, to its end. */
  serve(incoming: IncomingMessage, outgoing: ServerResponse, connection: Connection): void;
  /** Who asks, at which path, and why it may not. Takes a token. */
  look(incoming: IncomingMessage, connection: Connection): Look;
}

interface Look {
  readonly path: string;
  readonly origin: Origin;
  readonly door: Door | undefined;
  readonly refused: Refusal | undefined;
}

export function requests(options: RequestOptions): Requests {
  const { doors, clients, buckets, bodies, limits, metrics, log } = options;
  const asked = new WeakMap<IncomingMessage, { door: Door; env: OriginEnv }>();
  const run = getRequestListener(
    async (request, env) => {
      const { incoming, outgoing } = env as HttpBindings;
      const { door, env: origin } = asked.get(incoming)!;
      const response = await door.app.fetch(request, origin);
      try {
        await respond(response, outgoing);
      } catch (error) {
        log.error("a request failed", { error });
        if (!outgoing.headersSent) return internalError();
      }
      return alreadySent;
    },
    {
      overrideGlobalObjects: false,
      autoCleanupIncoming: false,
      // for HTTP/1.0, which need not name one
      hostname: "localhost",
      errorHandler(error) {
        if ((error as Error).name !== "RequestError") throw error;
        return problem(400, "malformed", "The request's target or its Host is malformed.");
      },
    },
  );

  function look(incoming: IncomingMessage, { from }: Connection): Look {
    const { headers } = incoming;
    const client = clients.of(from, headers["x-forwarded-for"]?.toString());
    const origin = originIn(headers, from, { clients, client, secure: options.secure });
    const path = pathOf(incoming.url ?? "");
    const door = path === null ? undefined : doors.at(path);
    const wait = buckets[door?.rate ?? "open"].take(client, performance.now());
    const refused = wait > 0
      ? refusal("rate_limited", { retryAfter: Math.ceil(wait / 1_000) })
      : path === null
      ? refusal("malformed")
      : faultIn(incoming);
    return { path: path ?? "", origin, door, refused };
  }

  /** Reads the body and runs the route, unless something is in the way. */
  async function answer(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    request: Look & {
      hold: (bytes: number) => boolean;
      onSpoilt: (spoil: () => void) => void;
    },
  ): Promise<Refusal | undefined> {
    const { door, origin, refused, hold, onSpoilt } = request;
    if (refused !== undefined) return refused;
    if (door === undefined) return refusal("not_found");
    if (hasBody(incoming)) {
      const most = door.maxBody;
      const timeout = limits.bodyTimeout * Math.max(1, most / defaultLimits.maxBody);
      if (incoming.headers.expect !== undefined && announced(incoming) <= most) {
        outgoing.writeContinue();
      }
      const body = await readBody(incoming, { most, timeout, hold, onSpoilt });
      if (body === "body_too_large") return refusal(body, { detail: tooLarge(most) });
      if (!Buffer.isBuffer(body)) return refusal(body);
      Object.assign(incoming, { rawBody: body });
    }
    if (outgoing.destroyed) return undefined;
    asked.set(incoming, { door, env: { origin } });
    await run(incoming, outgoing);
    return undefined;
  }

  return {
    look,
    serve(incoming, outgoing, connection) {
      const began = performance.now();
      const request = look(incoming, connection);
      let held = 0;
      let isOver = false;
      const hold = (bytes: number) => {
        const isHeld = !isOver && bodies.hold(request.origin.client, bytes);
        if (isHeld) held += bytes;
        return isHeld;
      };
      let spoilt = () => {};
      connection.begin(outgoing, {
        ended() {
          isOver = true;
          if (held > 0) bodies.release(request.origin.client, held);
          if (!outgoing.headersSent) return;
          metrics.answered(request.door?.role ?? "none", {
            method: incoming.method ?? "",
            status: outgoing.statusCode,
            seconds: (performance.now() - began) / 1_000,
          });
        },
        spoilt() {
          if (!incoming.complete) spoilt();
        },
      });
      // a client that goes away is no error; whoever reads the body hears of it
      incoming.on("error", () => {});
      outgoing.on("error", () => {});
      for (const [name, value] of Object.entries(usualHeaders)) outgoing.setHeader(name, value);
      const onSpoilt = (spoil: () => void) => void (spoilt = spoil);
      answer(incoming, outgoing, { ...request, hold, onSpoilt }).then((refused) => {
        if (refused === undefined || outgoing.destroyed) return;
        metrics.refused(refused.code);
        refuse(incoming, outgoing, refused);
      }).catch((error: unknown) => {
        log.error("a request failed", { error });
        connection.cut();
      });
    },
  };
}

/** Tells the adapter that there is nothing left to write. */
const alreadySent = new Response(null, { headers: { "x-hono-already-sent": "true" } });

/** An API's answers are not guessed at, framed or run; a route that serves pages sets its own. */
const usualHeaders = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

/** What is wrong with a request that the parser lets through. */
function faultIn({ headers, rawHeaders, httpVersion }: IncomingMessage): Refusal | undefined {
  const hosts = rawHeaders.filter((_, i) => /^host$/i.test(rawHeaders[i - 1] ?? "") && i % 2 === 1);
  const isAddressed = hosts.length === 1
    ? /^[\w.~%:[\]-]+$/.test(hosts[0]!)
    : httpVersion === "1.0" && hosts.length === 0;
  if (!isAddressed) {
    return refusal("malformed", { detail: "A request has one Host (RFC 9112 §3.2)." });
  }
  if (!httpVersion.startsWith("1.")) return refusal("malformed");
  if (rawHeaders.length >= 2 * maxHeaderLines) return refusal("head_too_large");
  if (!/^100-continue$/i.test(headers.expect ?? "100-continue")) {
    return refusal("expectation_failed");
  }
  return undefined;
}

function announced({ headers }: IncomingMessage): number {
  return Number(headers["content-length"] ?? 0);
}

function tooLarge(most: number): string {
  const size = most % 1_048_576 === 0 ? `${most / 1_048_576} MiB` : `${most} bytes`;
  return `The request's body is larger than ${size}.`;
}
