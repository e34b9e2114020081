/** What the routes of this role read from a request: instants, identifiers, bounds of a page. */
import { isId } from "../../core/base/id.ts";
import { problem } from "../../core/services/http/mod.ts";

export const pageLimit = 1_000;

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/** Unix milliseconds or RFC 3339. */
export function instant(text: string): number | null {
  const value = /^\d{1,16}$/.test(text)
    ? Number(text)
    : rfc3339.test(text)
    ? Date.parse(text)
    : NaN;
  return Number.isSafeInteger(value) ? value : null;
}

/** A page's size, or null. */
export function limitOf(text = "100"): number | null {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  return count < 1 || count > pageLimit ? null : count;
}

/** Whether it may be left out or is an identifier. */
export function isOptionalId(text: string | undefined): boolean {
  return text === undefined || isId(text);
}

export function badQuery(detail: string): Response {
  return problem(400, "bad_query", `Cannot read the query: ${detail}.`);
}
