/** API tokens over HTTP: made, listed and revoked by admins. A token is in one answer, and never again. */
import { Hono } from "hono";
import {
  type Access,
  actorOf,
  type Guarded,
  isApiRole,
  type TokenRow,
} from "../services/access/mod.ts";
import { problem } from "../services/http/mod.ts";

import { apiError } from "./_api_error.ts";
import type { SiteServices } from "./_services.ts";

/** At most ten years, in milliseconds. */
const longestToken = 3_652 * 86_400_000;

/** Routes under `/tokens`. @param require guards a route */
export function tokensApi(services: SiteServices, require: Access["require"]): Hono<Guarded> {
  const app = new Hono<Guarded>();
  app.onError(apiError);

  app.get("/tokens", require("admin"), async (c) => {
    const tokens = await services.tokens();
    return c.json({ tokens: (await tokens.list()).map(shown) });
  });

  app.post("/tokens", require("admin"), async (c) => {
    const body: unknown = await c.req.json().catch(() => null);
    const { role, note = "", ttl } = (body ?? {}) as Readonly<Record<string, unknown>>;
    if (!isApiRole(role) || typeof note !== "string" || !(ttl === undefined || isLifetime(ttl))) {
      return problem(
        400,
        "bad_request",
        "Expected a role, and perhaps a note, and a ttl in milliseconds of at most ten years.",
      );
    }
    const tokens = await services.tokens();
    const made = await tokens.add(role, {
      ...{ note, actor: actorOf(c) },
      ...(ttl !== undefined && { ttl }),
    });
    return c.json(made, 201);
  });

  app.delete("/tokens/:id", require("admin"), async (c) => {
    const tokens = await services.tokens();
    await tokens.revoke(c.req.param("id"), actorOf(c));
    return c.json({});
  });
  return app;
}

/** Instants are RFC 3339. */
function shown({ created, expires, revoked, ...token }: TokenRow) {
  const instant = (t: number | null) => t === null ? null : new Date(t).toISOString();
  return {
    ...token,
    created: instant(created),
    expires: instant(expires),
    revoked: instant(revoked),
  };
}

function isLifetime(value: unknown): value is number {
  return Number.isInteger(value) && value as number > 0 && value as number <= longestToken;
}
