/**
 * Accepts connections with the runtime's `node:http` and `node:https`. Theirs are the parser, the
 * time for heads and handshakes, keep-alive and the largest head; that they hold to it is tested on
 * sockets. Not left to them: how many connections there are, what a refused one is told, and bodies
 * (the runtime's `requestTimeout` runs until a response has ended, which would cut long answers).
 */
import { once } from "node:events";
import { mendAccepted } from "../accepted_socket.ts";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type ServerOptions } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Limits } from "./_limits.ts";
import { listenError } from "./_listen_error.ts";
import type { Listener, ListenerOptions } from "./_listener.ts";
import { farewell, type Refusal, refusal } from "./_refusal.ts";
import type { TlsMaterial } from "./_tls.ts";

/** How long a connection that was turned away may take to hear why. */
const linger = 500;

/** @throws CodedError "port_busy", "port_unusable" */
export async function nodeListener(options: ListenerOptions): Promise<Listener> {
  const { limits, tls, connections, refused } = options;
  const server = tls === undefined
    ? createServer(serverOptions(options))
    : createSecureServer({ ...serverOptions(options), ...secureContext(tls) });
  server.timeout = limits.stallTimeout;
  // a client may close its side once it has asked; the runtime would drop the answer
  Object.assign(server, { httpAllowHalfOpen: true });

  instead(server, "connection", (accept) => (socket) => {
    mendAccepted(socket);
    const { remoteAddress: from } = socket;
    const peer = peerOf(socket);
    if (from === undefined || peer === undefined) return void socket.destroy();
    const connection = connections.admit(peer, {
      from,
      end: () => socket.destroySoon(),
      cut: () => socket.destroy(),
    });
    if (typeof connection === "string") {
      refused(connection);
      return turnAway(socket, tls === undefined ? refusal(connection) : undefined);
    }
    socket.once("close", () => connection.closed());
    // a side that is closed sends no more of a body
    socket.once("end", () => connection.halfClosed());
    accept(socket);
  });
  if (tls?.clientCa !== undefined) {
    // the runtime lets in who resumes a session that another server of this process began
    instead(server, "secureConnection", (accept) => (socket) => {
      if ((socket as TLSSocket).authorized) return accept(socket);
      refused("tls");
      socket.destroy();
    });
  }

  let lingering = 0;
  function turnAway(socket: Socket, why: Refusal | undefined) {
    // they count as no connections, so there are few, and the others hear nothing
    if (why === undefined || lingering >= limits.maxConnections / 10) return void socket.destroy();
    lingering++;
    socket.once("close", () => lingering--);
    socket.resume();
    sayAndEnd(socket, why);
  }

  const spoken = new WeakSet<Duplex>();
  server.on("clientError", (error: { code?: string }, socket: Duplex) => {
    if (spoken.has(socket)) return;
    spoken.add(socket);
    const connection = connections.of(peerOf(socket as Socket) ?? "");
    const why = reasonOf(error.code);
    if (why === undefined || connection === undefined) {
      if (tls !== undefined) refused("tls");
      return void socket.destroy();
    }
    refused(why);
    // what else it sends is thrown away: the runtime would complain of every piece
    socket.removeAllListeners("data").resume();
    connection.spoil(() => sayAndEnd(socket, refusal(why)));
  });

  const serve = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const connection = connections.of(peerOf(incoming.socket) ?? "");
    if (connection === undefined) incoming.socket.destroy();
    else options.serve(incoming, outgoing, connection);
  };
  server.on("request", serve).on("checkContinue", serve).on("checkExpectation", serve);
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Uint8Array) => {
    // the runtime has taken its own listeners away
    socket.on("error", () => {});
    const connection = connections.of(peerOf(incoming.socket) ?? "");
    if (connection === undefined || connection.isBusy) socket.destroy();
    else options.upgrade(incoming, { socket, head, connection });
  });
  server.on("connect", (_, socket: Duplex) => sayAndEnd(socket, refusal("malformed")));

  const { hostname, port } = options.listen;
  // so many are accepted in one go, before any can be turned away
  const backlog = Math.min(511, Math.ceil(limits.maxConnections / 4));
  server.listen({ port, host: hostname, backlog });
  try {
    await once(server, "listening");
  } catch (error) {
    throw listenError(error, options.listen);
  }
  server.on("error", (error) => options.log.error("the listener failed", { error }));
  const sweeping = setInterval(() => connections.sweep(), checkInterval(limits));
  const closed = new Promise<void>((resolve) => server.once("close", resolve));
  const address = server.address();
  return {
    address: { hostname, port: typeof address === "object" && address ? address.port : port },
    useTls: (material) => (server as SecureServer).setSecureContext(secureContext(material)),
    stop() {
      clearInterval(sweeping);
      server.close();
    },
    close: () => closed,
  };
}

type SecureServer = ReturnType<typeof createSecureServer>;

function serverOptions({ limits }: ListenerOptions): ServerOptions {
  return {
    headersTimeout: limits.headTimeout,
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAlive,
    connectionsCheckingInterval: checkInterval(limits),
    maxHeaderSize: limits.maxHead,
    handshakeTimeout: limits.handshakeTimeout,
    // a missing Host is refused as a problem (_requests.ts)
    requireHostHeader: false,
    ...{
      // anything else that asks for an upgrade is a request like any other (RFC 9110 §7.8)
      shouldUpgradeCallback: ({ headers }: IncomingMessage) =>
        headers.upgrade?.toLowerCase() === "websocket",
    },
  };
}

function secureContext({ cert, key, clientCa }: TlsMaterial) {
  return {
    cert,
    key,
    minVersion: "TLSv1.2" as const,
    ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  };
}

/** How often deadlines are looked at. */
function checkInterval({ headTimeout }: Limits): number {
  return Math.min(1_000, Math.ceil(headTimeout / 4));
}

/** Puts a listener in place of the runtime's own, which it gets to call. */
function instead(
  server: Server,
  event: "connection" | "secureConnection",
  listener: (accept: (socket: Socket) => void) => (socket: Socket) => void,
): void {
  const own = server.listeners(event) as ((socket: Socket) => void)[];
  server.removeAllListeners(event);
  server.on(event, listener((socket) => own.forEach((accept) => accept.call(server, socket))));
}

/** Address and port tell a connection from all others, also where TLS wraps its socket. */
function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort}`;
}

function reasonOf(code: string | undefined) {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "head_timeout";
  if (code === "HPE_HEADER_OVERFLOW") return "head_too_large";
  return code?.startsWith("HPE_") ? "malformed" : undefined;
}

/** Says the last words, and gives the other side a moment to hear them. */
function sayAndEnd(socket: Duplex, why: Refusal): void {
  if (!socket.writable) return void socket.destroy();
  socket.on("error", () => {});
  socket.end(farewell(why));
  const timer = setTimeout(() => socket.destroy(), linger);
  socket.once("close", () => clearTimeout(timer));
}
