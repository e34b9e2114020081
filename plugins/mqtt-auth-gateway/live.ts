/**
 * `GET /mqtt-auth-gateway/live`: the feed over WebSocket. Whoever listens shows a viewer's token, in
 * the header or, as browsers cannot, in the first message; never in the address, which logs keep. So
 * many listen at once; who does not keep up is cut, and whose token is revoked is sent away.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { Secret } from "../../core/base/secret.ts";
import type { Guarded } from "../../core/services/access/mod.ts";
import {
  problem,
  type SocketLimits,
  type SocketListener,
  type TextSocket,
  webSocket,
} from "../../core/services/http/mod.ts";
import type { Feed } from "./feed.ts";

export interface LiveLimits extends Partial<SocketLimits> {
  /** Listeners at once, those included who have not shown their token yet. */
  readonly clients: number;
  /** Those who have not. */
  readonly strangers: number;
  /** Milliseconds to show the token, and after which it is looked at again. */
  readonly patience: number;
  readonly recheck: number;
}

const usual: LiveLimits = { clients: 64, strangers: 16, patience: 5_000, recheck: 60_000 };

/** Codes of goodbyes, beyond those of RFC 6455 §7.4. */
const unauthorized = 4401;
const tooLate = 4408;

export interface Live {
  readonly routes: Hono;
  /** How many listen. */
  readonly clients: () => number;
  /** Sends everybody away. */
  close(): void;
}

/** @param gate lets viewers pass */
export function liveFeed(
  feed: Feed,
  gate: MiddlewareHandler<Guarded>,
  limits: Partial<LiveLimits> = {},
): Live {
  const { clients, strangers, patience, recheck, ...socketLimits } = { ...usual, ...limits };
  const guard = new Hono<Guarded>().get("/mqtt-auth-gateway/live", gate, (c) => c.body(null, 204));
  /** Each with what sends it away. */
  const open = new Map<TextSocket, { isKnown: boolean; end: () => void }>();

  /** What the guard says to a token. */
  async function check(authorization: string): Promise<Response> {
    return await guard.request("/mqtt-auth-gateway/live", { headers: { authorization } });
  }

  function listen(socket: TextSocket, after: number | null, shown: string | null): SocketListener {
    let authorization = shown === null ? null : new Secret(shown);
    let hasShown = shown !== null;
    let unlisten = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const client = { isKnown: false, end: () => socket.close(1001, "the gateway stops") };
    open.set(socket, client);

    function admit(): void {
      client.isKnown = true;
      clearTimeout(timer);
      timer = setInterval(() => void lookAgain(), recheck);
      unlisten = feed.listen((text) => socket.send(text), after);
    }

    async function lookAgain(): Promise<void> {
      const { status } = await check(authorization!.reveal()).catch(() => ({ status: 0 }));
      if (status === 401 || status === 403) socket.close(unauthorized, "the token is not valid");
    }

    async function show(text: string): Promise<void> {
      const token = tokenIn(text);
      if (token === null) return socket.close(unauthorized, 'expected {"token": "…"}');
      authorization = new Secret(`Bearer ${token}`);
      const { status } = await check(authorization.reveal());
      if (isOver) return;
      if (status !== 204) return socket.close(unauthorized, "the token is not valid");
      admit();
    }

    // several may have come to this point at once
    if (open.size > clients) socket.close(1013, "too many listen already");
    else if (hasShown) admit();
    else timer = setTimeout(() => socket.close(tooLate, "no token came"), patience);
    return {
      onText(text) {
        // one message, one look: who has shown something has nothing more to say
        if (hasShown) return socket.close(1008, "nothing more was expected");
        hasShown = true;
        show(text).catch(() => socket.close(1011, "something went wrong here"));
      },
      onClose() {
        isOver = true;
        clearTimeout(timer);
        unlisten();
        authorization?.wipe();
        open.delete(socket);
      },
    };
  }

  const routes = new Hono();
  routes.get("/live", async (c) => {
    const query = c.req.query();
    const { after } = query;
    if (Object.keys(query).some((name) => name !== "after")) {
      return bad("after is all that can be asked for; a token goes into the first message");
    }
    if (after !== undefined && !/^\d{1,16}$/.test(after)) return bad("after is a message's seq");
    const authorization = c.req.header("authorization") ?? null;
    if (authorization !== null) {
      const verdict = await check(authorization);
      if (verdict.status !== 204) return verdict;
    }
    const unknown = [...open.values()].filter(({ isKnown }) => !isKnown).length;
    if (open.size >= clients || authorization === null && unknown >= strangers) {
      return problem(503, "too_many_listeners", "Too many listen already.", {
        headers: { "retry-after": "10" },
      });
    }
    return join(c, after === undefined ? null : Number(after), authorization);
  });

  function join(c: Context, after: number | null, authorization: string | null): Response {
    return webSocket(c, (socket) => listen(socket, after, authorization), socketLimits);
  }

  return {
    routes,
    clients: () => open.size,
    close() {
      for (const { end } of [...open.values()]) end();
    },
  };
}

/** The token in `{"token": "…"}`; a token holds no space, or it would be another header. */
function tokenIn(text: string): string | null {
  try {
    const { token } = JSON.parse(text) as { token?: unknown };
    return typeof token === "string" && /^[\x21-\x7e]{1,200}$/.test(token) ? token : null;
  } catch {
    return null;
  }
}

function bad(detail: string): Response {
  return problem(400, "bad_query", `Cannot read the query: ${detail}.`);
}
