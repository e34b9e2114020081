/**
 * The public HTTP listener. Each role gets a door at `/<role>` and the root paths that it claims;
 * what is wrong is answered as `application/problem+json` (RFC 9457) with a stable `code`. Bodies,
 * headers and connections are bounded. It starts to listen when the host says so, after every role.
 */
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { once } from "node:events";
import type { Server } from "node:http";
import { CodedError } from "../../base/errors.ts";
import type { Log } from "../logging.ts";
import { problem } from "./_problem.ts";

export { problem };

/** A role's door to the listener. What is added is removed when the role stops. */
export interface RoleRouter {
  /** Serves `routes` below `/<role>`. */
  mount(routes: Hono): void;
  /** Serves one root path, "/summary", or all below one, "/log/*". */
  claim(path: string, routes: Hono): void;
}

export interface Listen {
  readonly hostname: string;
  readonly port: number;
}

export interface HttpService extends AsyncDisposable {
  /** A door for one role; calling the returned `close` takes its routes away. */
  router(role: string): RoleRouter & { close(): void };
  /** Begins to listen. @throws CodedError "port_busy" */
  listen(): Promise<Listen>;
}

const maxBody = 1024 * 1024;
const maxConnections = 10_000;

export function openHttp(options: { listen: Listen; log: Log }): HttpService {
  const { log } = options;
  /** Exact paths, and prefixes that end in a slash, to the app behind them. */
  const doors = new Map<string, Hono>();
  const app = new Hono();
  app.use(bodyLimit({
    maxSize: maxBody,
    onError: () => problem(413, "body_too_large", "The request body is larger than 1 MiB."),
  }));
  app.all("*", (c) => behind(c.req.path)?.fetch(c.req.raw) ?? notFound());
  app.onError((error) => {
    log.error("a request failed", { error });
    return problem(500, "internal", "Something went wrong here; the log of the site says what.");
  });

  let server: Server | undefined;
  let closed: Promise<void> | undefined;
  return {
    router(role) {
      const mine: string[] = [];
      const add = (base: string, door: string, routes: Hono) => {
        mine.push(door);
        doors.set(door, withDefaults(new Hono().route(base, routes)));
      };
      return {
        mount: (routes) => add(`/${role}`, `/${role}/`, routes),
        claim: (path, routes) => add(path.replace(/\/\*$/, ""), path.replace(/\*$/, ""), routes),
        close: () => mine.forEach((door) => doors.delete(door)),
      };
    },

    async listen() {
      const { hostname, port } = options.listen;
      server = createAdaptorServer({
        fetch: app.fetch,
        overrideGlobalObjects: false,
        serverOptions: {
          headersTimeout: 10_000,
          requestTimeout: 30_000,
          keepAliveTimeout: 65_000,
          maxHeaderSize: 16 * 1024,
        },
      }) as Server;
      server.maxConnections = maxConnections;
      server.listen(port, hostname);
      try {
        await once(server, "listening");
      } catch (error) {
        server = undefined;
        throw listenError(error, options.listen);
      }
      const address = server.address();
      return { hostname, port: typeof address === "object" && address ? address.port : port };
    },

    [Symbol.asyncDispose]() {
      closed ??= new Promise<void>((resolve) => {
        if (server === undefined) return resolve();
        server.close(() => resolve());
        server.closeIdleConnections();
        // requests under way have a moment to end
        const timer = setTimeout(() => server?.closeAllConnections(), 2_000);
        server.on("close", () => clearTimeout(timer));
      });
      return closed;
    },
  };

  /** The app at exactly this path, else the one with the longest prefix of it. */
  function behind(path: string): Hono | undefined {
    for (let door = path; door.length > 1; door = door.replace(/[^/]*\/?$/, "")) {
      const app = doors.get(door);
      if (app !== undefined) return app;
    }
    return undefined;
  }

  function withDefaults(routes: Hono): Hono {
    routes.notFound(() => notFound());
    routes.onError((error) => {
      log.error("a request failed", { error });
      return problem(500, "internal", "Something went wrong here; the log of the site says what.");
    });
    return routes;
  }
}

function notFound(): Response {
  return problem(404, "not_found", "There is nothing at this address.");
}

/** Says why a listener could not open. */
export function listenError(error: unknown, { hostname, port }: Listen): CodedError {
  const code = (error as { code?: string }).code;
  const busy = code === "EADDRINUSE" || (error as Error).name === "AddrInUse";
  return new CodedError(
    busy ? "port_busy" : "port_unusable",
    `Cannot listen on ${hostname}:${port}: ${
      busy ? "the port is in use" : (error as Error).message
    }`,
    {
      hint: busy
        ? "stop the other program, or choose another port in the configuration"
        : "choose an address of this machine and a port that this user may open",
      cause: error,
    },
  );
}
