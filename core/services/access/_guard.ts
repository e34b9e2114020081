/**
 * The guard before administrative routes: `Authorization: Bearer` with a token whose role is enough.
 * What it turns away is counted, and recorded in the audit as often as does no harm: anybody can knock.
 */
import type { Context, MiddlewareHandler } from "hono";
import type { Clock } from "../../base/clock.ts";
import type { Audit } from "../audit.ts";
import type { Bus } from "../bus.ts";
import type { Database } from "../db/mod.ts";
import { problem } from "../http/mod.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import { type ApiRole, apiRoles, type Principal, type Tokens } from "./_tokens.ts";

/** What routes behind the guard find in their context: `c.get("principal")`. */
export interface Guarded {
  Variables: { principal: Principal };
}

export interface Access {
  /** Lets in who shows a token of this role, or of a higher one, and whoever came by the socket. */
  require(role: ApiRole): MiddlewareHandler<Guarded>;
}

const operatorMark = Symbol("operator");

/**
 * Comes with a request from a door that needs no token, because only this machine's operator reaches
 * it: Hono's environment, which no request can write into.
 */
export const operatorEnv: Readonly<Record<symbol, true>> = { [operatorMark]: true };

function isOperator(c: Context): boolean {
  return (c.env as Readonly<Record<symbol, unknown>> | undefined)?.[operatorMark] === true;
}

/** Who makes a request, for the audit: the token, or "site", this machine's operator. */
export function actorOf(c: Context<Guarded>): string {
  const principal = c.get("principal") as Principal | undefined;
  return principal === undefined ? "site" : `token:${principal.id}`;
}

/** Refusals that the audit records in a minute. */
const recorded = { limit: 10, within: 60_000 };

export function openAccess(options: {
  tokens: Tokens;
  db: Database;
  audit: Audit;
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): Access {
  const { tokens, db, audit, bus, clock, log, metrics } = options;
  const refused = metrics.counter("edgeward_api_refused_total", "API requests without the right");
  let recent: number[] = [];
  let unrecorded = 0;

  async function record(c: Context, reason: string, actor: string, needed: ApiRole): Promise<void> {
    refused.add(1, { reason });
    log.warn("an API request was refused", { reason, actor, needed });
    const now = clock();
    recent = recent.filter((t) => now - t < recorded.within);
    if (recent.length >= recorded.limit) {
      unrecorded++;
      return;
    }
    recent.push(now);
    // the pattern of the route, never the path: it may carry anything
    const detail = { reason, needed, route: `${c.req.method} ${c.req.routePath}`, unrecorded };
    unrecorded = 0;
    bus.emit({ type: "admin.refused", severity: "warning", subject: actor, detail });
    await db.write((tx) =>
      audit.append(tx, { type: "admin.refused", actor, subject: "api", detail })
    ).catch((error) => log.error("a refusal could not be recorded", { error }));
  }

  return {
    require: (needed) => async (c, next) => {
      if (isOperator(c)) return await next();
      const [scheme, token, ...rest] = (c.req.header("authorization") ?? "").split(" ");
      if (scheme?.toLowerCase() !== "bearer" || token === undefined || rest.length > 0) {
        await record(c, "token_required", "nobody", needed);
        return problem(401, "token_required", "This needs an API token.", {
          hint: "send `Authorization: Bearer TOKEN`; `edgeward admin token add` makes one",
          headers: { "www-authenticate": "Bearer" },
        });
      }
      const principal = await tokens.check(token);
      if (principal === null) {
        await record(c, "token_invalid", "nobody", needed);
        return problem(401, "token_invalid", "The API token is unknown, expired or revoked.", {
          headers: { "www-authenticate": 'Bearer error="invalid_token"' },
        });
      }
      if (apiRoles.indexOf(principal.role) < apiRoles.indexOf(needed)) {
        await record(c, "role_too_low", principal.id, needed);
        return problem(403, "role_too_low", `This needs a token with the role ${needed}.`, {
          headers: { "www-authenticate": 'Bearer error="insufficient_scope"' },
        });
      }
      c.set("principal", principal);
      return await next();
    },
  };
}
