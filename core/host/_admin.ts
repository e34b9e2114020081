/**
 * The admin listener: health, metrics and the state of the site on loopback, and on the unix socket
 * `data_dir/edgeward.sock` besides these what only this machine's operator may do, in the roles too, at
 * `/<role>/…`. The socket's file mode is its access control; it also keeps a second process out of the
 * same data directory.
 */
import { dirname, join } from "node:path";
import { Hono } from "hono";
import { CodedError, messageOf } from "../base/errors.ts";
import { type Listen, listenError, problem } from "../services/http/mod.ts";
import { type Access, operatorEnv } from "../services/access/mod.ts";
import type { PartHealth } from "../services/health.ts";
import { tlogRoutes, type TlogStatus } from "../services/tlog/mod.ts";
import { socketPath } from "./data_dir.ts";
import { markOf } from "./shown.ts";
import { keysApi } from "./_keys_api.ts";
import { peersApi } from "./_peers_api.ts";
import type { SiteServices } from "./_services.ts";
import { tokensApi } from "./_tokens_api.ts";

/** What `/site` tells; grows, never shrinks. */
export interface SiteStatus {
  readonly site: string;
  readonly version: string;
  /** Unix milliseconds. */
  readonly started: number;
  readonly ready: boolean;
  readonly http: Listen | null;
  readonly admin: Listen;
  /** The embedded broker; null also where no role needs one. */
  readonly broker: Listen | null;
  /** Null until something has needed it. */
  readonly database: { readonly bytes: number } | null;
  /** The history that nobody can rewrite; null until it has opened, with the database. */
  readonly log: TlogStatus | null;
  /** Null until something has needed them. */
  readonly peers: { readonly waiting: number } | null;
  readonly parts: readonly PartHealth[];
}

export interface AdminListener extends AsyncDisposable {
  readonly address: Listen;
}

/** Opens both doors. @throws CodedError "port_busy", "data_dir_busy" */
export async function openAdmin(
  services: SiteServices,
  options: { ready: () => boolean; status: (admin: Listen) => Promise<SiteStatus> },
): Promise<AdminListener> {
  const path = socketPath(services.config.data_dir);
  await removeStaleSocket(path);
  const { hostname, port } = services.config.admin.listen;
  const address = () => ({ hostname, port: tcp.addr.port });
  const everyone = watching(services, { ...options, status: () => options.status(address()) });
  const operator = new Hono();
  // the file mode of the socket is the guard
  const anyone: Access["require"] = () => (_, next) => next();
  operator.route("/", peersApi(services, anyone));
  operator.route("/", tokensApi(services, anyone));
  operator.route("/", keysApi(services, anyone));
  operator.route("/log", tlogRoutes(() => services.tlog(), { guard: null }));
  operator.all("/:role/*", async (c, next) => {
    const role = c.req.param("role");
    const routes = services.roleRoutes.get(role);
    if (routes === undefined) return await next();
    return await withProblems(new Hono().route(`/${role}`, routes)).fetch(c.req.raw, operatorEnv);
  });
  operator.all("*", (c) => everyone.fetch(c.req.raw));
  withProblems(everyone);
  withProblems(operator);

  const quiet = { onListen: () => {} };
  let tcp: Deno.HttpServer<Deno.NetAddr>;
  try {
    tcp = Deno.serve({ hostname, port, ...quiet }, everyone.fetch);
  } catch (error) {
    throw listenError(error, { hostname, port });
  }
  let unix: Deno.HttpServer;
  try {
    unix = await servePrivately(path, operator);
  } catch (error) {
    await tcp.shutdown();
    throw new CodedError("data_dir_unwritable", `Cannot open "${path}": ${messageOf(error)}`, {
      hint: "data_dir must be writable and its path shorter than 90 characters",
      cause: error,
    });
  }
  return {
    address: address(),
    async [Symbol.asyncDispose]() {
      await Promise.all([tcp.shutdown(), unix.shutdown()]);
      await Deno.remove(path).catch(() => {});
    },
  };

  function withProblems(app: Hono): Hono {
    app.notFound(() => problem(404, "not_found", "There is nothing at this address."));
    app.onError((error) => {
      services.log("admin").error("a request failed", { error });
      return problem(500, "internal", "Something went wrong here; the log of the site says what.");
    });
    return app;
  }
}

/**
 * Listens on a file that is its owner's alone from its first moment on: it is made where nobody else may
 * look, and put into its place when its mode is right. The mask of the process would do as well, were it
 * not for the threads that make files and folders meanwhile.
 */
async function servePrivately(path: string, app: Hono): Promise<Deno.HttpServer> {
  const cradle = join(dirname(path), ".sock");
  await Deno.remove(cradle, { recursive: true }).catch(() => {});
  await Deno.mkdir(cradle, { mode: 0o700 });
  const made = join(cradle, "s");
  const server = Deno.serve({ path: made, onListen: () => {} }, app.fetch);
  try {
    await Deno.chmod(made, 0o600);
    await Deno.link(made, path); // fails when another process was quicker
  } catch (error) {
    await server.shutdown();
    throw error;
  } finally {
    await Deno.remove(cradle, { recursive: true }).catch(() => {});
  }
  return server;
}

function watching(
  services: SiteServices,
  { ready: isReady, status }: { ready: () => boolean; status: () => Promise<SiteStatus> },
): Hono {
  const app = new Hono();
  app.get("/livez", (c) => c.text("ok\n"));
  app.get("/readyz", (c) => {
    const ready = isReady();
    const verbose = c.req.query("verbose") !== undefined;
    const lines = services.health.parts().map(({ part, state, detail }) => {
      return `${markOf(state)}${part} ${state}${detail === "" ? "" : `: ${detail}`}\n`;
    });
    const verdict = ready ? "ok\n" : "not ready\n";
    return c.text((verbose ? lines.join("") : "") + verdict, ready ? 200 : 503);
  });
  app.get("/metrics", async () =>
    new Response(await services.metrics.text(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    }));
  app.get("/site", async (c) => c.json(await status()));
  return app;
}

/** A socket file that nobody answers on is left from a crash; one that answers is in use. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    const connection = await Deno.connect({ transport: "unix", path });
    connection.close();
  } catch {
    await Deno.remove(path).catch(() => {});
    return;
  }
  throw new CodedError(
    "data_dir_busy",
    `Cannot use the data directory: "${path}" answers already`,
    {
      hint: "another edgeward runs with this data_dir: stop it, or give this one its own",
    },
  );
}
