/** The group over HTTP: everybody who may look sees how it is; founding and leaving it is for admins. */
import { type Context, Hono } from "hono";
import { CodedError } from "../../core/base/errors.ts";
import { type Access, actorOf, type Guarded } from "../../core/services/access/mod.ts";
import { DatabaseError } from "../../core/services/db/mod.ts";
import { problem } from "../../core/services/http/mod.ts";
import type { Ceremony } from "./ceremony.ts";
import { CeremonyError } from "./ceremony_error.ts";

/**
 * `GET /group?live=1` asks the others too; `POST /group/plan {group, threshold}`; `POST /group/deal`
 * answers 202 while it goes on; `DELETE /group` leaves it.
 */
export function ceremonyRoutes(ceremony: Ceremony, { require }: Access): Hono<Guarded> {
  const routes = new Hono<Guarded>();

  routes.get(
    "/group",
    require("viewer"),
    answering(async (c) => {
      return c.json(await ceremony.status({ live: c.req.query("live") === "1" }));
    }),
  );

  routes.post(
    "/group/plan",
    require("admin"),
    answering(async (c) => {
      const body: unknown = await c.req.json().catch(() => null);
      const { group, threshold } = (body ?? {}) as Readonly<Record<string, unknown>>;
      if (typeof group !== "string" || typeof threshold !== "number") {
        return problem(400, "bad_request", "Expected a group's name and a threshold.");
      }
      return c.json({ plan: await ceremony.plan({ group, k: threshold }, actorOf(c)) });
    }),
  );

  routes.post(
    "/group/deal",
    require("admin"),
    answering(async (c) => {
      return c.json({ deal: await ceremony.deal(actorOf(c)) }, 202);
    }),
  );

  routes.delete(
    "/group",
    require("admin"),
    answering(async (c) => {
      await ceremony.forget(actorOf(c));
      return c.json({});
    }),
  );

  return routes;
}

/** Errors raised on purpose are answers; of others the log tells. */
function answering(
  route: (c: Context<Guarded>) => Promise<Response>,
): (c: Context<Guarded>) => Promise<Response> {
  return async (c) => {
    try {
      return await route(c);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return problem(statusOf(error), error.code, error.message, {
        ...(error.hint !== undefined && { hint: error.hint }),
      });
    }
  };
}

function statusOf(error: CodedError): number {
  if (error instanceof DatabaseError) return 503;
  if (!(error instanceof CeremonyError)) return 400;
  return error.code === "bad_request" ? 400 : 409;
}
