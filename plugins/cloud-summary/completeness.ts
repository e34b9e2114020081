/**
 * `GET /cloud-summary/completeness?fog=&meter=&limit=&after=` names every hole and every contradiction,
 * page by page, or says that there is none. A page lists what it has found; `complete` speaks of
 * everything that was asked for, whichever page shows it.
 */
import { setImmediate } from "node:timers";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { type Id, isId } from "../../core/base/id.ts";
import { badQuery, isOptionalId, limitOf, pageLimit } from "./_queries.ts";
import {
  type Finding,
  findingParts,
  type FindingPlace,
  type FindingQuery,
  type SummaryStore,
} from "./store.ts";

type Asked = Pick<FindingQuery, "fog" | "meter">;

export function completenessRoutes(store: SummaryStore, gate: MiddlewareHandler): Hono {
  const routes = new Hono();
  /** Searches under way: who asks the same waits for the same answer. */
  const searches = new Map<string, Promise<boolean>>();

  routes.get("/completeness", gate, async (c) => {
    const query = parseQuery(c);
    if (query instanceof Response) return query;
    const { found, next } = await store.findings(query);
    const complete = !found.some(isFlaw) && await isComplete(query);
    return c.json({ complete, ...shown(found), next: next && placeText(next) });
  });
  return routes;

  function isComplete({ fog, meter }: Asked): Promise<boolean> {
    const asked = { ...(fog !== undefined && { fog }), ...(meter !== undefined && { meter }) };
    const key = JSON.stringify(asked);
    let search = searches.get(key);
    if (search === undefined) {
      search = findsNothing(asked).finally(() => searches.delete(key));
      searches.set(key, search);
    }
    return search;
  }

  async function findsNothing(asked: Asked): Promise<boolean> {
    let from: FindingPlace | null = { part: findingParts[1] };
    while (from !== null) {
      const page: Awaited<ReturnType<SummaryStore["findings"]>> = await store.findings({
        ...asked,
        ...{ from, limit: 1 },
      });
      if (page.found.length > 0) return false;
      from = page.next;
      // the database answers without letting anything else run
      await new Promise((resolve) => setImmediate(resolve));
    }
    return true;
  }
}

function isFlaw({ kind }: Finding): boolean {
  return kind !== "fog";
}

function parseQuery(c: Context): FindingQuery | Response {
  const { fog, meter, limit, after } = c.req.query();
  const count = limitOf(limit);
  if (count === null) return badQuery(`limit is a number from 1 to ${pageLimit}`);
  if (!isOptionalId(fog)) return badQuery("fog is the identifier of a fog");
  if (!isOptionalId(meter)) return badQuery("meter is the identifier of a meter");
  const from = after === undefined ? { part: findingParts[0] } : placeOf(after);
  if (from === null) return badQuery("after is what the page before gave as next");
  return {
    ...{ from, limit: count },
    ...(fog !== undefined && { fog: fog as Id }),
    ...(meter !== undefined && { meter: meter as Id }),
  };
}

/** "readings.METER.REGISTER.7", "summaries.FOG.2.7", or a part alone. */
function placeText({ part, at }: FindingPlace): string {
  return [part, ...at ?? []].join(".");
}

function placeOf(text: string): FindingPlace | null {
  const [name, first, second, last, ...more] = text.split(".");
  const part = findingParts.find((part) => part === name);
  if (part === undefined || more.length > 0) return null;
  if (first === undefined) return { part };
  const number = numberOf(last);
  const inner = part === "readings" ? second : numberOf(second);
  const isName = part !== "readings" || isId(second);
  if (!isId(first) || !isName || inner === null || number === null) return null;
  return { part, at: [first, inner!, number] };
}

function numberOf(text: string | undefined): number | null {
  const value = /^\d{1,16}$/.test(text ?? "") ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}

function shown(found: readonly Finding[]) {
  const summaries: unknown[] = [], readings: unknown[] = [], counted_twice: unknown[] = [];
  const fogs: unknown[] = [], undecided: unknown[] = [], conflicts: unknown[] = [];
  for (const finding of found) {
    switch (finding.kind) {
      case "fog": {
        const { fog_id, head: { epoch, seq }, received } = finding;
        fogs.push({ fog_id, epoch, seq, last_received: new Date(received).toISOString() });
        break;
      }
      case "summaries": {
        const { fog_id, epoch, from, to, reason: told } = finding;
        const reason = told === null ? "not received" : `lost: ${told}`;
        summaries.push({ fog_id, epoch, from, to, reason });
        break;
      }
      case "reading":
      case "twice": {
        const { meter, register, from, to, fogs } = finding;
        if (finding.kind === "reading") readings.push({ meter, register, from, to });
        else counted_twice.push({ meter, register, from, to, fogs });
        break;
      }
      case "undecided": {
        const { fog_id, start, end, epochs } = finding;
        undecided.push({ fog_id, window: { start, end }, epochs });
        break;
      }
      case "conflict":
        conflicts.push({ fog_id: finding.fog_id, epoch: finding.epoch, seq: finding.seq });
    }
  }
  return { fogs, summaries, readings, counted_twice, undecided, conflicts };
}
