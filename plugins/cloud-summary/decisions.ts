/**
 * `POST /cloud-summary/decisions {fog, from, to, epoch}`: an operator says which epoch of a fog is right
 * about windows of which there is more than one version. Answered with how many windows that has
 * decided; `more` when there are others left, and the same request goes on with them.
 */
import { setImmediate } from "node:timers";
import { Hono } from "hono";
import { z } from "zod";
import { isId } from "../../core/base/id.ts";
import { type Access, actorOf, type Guarded } from "../../core/services/access/mod.ts";
import { problem } from "../../core/services/http/mod.ts";
import { instant } from "./_queries.ts";
import type { SummaryStore } from "./store.ts";

/** Windows in one transaction, and transactions for one request. */
const slice = 50;
const slices = 100;

const time = z.union([z.int().min(0), z.string().max(40).transform(instant).pipe(z.int())]);
const body = z.strictObject({
  fog: z.string().refine(isId),
  from: time,
  to: time,
  epoch: z.int().min(1).max(2 ** 31),
});

/** @param require guards a route, for operators */
export function decisionRoutes(store: SummaryStore, require: Access["require"]): Hono<Guarded> {
  const routes = new Hono<Guarded>();
  routes.post("/decisions", require("operator"), async (c) => {
    const asked = body.safeParse(await c.req.json().catch(() => null));
    if (!asked.success || asked.data.from > asked.data.to) {
      return problem(400, "bad_request", "Cannot read the decision.", {
        hint: 'send {"fog": ID, "from": TIME, "to": TIME, "epoch": NUMBER}',
      });
    }
    const decision = { ...asked.data, actor: actorOf(c), limit: slice };
    let windows = 0;
    for (let i = 0; i < slices; i++) {
      const decided = await store.decide(decision);
      windows += decided;
      if (decided < slice) return c.json({ windows, more: false });
      await new Promise((resolve) => setImmediate(resolve));
    }
    return c.json({ windows, more: true });
  });
  return routes;
}
