/**
 * The embedded broker: aedes over TCP, with the rules and limits that aedes leaves to its user.
 *
 * It promises: the site's own client, which alone holds the operator credential, may do everything
 * but write to `$SYS`; any other client is confined by `_access.ts`; no client can hold more than its
 * share of memory or take the operator's client id; a broken or hostile client loses its own
 * connection and disturbs nobody else's. Nothing is kept on disk, and sessions end with their
 * connection: what must survive is the business of the protocols above.
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { Aedes, type Client } from "aedes";
import { messageOf } from "../../base/errors.ts";
import { isId } from "../../base/id.ts";
import type { Log } from "../logging.ts";
import { admission, type Credential } from "./_admission.ts";
import { MqttError } from "./_errors.ts";
import { defaultPacketLimit, packetMeter } from "./_packet_limit.ts";

export interface BrokerOptions {
  hostname: string;
  /** 0 takes a free port. */
  port: number;
  /** The one login that is not confined; the site generates it at every start. */
  operator: Credential;
  log: Log;
  /** Bytes; a peer that announces a larger packet is cut. Default 256 KiB. */
  maxPacketBytes?: number;
  /** Clients logged in at once; the operator is let in beyond it. Default 1,000. */
  maxConnections?: number;
  /** Milliseconds that a new connection has for its CONNECT. Default 10 s. */
  connectTimeout?: number;
}

/** A running broker; `port` is the real one. */
export interface Broker extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
}

/** Sockets beyond `maxConnections`: for logins under way, the operator's among them. */
const spareSockets = 32;

/** @throws MqttError "port_busy", "listen_failed" */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { log, maxConnections = 1_000, maxPacketBytes = defaultPacketLimit } = options;
  const aedes: Aedes = await Aedes.createBroker({
    ...admission({
      operator: options.operator,
      log,
      isFull: () => aedes.connectedClients >= maxConnections,
    }),
    connectTimeout: options.connectTimeout ?? 10_000,
    concurrency: 100,
    // A frozen subscriber blocks the emitter for everybody until this has passed.
    drainTimeout: 10_000,
    queueLimit: 42,
  });
  // EventEmitter throws what nobody listens to; one bad client must not end the site.
  aedes.on("error" as "closed", (...thrown: unknown[]) => {
    log.error("MQTT broker failed inside", { error: messageOf(thrown[0]) });
  });
  const lost = (client: Client, error: Error) =>
    log.debug("MQTT client cut", {
      client: isId(client.id) ? client.id : "unnamed",
      error: error.message,
    });
  aedes.on("clientError", lost);
  aedes.on("connectionError", lost);

  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    if (sockets.size >= maxConnections + spareSockets) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
    // A peer without MQTT keep-alive that lost its power would hold its place for ever.
    socket.setKeepAlive(true, 60_000);
    limitPackets(socket, maxPacketBytes);
    aedes.handle(socket);
  });
  const stop = once(async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => aedes.close(resolve));
    await closed;
  });
  try {
    const port = await listen(server, options);
    return { hostname: options.hostname, port, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Puts the packet limit in front of aedes, which pulls its bytes by calling `read()` once for every
 * "readable". Some runtimes then hand out one buffer only and leave aedes waiting for ever
 * (nodejs/node#60441), so this `read` always hands out everything there is.
 */
function limitPackets(socket: Socket, limit: number): void {
  const oversize = packetMeter(limit);
  const read = socket.read.bind(socket);
  socket.read = (size?: number) => {
    if (typeof size === "number") return read(size);
    const pieces: Buffer[] = [];
    for (let piece = read(); piece !== null; piece = read()) {
      const size = oversize(piece);
      if (size !== undefined) {
        socket.destroy(new Error(`packet of ${size} bytes is larger than ${limit}`));
        return null;
      }
      pieces.push(piece);
    }
    return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0] ?? null;
  };
}

function listen(server: Server, { hostname, port }: BrokerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: Error & { code?: string }) => {
      const where = `Cannot listen on ${hostname}:${port}`;
      reject(
        error.code === "EADDRINUSE"
          ? new MqttError("port_busy", `${where}: the port is in use`, {
            hint: "stop the other broker, or set listen under [mqtt] to another port",
          })
          : new MqttError("listen_failed", `${where}: ${error.message}`, { cause: error }),
      );
    });
    server.listen({ host: hostname, port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => running ??= run();
}
