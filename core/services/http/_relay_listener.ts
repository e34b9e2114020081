/**
 * Accepts connections for the older runtime (Deno 2.7), whose `node:http` keeps none of the bounds
 * that its options name and shows no sockets. Each connection is relayed to such a server, on a port
 * of loopback that knows nobody else; on the way heads are counted and timed, under TLS only timed.
 * What that server itself refuses it answers without a problem, its heads end at 400 KiB, and it
 * cannot ask for client certificates. This file goes when that runtime does.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { CodedError } from "../../base/errors.ts";
import { pause } from "../pause.ts";
import type { Connection } from "./_connections.ts";
import { listenError } from "./_listen_error.ts";
import type { Listener, ListenerOptions } from "./_listener.ts";
import { farewell, type Refusal, refusal } from "./_refusal.ts";
import type { TlsMaterial } from "./_tls.ts";

/** How long a client may still send when it has been told that the connection ends. */
const linger = 500;

/** A connection on its way through. */
interface Relayed {
  readonly connection: Connection;
  /** A first head is awaited, a head comes, it is there and not yet answered, the next is awaited. */
  phase: "first" | "head" | "asked" | "rest";
  since: number;
  /** Bytes of the head, and the last of them: its end may come in parts. */
  head: number;
  tail: string;
  /** When something last moved. */
  moved: number;
  /** Nothing more comes from the client. */
  isLast: boolean;
  isUpgraded: boolean;
  end(): void;
  refuse(why: Refusal): void;
}

