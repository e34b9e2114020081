/**
 * The public listener, HTTP or HTTPS. Each role gets a door at `/<role>` and the root paths that it
 * claims; what is wrong is answered as `application/problem+json` (RFC 9457) with a stable `code`.
 * Everything a client can have much of is bounded (`_limits.ts`). It starts to listen when the host
 * says so, after every role.
 *
 * Not bounded are new connections per second, nor what a route does once its request has come.
 */
import { Hono } from "hono";
import { Server } from "node:http";
import { Server as SocketServer } from "node:net";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import { buckets } from "../token_bucket.ts";
import { bodyStore } from "./_body.ts";
import { clients } from "./_client.ts";
import { connections } from "./_connections.ts";
import { doors, type RouteOptions } from "./_doors.ts";
import { defaultLimits, type Limits } from "./_limits.ts";
import type { Listen, Listener } from "./_listener.ts";
import { listenError } from "./_listen_error.ts";
import { httpMetrics } from "./_metrics.ts";
import { nodeListener } from "./_node_listener.ts";
import { type Origin, originOf } from "./_origin.ts";
import { openFilesLimit } from "./_open_files.ts";
import { internalError, problem } from "./_problem.ts";
import { relayListener } from "./_relay_listener.ts";
import { farewell, type Refusal, refusal } from "./_refusal.ts";
import { requests } from "./_requests.ts";
import { readTls, type TlsFiles } from "./_tls.ts";
import { offer, type UpgradeHandler, written } from "./_upgrade.ts";

export {
  type Limits,
  type Listen,
  listenError,
  type Origin,
  originOf,
  problem,
  type RouteOptions,
  type TlsFiles,
};
export { jsonMembers } from "./_json_body.ts";
export { takeOver, type UpgradeHandler } from "./_upgrade.ts";
export {
  type SocketLimits,
  type SocketListener,
  type TextSocket,
  webSocket,
} from "./_websocket.ts";

/**
 * A role's door to the listener. What is added is removed when the role stops. A request for WebSocket
 * reaches its route like any other: `webSocket` and `takeOver` answer it there, behind the same guards.
 */
export interface RoleRouter {
  /** Serves `routes` below `/<role>`. */
  mount(routes: Hono, options?: RouteOptions): void;
  /** Serves one root path, "/summary", or all below one, "/log/*". */
  claim(path: string, routes: Hono, options?: RouteOptions): void;
}

export interface HttpService extends AsyncDisposable {
  /** Whether it speaks HTTPS. */
  readonly secure: boolean;
  /** A door for one role; calling the returned `close` takes its routes away. */
  router(role: string): RoleRouter & { close(): void };
  /**
   * Hands WebSocket upgrades of one path to `handler`, until the returned function is called. The
   * socket counts as a connection, and is ended when the listener closes.
   */
  upgrade(path: string, handler: UpgradeHandler): () => void;
  /** Begins to listen. @throws CodedError "port_busy", "port_unusable", "tls_unusable" */
  listen(): Promise<Listen>;
  /**
   * Reads certificate and key again, for connections to come. @throws CodedError "tls_unusable";
   * then the old ones stay in use
   */
  reload(): void;
}

