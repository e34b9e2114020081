/**
 * The admin listener: health, metrics and the state of the site on loopback, and on the unix socket
 * `data_dir/edgeward.sock` besides these what only this machine's operator may do. The socket's file
 * mode is its access control; it also keeps a second process out of the same data directory.
 */
import { join } from "node:path";
import { Hono } from "hono";
import { CodedError, messageOf } from "../base/errors.ts";
import { enrolmentToJson } from "../wire/enrolment.ts";
import { isPeerKind } from "../wire/peer.ts";
import { type Listen, listenError, problem } from "../services/http/mod.ts";
import type { SiteServices } from "./_services.ts";

/** What `/site` tells; grows, never shrinks. */
export interface SiteStatus {
  readonly site: string;
  readonly version: string;
  /** Unix milliseconds. */
  readonly started: number;
  readonly ready: boolean;
  readonly http: Listen | null;
  readonly parts: readonly { part: string; state: string; detail: string }[];
}

export interface AdminListener extends AsyncDisposable {
  readonly address: Listen;
}

/** Where the admin socket of a data directory is. */
export function socketPath(dataDir: string): string {
  return join(dataDir, "edgeward.sock");
}

/** Opens both doors. @throws CodedError "port_busy", "data_dir_busy" */
export async function openAdmin(
  services: SiteServices,
  options: { status: () => SiteStatus },
): Promise<AdminListener> {
  const path = socketPath(services.config.data_dir);
  await removeStaleSocket(path);
  const everyone = watching(services, options.status);
  const operator = new Hono();
  operator.post("/enrol", (c) => enrol(services, c.req.raw));
  operator.all("*", (c) => everyone.fetch(c.req.raw));
  for (const app of [everyone, operator]) {
    app.onError((error) => {
      services.log("admin").error("a request failed", { error });
      return problem(500, "internal", "Something went wrong here; the log of the site says what.");
    });
  }

  const { hostname, port } = services.config.admin.listen;
  const quiet = { onListen: () => {} };
  let tcp: Deno.HttpServer<Deno.NetAddr>;
  try {
    tcp = Deno.serve({ hostname, port, ...quiet }, everyone.fetch);
  } catch (error) {
    throw listenError(error, { hostname, port });
  }
  let unix: Deno.HttpServer;
  try {
    unix = Deno.serve({ path, ...quiet }, operator.fetch);
    await Deno.chmod(path, 0o600);
  } catch (error) {
    await tcp.shutdown();
    throw new CodedError("data_dir_unwritable", `Cannot open "${path}": ${messageOf(error)}`, {
      hint: "data_dir must be writable and its path shorter than 90 characters",
      cause: error,
    });
  }
  return {
    address: { hostname, port: tcp.addr.port },
    async [Symbol.asyncDispose]() {
      await Promise.all([tcp.shutdown(), unix.shutdown()]);
      await Deno.remove(path).catch(() => {});
    },
  };
}

function watching(services: SiteServices, status: () => SiteStatus): Hono {
  const app = new Hono();
  app.get("/livez", (c) => c.text("ok\n"));
  app.get("/readyz", (c) => {
    const ready = services.health.ready();
    const verbose = c.req.query("verbose") !== undefined;
    const lines = services.health.parts().map(({ part, state, detail }) => {
      const mark = state === "ok" ? "[+]" : state === "degraded" ? "[~]" : "[-]";
      return `${mark}${part} ${state}${detail === "" ? "" : `: ${detail}`}\n`;
    });
    const verdict = ready ? "ok\n" : "not ready\n";
    return c.text((verbose ? lines.join("") : "") + verdict, ready ? 200 : 503);
  });
  app.get("/metrics", async () =>
    new Response(await services.metrics.text(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    }));
  app.get("/site", (c) => c.json(status()));
  app.notFound(() => problem(404, "not_found", "There is nothing at this address."));
  return app;
}

async function enrol(services: SiteServices, request: Request): Promise<Response> {
  const asked = await request.json().catch(() => null) as Record<string, unknown> | null;
  const { kind, id, ttl } = asked ?? {};
  if (!isPeerKind(kind) || typeof id !== "string" || !isLifetime(ttl)) {
    return problem(400, "bad_request", "Expected kind, id and ttl in whole milliseconds.");
  }
  try {
    const peers = await services.peers();
    const enrolment = await peers.enrol(kind, id, { url: await services.urlFor(kind), ttl });
    return Response.json(enrolmentToJson(enrolment), { status: 201 });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return problem(error.code === "id_invalid" ? 400 : 409, error.code, error.message, {
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}

/** At most ten years. */
function isLifetime(value: unknown): value is number {
  return Number.isInteger(value) && value as number > 0 && value as number <= 3_652 * 86_400_000;
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
