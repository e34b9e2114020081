/**
 * What an operator sees and decides over HTTP: how the gateway is, who asks, what was released; yes and no
 * to requests, a cleared device, an erased volume. Viewers look, operators decide; lists come in pages.
 */
import { type Context, Hono } from "hono";
import { CodedError } from "../../core/base/errors.ts";
import { type Id, isId } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { actorOf, type Guarded } from "../../core/services/access/mod.ts";
import { AuditError } from "../../core/services/audit.ts";
import { DatabaseError } from "../../core/services/db/mod.ts";
import { problem } from "../../core/services/http/mod.ts";
import { listRequests, RequestError, type RequestRow } from "./approvals.ts";
import type { Group } from "./group.ts";
import { listDevices, listVolumes } from "./listings.ts";
import { OperationError, type Operations } from "./operations.ts";
import { listReleases } from "./releases.ts";
import { countAll } from "./upkeep.ts";

const pageLimit = 1_000;

interface Shown {
  readonly group: Group;
  readonly operations: Operations;
}

/** Below `/share-gateway`; see each route. Lists take `?limit=` and say in `next` how to go on. */
export function gatewayRoutes(
  { access, clock, db }: Pick<Host & Services, "access" | "clock" | "db">,
  { group, operations }: Shown,
): Hono<Guarded> {
  const routes = new Hono<Guarded>();
  const [viewer, operator] = [access.require("viewer"), access.require("operator")];
  routes.onError(answerOf);

  routes.get("/status", viewer, async (c) => {
    const keyshare = group.current();
    const { pending, awaited, suspended } = await db.read((q) => countAll(q, clock()));
    return c.json({
      group: keyshare && {
        name: keyshare.roster.group,
        epoch: keyshare.roster.epoch,
        index: keyshare.index,
        k: keyshare.roster.k,
        n: keyshare.roster.n,
      },
      ...{ pending, awaited, suspended },
    });
  });

  routes.get("/requests", viewer, async (c) => {
    const requests = await db.read((q) => listRequests(q, clock()));
    return c.json({ requests: requests.map(requestShown) });
  });

  for (const [path, verdict] of [["approve", "approved"], ["deny", "refused"]] as const) {
    routes.post(`/requests/:id/${path}`, operator, async (c) => {
      return c.json(requestShown(await operations.decide(c.req.param("id"), verdict, actorOf(c))));
    });
  }

  // ?after=
  routes.get("/devices", viewer, async (c) => {
    const limit = limitOf(c);
    const after = c.req.query("after") ?? "";
    if (after !== "" && !isId(after)) throw badAfter();
    const rows = await db.read((q) => listDevices(q, { after, limit }));
    const next = rows.length < limit ? null : rows.at(-1)!.device;
    return c.json({
      devices: rows.map(({ boot_at, suspended, released, settled, ...row }) => ({
        ...row,
        boot_at: instant(boot_at),
        suspended: instant(suspended),
        released: instant(released),
        settled: instant(settled),
      })),
      next,
    });
  });

  routes.post("/devices/:id/clear", operator, async (c) => {
    await operations.clear(idIn(c.req.param("id")), actorOf(c));
    return c.json({});
  });

  // ?device=&after=
  routes.get("/volumes", viewer, async (c) => {
    const limit = limitOf(c);
    const after = c.req.query("after") ?? "";
    if (after !== "" && !/^[\w-]{1,64}\.[0-9a-f]{32}$/.test(after)) throw badAfter();
    const rows = await db.read((q) => listVolumes(q, { device: deviceIn(c), after, limit }));
    const last = rows.length < limit ? undefined : rows.at(-1);
    return c.json({
      volumes: rows.map((row) => ({ ...row, since: instant(row.since) })),
      next: last === undefined ? null : `${last.device}.${last.volume}`,
    });
  });

  routes.delete("/volumes/:device/:volume", operator, async (c) => {
    const { device, volume } = c.req.param();
    if (!/^[0-9a-f]{32}$/.test(volume)) throw bad("a volume is 32 hexadecimal digits");
    await operations.erase(idIn(device), volume, actorOf(c));
    return c.json({});
  });

  // ?device=&before=, the newest first
  routes.get("/releases", viewer, async (c) => {
    const limit = limitOf(c);
    const text = c.req.query("before") ?? String(Number.MAX_SAFE_INTEGER);
    if (!/^\d{1,16}$/.test(text)) throw bad("before is what the page before gave as next");
    const before = Math.min(Number(text), Number.MAX_SAFE_INTEGER);
    const rows = await db.read((q) => listReleases(q, { device: deviceIn(c), before, limit }));
    return c.json({
      releases: rows.map(({ released, settled, ...row }) => {
        return { ...row, released: instant(released), settled: instant(settled) };
      }),
      next: rows.length < limit ? null : `${rows.at(-1)!.id}`,
    });
  });

  return routes;
}

function requestShown({ asked, expires, ...request }: RequestRow) {
  return { ...request, asked: instant(asked), expires: instant(expires) };
}

function instant(t: number | null): string | null {
  return t === null ? null : new Date(t).toISOString();
}

class QueryError extends CodedError<"bad_query"> {
  override readonly name = "QueryError";
}

function bad(detail: string): QueryError {
  return new QueryError("bad_query", `Cannot read the query: ${detail}.`);
}

function badAfter(): QueryError {
  return bad("after is what the page before gave as next");
}

function limitOf(c: Context): number {
  const text = c.req.query("limit") ?? "100";
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= pageLimit) return limit;
  throw bad(`limit is a number from 1 to ${pageLimit}`);
}

function deviceIn(c: Context): Id | null {
  const text = c.req.query("device");
  return text === undefined ? null : idIn(text);
}

function idIn(text: string): Id {
  if (isId(text)) return text;
  throw bad("a device is 1 to 64 letters, digits, - and _");
}

/** @throws what is no error raised on purpose: that is for the log alone */
function answerOf(error: unknown): Response {
  if (!(error instanceof CodedError)) throw error;
  return problem(statusOf(error), error.code, error.message, {
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}

function statusOf(error: CodedError): number {
  if (error instanceof DatabaseError || error instanceof AuditError) return 503;
  if (error.code.endsWith("_unknown")) return 404;
  if (error instanceof RequestError || error instanceof OperationError) return 409;
  return error instanceof QueryError ? 400 : 500;
}
