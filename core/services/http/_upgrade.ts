/**
 * Upgrades that a route takes (RFC 9110 §7.8): the request goes through the same door, guard and
 * problems as any other, and the route that it reaches either takes the connection over or answers.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Context, Hono } from "hono";
import type { Origin, OriginEnv } from "./_origin.ts";
import { problem } from "./_problem.ts";

/** Takes over a connection whose request asked for WebSocket; `head` came behind the request. */
export type UpgradeHandler = (
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  origin: Origin,
) => void;

/** What a route finds in its environment when its request asks for WebSocket. */
interface UpgradeEnv extends Partial<OriginEnv> {
  takeOver?(handler: UpgradeHandler): void;
}

/**
 * Hands the connection of a request over, once the route has returned what this gives. A request that
 * asked for nothing of the kind hears so.
 */
export function takeOver(c: Context, handler: UpgradeHandler): Response {
  const env = c.env as UpgradeEnv | undefined;
  if (env?.takeOver === undefined) {
    return problem(426, "upgrade_required", "This address speaks WebSocket only.", {
      headers: { upgrade: "websocket", connection: "upgrade" },
    });
  }
  env.takeOver(handler);
  return new Response(null, { status: 204 });
}

/** Runs the routes for an upgrade. Gives who takes it over, or what to answer; null for nothing. */
export async function offer(
  app: Hono,
  incoming: IncomingMessage,
  { origin }: OriginEnv,
): Promise<UpgradeHandler | Response | null> {
  let taken: UpgradeHandler | undefined;
  const env: UpgradeEnv = { origin, takeOver: (handler) => taken = handler };
  const response = await app.fetch(requestOf(incoming), env);
  if (taken !== undefined) return taken;
  if (response.status >= 400) return response;
  await response.body?.cancel();
  return null;
}

/** A response as it goes over a connection that ends with it. */
export async function written(response: Response): Promise<Uint8Array> {
  const body = new Uint8Array(await response.arrayBuffer());
  const { status } = response;
  const headers = new Headers(response.headers);
  headers.set("content-length", String(body.length));
  headers.set("connection", "close");
  const lines = Array.from(headers, ([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} \r\n${lines}\r\n`, "latin1"), body]);
}

function requestOf({ url = "/", headers }: IncomingMessage): Request {
  const target = URL.parse(url, `http://${headers.host}`) ?? new URL("http://localhost/");
  const pairs = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    [value ?? []].flat().map((one) => [name, one])
  );
  return new Request(target, { headers: pairs });
}
