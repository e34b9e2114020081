/**
 * The list of devices as people ask for it: searched, filtered, sorted, in pages. It looks at each row
 * once, and a page begins behind the last row of the page before, whatever has changed meanwhile.
 */
import { fromBase64url, toBase64url, utf8 } from "../../core/base/bytes.ts";
import { type State, states } from "./devices.ts";

/** A device as lists show it. Instants are Unix milliseconds. */
export interface Row {
  readonly id: string;
  /** What people call it. */
  readonly name: string | null;
  readonly state: State;
  /** Of its key, as people see it. */
  readonly fingerprint: string;
  readonly firstSeen: number;
  readonly lastSeen: number | null;
}

export const sorts = ["id", "name", "state", "first_seen", "last_seen"] as const;
export type Sort = typeof sorts[number];

export interface ListQuery {
  /** Part of an id, a name or a fingerprint, in whatever case. */
  readonly search: string;
  /** Null for all. */
  readonly states: ReadonlySet<State> | null;
  readonly sort: Sort;
  readonly descending: boolean;
  readonly limit: number;
  /** `next` of the page before. */
  readonly after: Place | null;
}

/** Where a page ends: no two rows have the same place. */
export type Place = readonly [key: string | number, id: string, fingerprint: string];

export function pageOf<R extends Row>(
  rows: Iterable<R>,
  query: ListQuery,
): { readonly rows: readonly R[]; readonly next: string | null; readonly total: number } {
  const search = query.search.toLowerCase();
  const found: { readonly place: Place; readonly row: R }[] = [];
  let total = 0;
  for (const row of rows) {
    if (query.states !== null && !query.states.has(row.state)) continue;
    if (search !== "" && !isFound(row, search)) continue;
    total++;
    const place: Place = [keyOf(row, query.sort), row.id, row.fingerprint];
    if (query.after === null || compare(place, query.after, query) > 0) found.push({ place, row });
  }
  found.sort((a, b) => compare(a.place, b.place, query));
  const page = found.slice(0, query.limit);
  const last = found.length > page.length ? page.at(-1) : undefined;
  return {
    rows: page.map(({ row }) => row),
    next: last === undefined ? null : toBase64url(utf8(JSON.stringify(last.place))),
    total,
  };
}

/** Reads what a page gave as `next`; null when it is nothing of the kind. */
export function placeOf(text: string): Place | null {
  try {
    const place: unknown = JSON.parse(new TextDecoder().decode(fromBase64url(text)));
    if (!Array.isArray(place) || place.length !== 3) return null;
    const [key, ...names] = place;
    const isPlace = (typeof key === "string" || typeof key === "number") &&
      names.every((name) => typeof name === "string");
    return isPlace ? place as unknown as Place : null;
  } catch {
    return null;
  }
}

function isFound({ id, name, fingerprint }: Row, search: string): boolean {
  return id.toLowerCase().includes(search) || fingerprint.includes(search) ||
    name !== null && name.toLowerCase().includes(search);
}

/** Who has never been heard, or has no name, comes first. */
function keyOf(row: Row, sort: Sort): string | number {
  switch (sort) {
    case "id":
      return row.id;
    case "name":
      return row.name?.toLowerCase() ?? "";
    case "state":
      return states.indexOf(row.state);
    case "first_seen":
      return row.firstSeen;
    case "last_seen":
      return row.lastSeen ?? -1;
  }
}

function compare(a: Place, b: Place, { descending }: Pick<ListQuery, "descending">): number {
  for (const [i, one] of a.entries()) {
    const other = b[i]!;
    if (one === other) continue;
    return (one < other ? -1 : 1) * (descending ? -1 : 1);
  }
  return 0;
}
