/** Tests of the list of devices: whatever is asked, pages are whole, in order, and cost one look. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { states } from "./devices.ts";
import { type ListQuery, pageOf, placeOf, type Row, sorts } from "./device_list.ts";

const all: ListQuery = {
  ...{ search: "", states: null, sort: "id", descending: false, limit: 100, after: null },
};

const anyRow: fc.Arbitrary<Row> = fc.record({
  id: fc.stringMatching(/^[A-Ca-c_-]{1,3}$/),
  name: fc.option(fc.constantFrom("Pump", "pump", "Lamp", "Zürich 7")),
  state: fc.constantFrom(...states),
  fingerprint: fc.stringMatching(/^[0-9a-f]{2}$/),
  firstSeen: fc.nat(3),
  lastSeen: fc.option(fc.nat(3)),
});
const anyRows = fc.uniqueArray(anyRow, {
  maxLength: 40,
  selector: ({ id, fingerprint }) => `${id} ${fingerprint}`,
});

/** All pages of a query. */
function pages(rows: readonly Row[], query: ListQuery): Row[] {
  const found: Row[] = [];
  for (let after = query.after;;) {
    const { rows: page, next } = pageOf(rows, { ...query, after });
    assert.ok(page.length <= query.limit);
    found.push(...page);
    if (next === null) return found;
    after = placeOf(next);
    assert.ok(after !== null);
  }
}

Deno.test("pageOf() leads through all rows in pages of any size, each once, in one order", () => {
  const query = fc.record({
    sort: fc.constantFrom(...sorts),
    descending: fc.boolean(),
    limit: fc.integer({ min: 1, max: 7 }),
  });
  fc.assert(fc.property(anyRows, query, (rows, part) => {
    const whole = pageOf(rows, { ...all, ...part, limit: 1_000 });
    assert.equal(whole.next, null);
    assert.equal(whole.total, rows.length);
    assert.deepEqual(new Set(whole.rows), new Set(rows));
    assert.deepEqual(pages(rows, { ...all, ...part }), whole.rows);
    assert.deepEqual(
      pageOf(rows.toReversed(), { ...all, ...part, limit: 1_000 }).rows,
      whole.rows,
      "the order is that of the rows, not of the list that they come in",
    );
  }));
});

Deno.test("pageOf() sorts by what it is asked to, either way", () => {
  const row = (id: string, rest: Partial<Row>): Row => ({
    ...{ id, name: null, state: "APPROVED", fingerprint: "00", firstSeen: 0, lastSeen: null },
    ...rest,
  });
  const rows = [
    row("b", { name: "alpha", state: "OFFLINE", lastSeen: 5, firstSeen: 3 }),
    row("C", { name: "Beta", state: "PENDING", firstSeen: 2 }),
    row("a", { state: "AUTHORIZED", lastSeen: 9, firstSeen: 1 }),
  ];
  const ids = (query: Partial<ListQuery>) =>
    pageOf(rows, { ...all, ...query }).rows.map((r) => r.id);
  assert.deepEqual(ids({ sort: "id" }), ["C", "a", "b"]);
  assert.deepEqual(ids({ sort: "name" }), ["a", "b", "C"]);
  assert.deepEqual(ids({ sort: "state" }), ["C", "a", "b"]);
  assert.deepEqual(ids({ sort: "first_seen" }), ["a", "C", "b"]);
  assert.deepEqual(ids({ sort: "last_seen" }), ["C", "b", "a"]);
  assert.deepEqual(ids({ sort: "last_seen", descending: true }), ["a", "b", "C"]);
});

Deno.test("pageOf() finds what is searched, in id, name and fingerprint, and only in some states", () => {
  fc.assert(fc.property(anyRows, fc.constantFrom("a", "PU", "ü", "0", "-"), (rows, search) => {
    const wanted = new Set(states.slice(0, 3));
    const { rows: found } = pageOf(rows, { ...all, search, states: wanted });
    const expected = rows.filter(({ id, name, fingerprint, state }) =>
      wanted.has(state) &&
      new RegExp(search, "i").test(`${id} ${name ?? ""} ${fingerprint}`)
    );
    assert.deepEqual(new Set(found), new Set(expected));
  }));
});

Deno.test("pageOf() goes on behind a row that is gone, and gives none twice that was there", () => {
  const rows = Array.from({ length: 9 }, (_, i): Row => ({
    ...{ id: `d-${i}`, name: null, state: "APPROVED", fingerprint: "00" },
    ...{ firstSeen: 0, lastSeen: null },
  }));
  const { next } = pageOf(rows, { ...all, limit: 3 });
  const left = rows.filter(({ id }) => id !== "d-2");
  const { rows: second } = pageOf(left, { ...all, after: placeOf(next!) });
  assert.deepEqual(second.map(({ id }) => id), ["d-3", "d-4", "d-5", "d-6", "d-7", "d-8"]);
});

Deno.test("pageOf() looks at each of 5,000 rows once", () => {
  let looks = 0;
  const rows = Array.from({ length: 5_000 }, (_, i): Row => ({
    id: `device-${i}`,
    get name() {
      looks++;
      return `Pump ${i % 100}`;
    },
    ...{ state: states[i % states.length]!, fingerprint: "00", firstSeen: i, lastSeen: null },
  }));
  const query = { ...all, search: "pump 7", limit: 10, sort: "first_seen" } as const;
  for (let after = null as ListQuery["after"], n = 0; n < 3; n++) {
    looks = 0;
    const { rows: page, next, total } = pageOf(rows, { ...query, after });
    assert.equal(page.length, 10);
    assert.equal(total, 550);
    assert.equal(looks, rows.length);
    after = placeOf(next!);
  }
});

Deno.test("placeOf() takes nothing but what a page has given", () => {
  for (const text of ["", "x", "e30", "W10", "WzEsMl0", "WzEsMiwzXQ", "a b", "é", "////"]) {
    assert.equal(placeOf(text), null, text);
  }
});
