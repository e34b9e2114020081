/** What the cloud says is missing, doubled or contradictory: `GET /cloud-summary/completeness`. */
import assert from "node:assert/strict";

interface Numbers {
  readonly from: number;
  readonly to: number;
}

export interface Completeness {
  readonly complete: boolean;
  readonly fogs: readonly {
    readonly fog_id: string;
    readonly epoch: number;
    readonly seq: number;
  }[];
  /** Numbers of links that never came. */
  readonly summaries: readonly (Numbers & { fog_id: string; epoch: number; reason: string })[];
  /** Numbers of readings that no window in force holds. */
  readonly readings: readonly (Numbers & { meter: string; register: string })[];
  readonly counted_twice: readonly unknown[];
  readonly undecided: readonly {
    readonly fog_id: string;
    readonly window: { readonly start: number; readonly end: number };
    readonly epochs: readonly number[];
  }[];
  readonly conflicts: readonly unknown[];
}

/** What it says when there is nothing to say, but for the fogs. */
export const whole = {
  complete: true,
  ...{ summaries: [], readings: [], counted_twice: [], undecided: [], conflicts: [] },
};

const lists = ["fogs", "summaries", "readings", "counted_twice", "undecided", "conflicts"] as const;

/** All pages together; `complete` must be the same on each. */
export async function completenessAt(cloud: string): Promise<Completeness> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const all: Record<string, unknown[]> = Object.fromEntries(lists.map((list) => [list, []]));
  const complete = new Set<boolean>();
  let next: string | null = null;
  do {
    const after: string = next === null ? "" : `&after=${encodeURIComponent(next)}`;
    const response = await fetch(`${cloud}/cloud-summary/completeness?limit=500${after}`, {
      client,
    });
    const page = await response.json();
    assert.equal(response.status, 200, JSON.stringify(page));
    complete.add(page.complete);
    for (const list of lists) all[list]!.push(...page[list]);
    next = page.next;
  } while (next !== null);
  return { ...all, complete: !complete.has(false) } as unknown as Completeness;
}

/** How many numbers are missing of the readings. */
export function missing({ readings }: Completeness): number {
  return readings.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}

/** Whether a number of a register, "m-1/r1", is missing. */
export function missingIn({ readings }: Completeness): (register: string, seq: number) => boolean {
  const byRegister = new Map<string, Numbers[]>();
  for (const { meter, register, ...numbers } of readings) {
    const key = `${meter}/${register}`;
    byRegister.set(key, [...byRegister.get(key) ?? [], numbers]);
  }
  return (register, seq) =>
    byRegister.get(register)?.some(({ from, to }) => from <= seq && seq <= to) ?? false;
}
