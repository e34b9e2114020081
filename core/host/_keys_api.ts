/** The keys of the site itself, over HTTP. */
import { Hono } from "hono";
import { auditOf } from "../services/audit.ts";
import { type Access, actorOf, type Guarded } from "../services/access/mod.ts";
import { rotateSealingKey } from "../services/sealing_rotation.ts";
import { apiError } from "./_api_error.ts";
import type { SiteServices } from "./_services.ts";

/** `POST /sealing-key/rotate` → `{version, resealed}`, for admins. @param require guards a route */
export function keysApi(services: SiteServices, require: Access["require"]): Hono<Guarded> {
  const app = new Hono<Guarded>();
  app.onError(apiError);
  app.post("/sealing-key/rotate", require("admin"), async (c) => {
    const { suite, sealer, clock, identity } = services;
    return c.json(
      await rotateSealingKey({
        ...{ suite, sealer, key: identity.sealingKey, db: await services.db() },
        ...{ audit: auditOf("core", clock), actor: actorOf(c) },
      }),
    );
  });
  return app;
}
