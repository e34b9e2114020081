/**
 * The embedded broker: aedes over TCP and WebSocket, with the rules and limits that aedes leaves to
 * its user.
 *
 * It promises: the site's own client, which alone holds the operator credential, may do everything
 * but write to `$SYS`; any other client is confined by `_access.ts`; no client can hold more than its
 * share of memory or take the operator's client id; a broken or hostile client loses its own
 * connection and disturbs nobody else's. Nothing is kept: sessions end with their connection, no
 * message is retained, and QoS 2 is refused. What must survive is the business of the protocols above.
 */
import type { IncomingMessage } from "node:http";
import { createServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Aedes, type Client } from "aedes";
import { messageOf } from "../../base/errors.ts";
import type { Id } from "../../base/id.ts";
import { mendAccepted } from "../accepted_socket.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import { admission } from "./_admission.ts";
import { Connection } from "./_connection.ts";
import { type BrokerLimits, defaultLimits } from "./_limits.ts";
import { listenOn } from "./_listen.ts";
import { checkLimits, type Credential } from "./_login.ts";
import { metersOf } from "./_meters.ts";
import { NoMemory } from "./_no_memory.ts";
import { Places } from "./_places.ts";
import { Registry } from "./_registry.ts";
import { Turns } from "./_turns.ts";
import { readUsers, type Users } from "./_users_file.ts";
import { refuseUpgrade, WebSocketDoor } from "./_websocket.ts";

export interface BrokerOptions {
  hostname: string;
  /** 0 takes a free port. */
  port: number;
  /** The one login that is not confined; the site generates it at every start. */
  operator: Credential;
  /** Users that are neither the site nor peers; its form is in `_users_file.ts`. */
  usersFile?: string;
  /** Whether a peer, known or not, may connect. Default: all may. */
  allows?: (id: Id) => boolean;
  /** Before every topic of peers. Default: none. */
  prefix?: string;
  limits?: Partial<BrokerLimits>;
  metrics?: Metrics;
  log: Log;
}

/** A running broker; `port` is the real one. */
export interface Broker extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
  /**
   * Takes over an HTTP upgrade; it answers the request, whatever becomes of it.
   * @param origin.client who counts as one client; the address of the socket unless given
   */
  attachWebSocket(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    origin?: { readonly client: string },
  ): void;
  /** Ends the connection of a peer that `allows` lets in no more. */
  disconnect(id: Id): void;
  /**
   * Reads the users file again and ends the connections of users that it has changed.
   * @throws MqttError "mqtt_users": the old users stay
   */
  reload(): Promise<void>;
}

/** Connections beyond the clients: for logins under way, and as many for this machine alone. */
const spareConnections = 32;
/** Milliseconds after which the site's own client, when it does not read, is given up. */
const siteTimeout = 30_000;

/** @throws MqttError "port_busy", "listen_failed", "mqtt_users" */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { log, metrics, usersFile, prefix = "", allows = () => true } = options;
  const limits: BrokerLimits = { ...defaultLimits, ...options.limits };
  let users: Users = usersFile === undefined ? new Map() : await readUsers(usersFile);
  const { refused, clients } = metersOf(metrics);
  const registry = new Registry({ limit: limits.clients, onCount: clients });
  const connections = new Set<Connection>();
  const checks = new Turns(checkLimits);
  const byClient = new WeakMap<Client, Connection>();
  const connectionOf = (client: Client) => byClient.get(client)!;
  const places = new Places({
    total: limits.clients + spareConnections,
    perAddress: limits.clientsPerAddress,
    reserved: spareConnections,
  });

  const aedes = await Aedes.createBroker({
    ...admission({
      operator: options.operator,
      users: () => users,
      ...{ allows, checks, prefix, log, limits, registry, refused, connectionOf },
    }),
    persistence: new NoMemory(),
    // Connection watches over the whole login; aedes only until CONNECT has come.
    connectTimeout: 2 * limits.connectTimeout,
    concurrency: 100,
    drainTimeout: siteTimeout,
    queueLimit: 1,
  });
  // EventEmitter throws what nobody listens to; one bad client must not end the site.
  aedes.on("error" as "closed", (...thrown: unknown[]) => {
    log.error("MQTT broker failed inside", { error: messageOf(thrown[0]) });
  });
  aedes.on("client", (client) => connectionOf(client).registered());
  aedes.on("clientReady", (client) => connectionOf(client).ready());
  aedes.on("clientDisconnect", (client) => connectionOf(client).unregistered());
  aedes.on("keepaliveTimeout", (client) => {
    connectionOf(client).cut("silent", "it was silent for too long");
  });
  aedes.on("unsubscribe", (filters, client) => {
    for (const filter of filters) connectionOf(client).filters.delete(filter);
  });
  const lost = (client: Client, error: Error & { code?: string; returnCode?: number }) => {
    const { party, reason } = connectionOf(client);
    // What is neither our decision nor the network's was a packet that made no sense.
    const isOurs = reason !== undefined || error.returnCode !== undefined;
    const isLost = error.code !== undefined ||
      /^(connection closed|drain timeout)$/.test(error.message);
    if (!isOurs && !isLost) refused("malformed");
    const name = party?.kind === "peer" ? party.id : party?.kind ?? "unnamed";
    log.debug("MQTT client cut", { client: name, error: error.message });
  };
  aedes.on("clientError", lost);
  aedes.on("connectionError", lost);

  function accept(stream: Duplex, address: string, release: () => void): void {
    const connection = new Connection(stream, {
      ...{ address, limits, refused },
      now: () => performance.now(),
    });
    const client = aedes.handle(stream);
    byClient.set(client, connection);
    connections.add(connection);
    stream.once("close", () => {
      connections.delete(connection);
      release();
    });
  }

  const server = createServer((socket) => {
    mendAccepted(socket);
    const { remoteAddress = "", localAddress } = socket;
    const address = remoteAddress === localAddress ? "127.0.0.1" : remoteAddress;
    const place = places.take(address);
    if (typeof place === "string") {
      refused(place);
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    // A peer without MQTT keep-alive that lost its power would hold its place for long.
    socket.setKeepAlive(true, 60_000);
    accept(socket, address, place);
  });
  // As when the process has no file descriptor left for one more connection.
  server.on("error", (error) => log.warn("MQTT connection lost", { error: error.message }));
  const web = new WebSocketDoor(limits);
  let isOver = false;

  const stop = once(async () => {
    isOver = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const { stream } of connections) stream.destroy();
    await new Promise<void>((resolve) => aedes.close(resolve));
    await closed;
    await checks.idle();
  });
  try {
    const port = await listenOn(server, options);
    return {
      hostname: options.hostname,
      port,
      attachWebSocket(request, socket, head, origin) {
        if (socket instanceof Socket) mendAccepted(socket);
        const address = origin?.client ?? request.socket.remoteAddress ?? "";
        const place = isOver ? "full" : places.take(address);
        if (typeof place === "string") {
          refused(place);
          return refuseUpgrade(socket, "503 Service Unavailable");
        }
        socket.once("close", place);
        const isWelcome = web.open({ request, socket, head }, (stream) => {
          if (isOver) stream.destroy();
          else accept(stream, address, () => {});
        });
        if (!isWelcome) refused("websocket");
      },
      disconnect: (id) => registry.cutPeer(id),
      async reload() {
        if (usersFile === undefined) return;
        users = await readUsers(usersFile);
        registry.cutUsers(({ name, line }) => users.get(name)?.line === line);
      },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => running ??= run();
}
