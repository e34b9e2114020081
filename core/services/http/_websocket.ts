/**
 * WebSockets that tell a client what happens (RFC 6455): texts go out, few and short ones come in.
 * Nothing is compressed. Whoever does not read is closed, and whoever answers no ping is gone.
 *
 * A browser sends the origin of its page. Only pages of this very host are let in.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { clearInterval, setInterval } from "node:timers";
import type { Context } from "hono";
import { type WebSocket, WebSocketServer } from "ws";
import { problem } from "./_problem.ts";
import { takeOver } from "./_upgrade.ts";

/** One client. */
export interface TextSocket {
  /** Sends a text, unless the socket is closed. A client that does not keep up is cut. */
  send(text: string): void;
  /** Says goodbye; twice does no harm. @param code RFC 6455 §7.4, 4000 to 4999 are our own */
  close(code: number, reason: string): void;
}

/** Hears of one client. */
export interface SocketListener {
  onText(text: string): void;
  /** Comes once, however it ended. */
  onClose(): void;
}

export interface SocketLimits {
  /** Bytes that a client may send at once. */
  readonly maxText: number;
  /** Bytes that may wait for a client that reads slowly. */
  readonly maxWaiting: number;
  /** Milliseconds. */
  readonly pingInterval: number;
  /** Milliseconds that a client has to answer a goodbye. */
  readonly farewell: number;
}

const usual: SocketLimits = {
  maxText: 4_096,
  maxWaiting: 256 * 1024,
  pingInterval: 30_000,
  farewell: 2_000,
};

/**
 * Makes a WebSocket of a route's request; the route returns what this gives.
 * @param open is called once the socket is open
 */
export function webSocket(
  c: Context,
  open: (socket: TextSocket) => SocketListener,
  limits: Partial<SocketLimits> = {},
): Response {
  const { maxText, maxWaiting, pingInterval, farewell } = { ...usual, ...limits };
  const { origin, host } = c.req.header();
  if (origin !== undefined && URL.parse(origin)?.host !== host) {
    return problem(403, "wrong_origin", "Pages of other sites may not listen here.");
  }
  return takeOver(c, (request: IncomingMessage, socket, head) => {
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxText,
      ...{ closeTimeout: farewell },
    });
    server.handleUpgrade(request, socket, Buffer.from(head), (peer: WebSocket) => {
      let isAlive = true;
      const timer = setInterval(() => {
        if (!isAlive) return peer.terminate();
        isAlive = false;
        peer.ping();
      }, pingInterval);
      const listener = open({
        send(text) {
          if (peer.readyState !== peer.OPEN) return;
          peer.send(text);
          if (peer.bufferedAmount > maxWaiting) peer.terminate();
        },
        close: (code, reason) => peer.close(code, reason),
      });
      peer.on("pong", () => isAlive = true);
      // one that comes after the end must not end the process
      peer.on("error", () => {});
      peer.on("close", () => {
        clearInterval(timer);
        listener.onClose();
      });
      peer.on("message", (data: Uint8Array, isBinary: boolean) => {
        if (peer.readyState !== peer.OPEN) return;
        if (isBinary) peer.close(1003, "text only");
        else listener.onText(data.toString());
      });
    });
  });
}
