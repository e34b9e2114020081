/** Who has made a request, for the audit. */
import type { Context } from "hono";
import type { Guarded } from "../services/access/mod.ts";

/** The token, or "site": this machine's operator, who came through the socket and without one. */
export function actorOf(c: Context<Guarded>): string {
  const principal = c.get("principal") as Guarded["Variables"]["principal"] | undefined;
  return principal === undefined ? "site" : `token:${principal.id}`;
}
