/** The desk by itself: whose offers are there for how long, and what reaches the asker. */
import assert from "node:assert/strict";
import { CodedError } from "../base/errors.ts";
import { bounds, type Docket, SiteDesk, type View } from "./desk.ts";

const view: View = {
  ...{ name: "status", summary: "How it is", needs: "viewer" },
  show: (args) => Promise.resolve({ title: `well ${args}` }),
};
const docket: Docket = {
  ...{ kind: "device", needs: "operator", events: ["device.pending"] },
  pending: () => Promise.resolve([]),
  decide: () => Promise.resolve(),
  outcome: () => Promise.resolve({ verdict: "gone", by: null }),
};

/** A desk with two doors, the first of which can be shut; and what it has logged. */
function openDesk() {
  const logged: Record<string, unknown>[] = [];
  const none = () => {};
  const error = (_: string, properties: Record<string, unknown> = {}) =>
    void logged.push(properties);
  const site = new SiteDesk({ log: { debug: none, info: none, warn: none, error } });
  const ends: (() => void)[] = [];
  const role = site.scoped((undo) => void ends.push(undo));
  return { role, other: site.scoped(none), shut: () => ends.forEach((end) => end()), logged };
}

Deno.test("what a role offers is there for all, and ends with the role", async () => {
  const { role, other, shut } = openDesk();
  role.offerView(view);
  other.offerView({ ...view, name: "devices" });
  role.offerDocket(docket);
  role.offerRemarks({ kind: "meter", all: () => Promise.resolve(new Map([["m", [["a", "b"]]]])) });
  assert.deepEqual(other.views().map(({ name }) => name), ["status", "devices"]);
  assert.deepEqual(other.dockets().map(({ kind }) => kind), ["device"]);
  const [held, waiting, remarks] = [other.views()[0]!, other.dockets()[0]!, other.remarks()[0]!];
  assert.deepEqual(await held.show("x"), { title: "well x", facts: [], rows: [] });
  assert.deepEqual(await remarks.all(), new Map([["m", [["a", "b"]]]]));

  shut();
  assert.deepEqual(role.views().map(({ name }) => name), ["devices"]);
  assert.deepEqual([other.dockets(), other.remarks()], [[], []]);
  // whoever still holds what is over, hears so
  const over = { name: "DeskError", code: "not_offered" };
  await assert.rejects(held.show(""), over);
  await assert.rejects(waiting.pending(), over);
  await assert.rejects(waiting.decide("x", "approve", { actor: "telegram:1" }), over);
  await assert.rejects(waiting.outcome("x"), over);
  await assert.rejects(remarks.all(), over);
  // and the next start of the role offers them anew
  role.offerView(view);
  assert.equal(other.views().length, 2);
});

Deno.test("a name is taken once, and made of small letters", () => {
  const { role, other } = openDesk();
  role.offerView(view);
  role.offerDocket(docket);
  assert.throws(() => other.offerView(view), { code: "name_taken" });
  assert.throws(() => other.offerDocket(docket), { code: "name_taken" });
  for (const name of ["", "Status", "a b", "a-b", "é", "x".repeat(33), "__proto__"]) {
    assert.throws(() => other.offerView({ ...view, name }), { code: "bad_offer" }, name);
    assert.throws(() => other.offerDocket({ ...docket, kind: name }), { code: "bad_offer" }, name);
  }
  for (const summary of ["", "two\nlines", "x".repeat(101), "\u{202e}"]) {
    assert.throws(() => other.offerView({ ...view, name: "a", summary }), { code: "bad_offer" });
  }
  other.offerView({ ...view, name: "constructor" });
});

Deno.test("what fails is the asker's error, and says nothing that was not meant for people", async () => {
  const { role, logged } = openDesk();
  role.offerView({
    ...view,
    show: () => {
      throw new TypeError("with the secret in it");
    },
  });
  role.offerView({
    ...view,
    name: "meant",
    show: () => Promise.reject(new CodedError("fog_unknown", "Cannot show it", { hint: "ask" })),
  });
  role.offerDocket({ ...docket, decide: () => Promise.reject("not even an error") });
  const [first, second] = role.views();
  await assert.rejects(first!.show(""), (error: CodedError) => {
    assert.deepEqual([error.name, error.code], ["DeskError", "failed"]);
    assert.doesNotMatch(`${error.message} ${error.hint}`, /secret/);
    return true;
  });
  assert.deepEqual(logged.map(({ what }) => what), ['show "status"']);
  await assert.rejects(second!.show(""), { code: "fog_unknown", hint: "ask" });
  const [only] = role.dockets();
  await assert.rejects(only!.decide("x", "deny", { actor: "a" }), { code: "failed" });
  assert.equal(logged.length, 2);
});

Deno.test("more than 200 characters are not asked", async () => {
  const { role } = openDesk();
  role.offerView(view);
  const [{ show }] = role.views() as [View];
  assert.equal((await show("x".repeat(bounds.args - 10))).title.length, 195);
  await assert.rejects(show("x".repeat(bounds.args + 1)), { code: "bad_args" });
});

Deno.test("a sheet is plain, and not longer than a person reads", async () => {
  const { role } = openDesk();
  const bad = `a\n\u{1b}[2J\u{202e}${"b".repeat(9_999)}`;
  const facts = Array.from({ length: 99 }, () => [bad, bad] as const);
  role.offerView({
    ...view,
    show: () =>
      Promise.resolve({
        ...{ title: bad, facts, more: 7 },
        rows: Array.from({ length: 60 }, () => ({ title: bad, facts })),
      }),
  });
  role.offerDocket({
    ...docket,
    pending: () =>
      Promise.resolve(Array.from({ length: bounds.questions + 1 }, (_, i) => ({
        ...{ id: `q-${i}`, title: bad, facts, asked: i, expires: null },
      }))),
  });
  const { title, facts: shown = [], rows = [], more } = await role.views()[0]!.show("");
  const questions = await role.dockets()[0]!.pending();
  assert.deepEqual([rows.length, more, questions.length], [bounds.rows, 17, bounds.questions]);
  const pieces = [{ title, facts: shown }, rows[49]!, questions[0]!];
  for (const { title, facts = [] } of pieces) {
    assert.equal(title.length, bounds.title);
    assert.equal(facts.length, bounds.facts);
    const [label, value] = facts[0]!;
    assert.deepEqual([label.length, value.length], [bounds.label, bounds.value]);
    for (const text of [title, label, value]) {
      assert.match(text, /^a \u{fffd}\[2J\u{fffd}b+…$/u);
    }
  }
});

Deno.test("a question without a name of its own is not asked", async () => {
  for (const id of ["", "x".repeat(bounds.id + 1)]) {
    const { role, logged } = openDesk();
    const question = { id, title: "q", facts: [], asked: 0, expires: null };
    role.offerDocket({ ...docket, pending: () => Promise.resolve([question]) });
    await assert.rejects(role.dockets()[0]!.pending(), { code: "failed" });
    assert.equal(logged.length, 1);
  }
});
