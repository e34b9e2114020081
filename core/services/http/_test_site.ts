/** A listener for tests, with a role that answers what it was asked. */
import { Hono } from "hono";
import type { Log } from "../logging.ts";
import { type HttpOptions, type HttpService, openHttp } from "./mod.ts";

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Times short enough to be waited for. */
export const hasty = { headTimeout: 300, bodyTimeout: 300, keepAlive: 300, handshakeTimeout: 300 };

export interface TestSite extends AsyncDisposable {
  readonly http: HttpService;
  readonly port: number;
  /** How often a route of `/role` ran. */
  readonly ran: () => number;
  /** Lets the answers of `/role/slow` go. */
  readonly release: () => void;
}

/** `/role/…` echoes, `/role/slow` waits for `release`. */
export async function testSite(options: Partial<HttpOptions> = {}): Promise<TestSite> {
  const listen = { hostname: "127.0.0.1", port: 0 };
  const http = openHttp({ listen, log: silent, ...options });
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let ran = 0;
  const routes = new Hono();
  routes.use(async (_, next) => {
    ran++;
    await next();
  });
  routes.get("/slow", async (c) => {
    await released;
    return c.text("at last");
  });
  routes.get("/*", (c) => c.text(c.req.path));
  routes.post("/*", async (c) => c.text(`${(await c.req.arrayBuffer()).byteLength} bytes`));
  http.router("role").mount(routes);
  const { port } = await http.listen();
  return {
    http,
    port,
    ran: () => ran,
    release,
    async [Symbol.asyncDispose]() {
      release();
      await http[Symbol.asyncDispose]();
    },
  };
}