export interface HttpOptions {
  readonly listen: Listen;
  readonly log: Log;
  readonly tls?: TlsFiles | undefined;
  /** Addresses and networks whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[] | undefined;
  readonly limits?: Partial<Limits>;
  readonly metrics?: Metrics;
}

export function openHttp(options: HttpOptions): HttpService {
  const { log } = options;
  // the http server of the older runtime (Deno 2.7) is no server of sockets
  const isOlder = !(Server.prototype instanceof SocketServer);
  const wanted: Limits = { ...defaultLimits, ...options.limits };
  const affordable = Math.floor(openFilesLimit() / (isOlder ? 4 : 2));
  const limits = { ...wanted, maxConnections: Math.min(wanted.maxConnections, affordable) };
  const metrics = httpMetrics(options.metrics);
  const known = clients(options.trustedProxies);
  const open = connections({ clients: known, limits, onCount: metrics.connections });
  const all = doors(limits);
  const { serve, look } = requests({
    doors: all,
    clients: known,
    buckets: {
      open: buckets(limits.rates.open, { most: limits.maxClients }),
      session: buckets(limits.rates.session, { most: limits.maxClients }),
    },
    bodies: bodyStore({ most: limits.maxBodies, mostOfClient: limits.maxClientBodies }),
    limits,
    metrics,
    log,
    secure: options.tls !== undefined,
  });
  const handlers = new Map<string, UpgradeHandler>();
  let listener: Listener | undefined;
  let closed: Promise<void> | undefined;

  return {
    secure: options.tls !== undefined,
    router(role) {
      const mine: string[] = [];
      const add = (base: string, path: string, routes: Hono, bounds?: RouteOptions) => {
        mine.push(path);
        all.add(path, { role, app: withDefaults(new Hono().route(base, routes)) }, bounds);
      };
      return {
        mount: (routes, bounds) => add(`/${role}`, `/${role}/`, routes, bounds),
        claim: (path, routes, bounds) =>
          add(path.replace(/\/\*$/, ""), path.replace(/\*$/, ""), routes, bounds),
        close: () => mine.forEach((path) => all.remove(path)),
      };
    },

    upgrade(path, handler) {
      if (handlers.has(path)) throw new Error(`Cannot upgrade at ${path}: it is taken`);
      handlers.set(path, handler);
      return () => void handlers.delete(path);
    },

    async listen() {
      const tls = options.tls && load(options.tls);
      if (limits.maxConnections < wanted.maxConnections) {
        log.info("the limit of open files allows for fewer connections", {
          connections: limits.maxConnections,
        });
      }
      const accept = isOlder ? relayListener : nodeListener;
      listener = await accept({
        listen: options.listen,
        tls,
        limits,
        connections: open,
        log,
        serve,
        upgrade(incoming, { socket, head, connection }) {
          const { path, origin, door, refused } = look(incoming, connection);
          const turnAway = (why: Refusal) => {
            metrics.refused(why.code);
            socket.end(farewell(why));
          };
          if (refused !== undefined) return turnAway(refused);
          const handler = handlers.get(path);
          if (handler === undefined && door === undefined) return turnAway(refusal("not_found"));
          connection.upgrade();
          if (handler !== undefined) return handler(incoming, socket, head, origin);
          offer(door!.app, incoming, { origin }).then(async (answer) => {
            if (answer === null) turnAway(refusal("not_found"));
            else if (answer instanceof Response) socket.end(await written(answer));
            else if (!socket.destroyed) answer(incoming, socket, head, origin);
          }).catch((error: unknown) => {
            log.error("an upgrade failed", { error });
            socket.destroy();
          });
        },
        refused: metrics.refused,
      });
      return listener.address;
    },

    reload() {
      if (options.tls !== undefined) listener?.useTls(load(options.tls));
    },

    [Symbol.asyncDispose]() {
      return closed ??= (async () => {
        if (listener === undefined) return;
        listener.stop();
        await open.drain(limits.drain);
        await listener.close();
      })();
    },
  };

  function load(files: TlsFiles) {
    const material = readTls(files);
    const { from, to } = material.valid;
    const now = Date.now();
    const properties = { file: files.certFile, valid_to: new Date(to).toISOString() };
    if (now < from || now > to) log.warn("the certificate is out of its time", properties);
    else log.info("the certificate is in use", properties);
    return material;
  }

  function withDefaults(routes: Hono): Hono {
    routes.notFound(() => problem(404, "not_found", "There is nothing at this address."));
    routes.onError((error) => {
      log.error("a request failed", { error });
      return internalError();
    });
    return routes;
  }
}
