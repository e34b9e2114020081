/**
 * What a customer needs to check a window without trusting this site: the fog's signed summary, and the
 * proof that the site's log has it. `GET /cloud-summary/statement?fog=&window=` gives the statement of
 * the version in force, `GET /cloud-summary/proof?fog=&window=` the `.tlog-proof` of the entry that
 * names its hash (C2SP tlog-proof, with the entry as extra data). The log's checkpoint in it is signed,
 * and cosigned once the witnesses have seen it.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { Clock } from "../../core/base/clock.ts";
import { type Id, isId } from "../../core/base/id.ts";
import type { SiteAudit } from "../../core/services/audit.ts";
import { problem } from "../../core/services/http/mod.ts";
import { badQuery, instant } from "./_queries.ts";
import type { SummaryInForce, SummaryStore } from "./store.ts";

interface Options {
  readonly gate: MiddlewareHandler;
  readonly audit: Pick<SiteAudit, "prove">;
  readonly clock: Clock;
}

/** What of a summary that is kept. */
type Kept = SummaryInForce & { readonly signed: NonNullable<SummaryInForce["signed"]> };

/** Milliseconds in which the log has what is new, with a good deal to spare. */
const soon = 60_000;

export function proofRoutes(store: SummaryStore, { gate, audit, clock }: Options): Hono {
  const routes = new Hono();

  routes.get("/statement", gate, async (c) => {
    const found = await summaryAsked(c);
    if (found instanceof Response) return found;
    const type = 'application/cose; cose-type="cose-sign1"';
    return file(c, { found, extension: "cose", type, content: found.signed.statement });
  });

  routes.get("/proof", gate, async (c) => {
    const found = await summaryAsked(c);
    if (found instanceof Response) return found;
    const content = await audit.prove(found.signed.hash);
    if (content === null) return notLogged(found.signed);
    const type = "text/plain; charset=utf-8";
    return file(c, { found, extension: "tlog-proof", type, content });
  });

  return routes;

  async function summaryAsked(c: Context): Promise<Kept | Response> {
    const { fog = "", window = "" } = c.req.query();
    const start = instant(window);
    if (!isId(fog)) return badQuery("fog is the identifier of a fog");
    if (start === null) return badQuery("window is its start, Unix milliseconds or RFC 3339");
    const found = await store.inForce(fog as Id, start);
    if (found === null) return problem(404, "no_window", "There is no window of this fog there.");
    const { signed } = found;
    if (signed !== null) return { ...found, signed };
    return problem(410, "summary_pruned", "Of this window the figures are kept alone.");
  }

  function notLogged({ receivedAt }: { receivedAt: number }): Response {
    if (clock() - receivedAt < soon) {
      return problem(404, "not_logged_yet", "No checkpoint of the log holds this summary yet.", {
        hint: "ask again in a second",
        headers: { "retry-after": "1" },
      });
    }
    return problem(404, "not_logged", "The log that this site writes now lacks this summary.", {
      hint: "it is older than the log, or the log does not work: `edgeward status` says which",
    });
  }
}

/** The window that is meant may get another version: caches must ask. */
function file(c: Context, { found, extension, type, content }: {
  found: Kept;
  extension: string;
  type: string;
  content: string | Uint8Array;
}): Response {
  const name = `${found.fog_id}-${timeOf(found.start)}-${found.epoch}.${found.seq}.${extension}`;
  const body = typeof content === "string" ? content : content.slice().buffer;
  return c.body(body, 200, {
    "content-type": type,
    "content-disposition": `attachment; filename="${name}"`,
    "cache-control": "no-cache",
  });
}

/** RFC 3339 as far as a file's name may hold it on every system; what is no date stays a number. */
function timeOf(start: number): string {
  const time = new Date(start);
  if (Number.isNaN(time.getTime())) return String(start);
  return time.toISOString().replace(/\.\d+Z$/, "Z").replaceAll(":", "");
}