/** @throws CodedError "port_busy", "port_unusable", "tls_unusable" */
export async function relayListener(options: ListenerOptions): Promise<Listener> {
  const { limits, connections, refused } = options;
  const isSecure = options.tls !== undefined;
  const lines = new Set<Relayed>();
  /** By the port from which the relay talks to a server. */
  const byPort = new Map<number, Relayed>();
  const servers: Server[] = [];
  useServer(options.tls);
  await once(servers[0]!, "listening");
  let door: Deno.Listener;
  try {
    door = Deno.listen(options.listen);
  } catch (error) {
    servers[0]!.close();
    throw listenError(error, options.listen);
  }
  let isOpen = true;
  const accepting = accept();
  const looking = setInterval(look, Math.min(1_000, limits.headTimeout / 4));

  return {
    address: { ...options.listen, port: (door.addr as Deno.NetAddr).port },
    useTls: useServer,
    stop() {
      isOpen = false;
      door.close();
    },
    async close() {
      clearInterval(looking);
      await accepting;
      await Promise.all(servers.map((server) => {
        // a route that still runs would hold the server up
        server.closeAllConnections();
        const closed = once(server, "close");
        server.close();
        return closed;
      }));
    },
  };

  /** New connections go to a new server; those of the one before stay with it. */
  function useServer(tls: TlsMaterial | undefined) {
    const server = innerServer(options, { tls, byPort });
    server.listen(0, "127.0.0.1");
    servers.push(server);
  }

  async function accept() {
    while (isOpen) {
      const conn = await door.accept().catch(() => null);
      if (conn !== null) void take(conn).catch(() => {}).finally(() => shut(conn));
      // there are no files left, or the door is closed
      else await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function take(conn: Deno.Conn) {
    const { hostname: from, port } = conn.remoteAddr as Deno.NetAddr;
    let upstream: Deno.TcpConn | undefined;
    const cut = () => {
      shut(conn);
      shut(upstream);
    };
    const end = () => upstream === undefined ? cut() : void upstream.closeWrite().catch(cut);
    const connection = connections.admit(`${from} ${port}`, { from, end, cut });
    if (typeof connection === "string") {
      refused(connection);
      return await say(conn, refusal(connection));
    }
    let said = Promise.resolve();
    const line: Relayed = {
      connection,
      phase: "first",
      since: performance.now(),
      head: 0,
      tail: "",
      moved: performance.now(),
      isLast: false,
      isUpgraded: false,
      end,
      refuse(why) {
        refused(why.code);
        line.phase = "asked";
        connection.spoil(() => void (said = say(conn, why).catch(() => {}).finally(cut)));
      },
    };
    lines.add(line);
    let own = 0;
    try {
      // most of what is open is idle: it gets little memory
      const first = await read(conn, 2_048);
      if (first === null || !passes(line, first)) return;
      const { port } = servers.at(-1)!.address() as AddressInfo;
      upstream = await Deno.connect({ hostname: "127.0.0.1", port });
      own = upstream.localAddr.port;
      byPort.set(own, line);
      await write(upstream, first);
      const up = pump(conn, async (part) => {
        if (!passes(line, part)) return false;
        // what comes after the server has closed is thrown away
        await write(upstream!, part).catch(() => {});
        return true;
      }).then(() => {
        // the server would drop the answer with the asker's side of the connection
        if (line.phase === "asked") line.isLast = true;
        else end();
      }).catch(cut);
      await pump(upstream, async (part) => {
        line.moved = performance.now();
        await write(conn, part);
        return true;
      });
      await conn.closeWrite();
      const ended = new AbortController();
      await Promise.race([up.finally(() => ended.abort()), pause(linger, ended.signal)]);
    } finally {
      await said;
      cut();
      byPort.delete(own);
      lines.delete(line);
      connection.closed();
    }
  }

  /** Whether a part that a client sent may go on. */
  function passes(line: Relayed, part: Uint8Array): boolean {
    line.moved = performance.now();
    if (line.phase === "asked") return true;
    if (line.phase === "rest") line.since = performance.now();
    line.phase = "head";
    if (isSecure) return true;
    const text = line.tail + new TextDecoder("latin1").decode(part);
    // the server would speak HTTP/2
    if (line.head === 0 && text.startsWith("PRI ")) return stop(line, refusal("malformed"));
    const end = text.indexOf("\r\n\r\n");
    line.head += end < 0 ? part.length : end;
    if (line.head > limits.maxHead) return stop(line, refusal("head_too_large"));
    line.tail = text.slice(-3);
    if (end >= 0) line.phase = "asked";
    return true;
  }

  function stop(line: Relayed, why: Refusal): false {
    line.refuse(why);
    return false;
  }

  function say(conn: Deno.Conn, why: Refusal): Promise<void> {
    if (isSecure) return Promise.resolve();
    return write(conn, new TextEncoder().encode(farewell(why))).then(() => conn.closeWrite());
  }

  function look() {
    const now = performance.now();
    for (const { phase, since, moved, isUpgraded, connection, refuse } of lines) {
      if (phase === "rest") {
        if (now - Math.max(since, moved) > limits.keepAlive) connection.cut();
      } else if (phase === "asked") {
        if (now - moved > limits.stallTimeout && !isUpgraded) connection.cut();
      } else if (now - since > limits.headTimeout) refuse(refusal("head_timeout"));
    }
    connections.sweep();
  }
}

/** A server behind the relay: it serves whom the relay has brought. */
function innerServer(
  options: ListenerOptions,
  { tls, byPort }: { tls: TlsMaterial | undefined; byPort: ReadonlyMap<number, Relayed> },
): Server {
  if (tls?.clientCa !== undefined) {
    throw new CodedError("tls_unusable", "Cannot ask for client certificates on this runtime", {
      hint: "use a release of edgeward that is built with Deno 2.8, or remove client_ca_file",
    });
  }
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  if (tls !== undefined) {
    const { cert, key } = tls;
    // its own would offer HTTP/2
    Object.assign(server, {
      _listen: (hostname: string, port: number) =>
        Deno.listenTls({ hostname, port, cert, key, alpnProtocols: ["http/1.1"] }),
    });
  }
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const line = byPort.get(incoming.socket.remotePort ?? 0);
    if (line === undefined) return void outgoing.writeHead(403).end();
    line.phase = "asked";
    outgoing.once("close", () => {
      if (line.isLast || outgoing.getHeader("connection") === "close") line.end();
      else Object.assign(line, { phase: "rest", since: performance.now(), head: 0, tail: "" });
    });
    options.serve(incoming, outgoing, line.connection);
  };
  server.on("request", serve).on("checkContinue", serve).on("checkExpectation", serve);
  server.on("upgrade", (incoming: IncomingMessage, socket: Socket, head: Uint8Array) => {
    socket.on("error", () => {});
    const line = byPort.get(portOf(socket) ?? 0);
    if (line === undefined) return void socket.destroy();
    line.phase = "asked";
    line.isUpgraded = true;
    options.upgrade(incoming, { socket, head, connection: line.connection });
  });
  return server;
}

/** Where an upgraded socket comes from: the runtime does not say, but its handle knows. */
function portOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { _handle: Record<symbol, unknown> };
  for (const key of Object.getOwnPropertySymbols(handle)) {
    const { port } = (handle[key] as Partial<Deno.Conn> | null)?.remoteAddr as Deno.NetAddr ?? {};
    if (port !== undefined) return port;
  }
  return undefined;
}

/** Reads to the end, or until a part is one too many. */
async function pump(
  from: Deno.Conn,
  goesOn: (part: Uint8Array) => Promise<boolean>,
): Promise<void> {
  for (let part; (part = await read(from, 16_384)) !== null;) {
    if (!await goesOn(part)) return;
  }
}

async function read(conn: Deno.Conn, most: number): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(most);
  const size = await conn.read(buffer);
  return size === null ? null : buffer.subarray(0, size);
}

async function write(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

function shut(conn: Deno.Conn | undefined): void {
  try {
    conn?.close();
  } catch {
    // it is closed
  }
}
