/**
 * MQTT over WebSocket (MQTT 3.1.1 §6) for the embedded broker: makes of an HTTP upgrade a stream like
 * that of a socket. Nothing is compressed, no message is larger than a packet may be, and a peer that
 * answers no ping is gone.
 *
 * A browser sends the origin of its page. Only pages of this very host are let in: any other page
 * that a person on this network opens could knock as a device otherwise.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { clearInterval, setInterval } from "node:timers";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import type { BrokerLimits } from "./_limits.ts";

/** What an HTTP server hands over at an upgrade. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Uint8Array;
}

export class WebSocketDoor {
  readonly #limits: BrokerLimits;
  readonly #server: WebSocketServer;

  constructor(limits: BrokerLimits) {
    this.#limits = limits;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.packetBytes,
      handleProtocols: () => "mqtt",
    });
  }

  /** Completes the handshake and calls back with the stream, or answers why not and returns false. */
  open({ request, socket, head }: Upgrade, onStream: (stream: Duplex) => void): boolean {
    const offered = request.headers["sec-websocket-protocol"]?.split(",") ?? [];
    if (!offered.some((name) => name.trim() === "mqtt")) {
      refuseUpgrade(socket, "400 Bad Request");
      return false;
    }
    if (!isSameOrigin(request)) {
      refuseUpgrade(socket, "403 Forbidden");
      return false;
    }
    this.#server.handleUpgrade(request, socket, Buffer.from(head), (peer: WebSocket) => {
      this.#watch(peer);
      onStream(createWebSocketStream(peer, {
        // A packet is written in parts: one frame takes them all.
        writev: (parts: { chunk: Uint8Array }[], done: (error?: Error | null) => void) =>
          peer.send(Buffer.concat(parts.map(({ chunk }) => chunk)), done),
      }));
    });
    return true;
  }

  #watch(peer: WebSocket): void {
    // Errors reach the stream; one that comes after its end must not end the process.
    peer.on("error", () => {});
    peer.on("message", (_data: unknown, isBinary: boolean) => {
      if (!isBinary) peer.terminate();
    });
    let isAlive = true;
    peer.on("pong", () => isAlive = true);
    const timer = setInterval(() => {
      if (!isAlive) return peer.terminate();
      isAlive = false;
      peer.ping();
    }, this.#limits.pingInterval);
    peer.on("close", () => clearInterval(timer));
  }
}

/** Answers an upgrade that is not to be. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on("error", () => {});
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => {
    socket.destroy();
  });
}

function isSameOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
