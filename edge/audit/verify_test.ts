/**
 * Whole logs, and logs in which one thing is not what was signed: whatever it is, the audit ends with the
 * file in which it is. Positions are drawn from a seed.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../../core/base/bytes.ts";
import { cosign } from "../../core/trust/log/cosignature.ts";
import { NoteKind, signText } from "../../core/trust/log/note.ts";
import { decodeBundle, encodeBundle } from "../../core/trust/log/tile.ts";
import {
  audit,
  cosignedAt,
  entryOf,
  type Files,
  filesOf,
  logOf,
  logPen,
  noteOf,
  origin,
  penOf,
  rootOf,
  suite,
  trust,
  witnessPens,
} from "./_test_log.ts";
import { FindingError } from "./finding.ts";

const size = 700;
const whole = logOf(size);
const bundle = "tile/entries/001";

/** What the audit ends with. */
async function failureOf(...args: Parameters<typeof audit>): Promise<FindingError> {
  try {
    await audit(...args);
  } catch (error) {
    if (error instanceof FindingError) return error;
    throw error;
  }
  throw new Error("It passed");
}

/** The whole log, but one of its files another. */
function but(path: string, bytes: Uint8Array | null, files = whole): Files {
  const changed: Files = new Map(files);
  if (bytes === null) changed.delete(path);
  else changed.set(path, bytes);
  return changed;
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** Checks that one flipped bit is found, wherever it is in these files. */
async function findsFlips(files: Files, paths: readonly string[], numRuns: number): Promise<void> {
  for (const path of paths) {
    const bytes = files.get(path)!;
    const bits = fc.integer({ min: 0, max: bytes.length * 8 - 1 });
    await fc.assert(
      fc.asyncProperty(bits, async (bit) => {
        const { where, message } = await failureOf(but(path, flipped(bytes, bit), files));
        assert.equal(where, path, message);
        assert.ok(message.includes(path), message);
      }),
      { seed: 7, numRuns },
    );
  }
}

Deno.test("verifyLog() checks a whole log and says what it has checked", async () => {
  const { checks, ...facts } = await audit(whole);
  assert.deepEqual(checks.map(({ part, state }) => `${part} ${state}`), [
    ...["checkpoint ok", "signature ok", "witness ok", "witness ok", "quorum ok"],
    ...["entries ok", "tiles ok", "root ok"],
  ]);
  const time = "2027-01-15T08:00:00.000Z";
  const { root: _, ...others } = facts;
  assert.deepEqual(others, {
    ...{ origin, size, key: origin, quorum: 2, tiles: 4 },
    witnesses: witnessPens.map(({ key }) => ({ name: key.name, time })),
    entries: { count: size, first: "2023-11-14T22:13:20.000Z", last: "2023-11-14T22:13:20.699Z" },
  });
});

Deno.test("verifyLog() accepts logs of any size", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 1_100 }), async (size) => {
      assert.equal((await audit(logOf(size))).size, size);
    }),
    { numRuns: 25, examples: [[0], [1], [255], [256], [257], [512], [1_024]] },
  );
});

Deno.test("verifyLog() names the file in which a bit was flipped", async () => {
  assert.equal(whole.size, 3 + 1 + 3 + 1);
  await findsFlips(whole, [...whole.keys()], 30);
  await findsFlips(whole, ["checkpoint"], 300);
});

Deno.test("verifyLog() names the tile on whatever level it is", async () => {
  const large = logOf(256 * 256 + 300);
  const paths = ["tile/2/000.p/1", "tile/1/000", "tile/1/001.p/1", "tile/0/255", "tile/0/257.p/44"];
  await findsFlips(large, paths, 1);
});

Deno.test("verifyLog() names the hash, and the entry, that is another", async () => {
  const hashes = flipped(whole.get("tile/0/001")!, 44 * 256);
  const tile = await failureOf(but("tile/0/001", hashes));
  assert.match(tile.message, /tile\/0\/001: its hash 44 is not that of entry 300$/);
  const entries = decodeBundle(whole.get(bundle)!);
  const other = await failureOf(but(bundle, encodeBundle(entries.with(44, entryOf(300, "x")))));
  assert.match(
    other.message,
    /entries\/001: entry 300, number 44 in it, is not the one whose hash/,
  );
  const above = await failureOf(but("tile/1/000.p/2", flipped(whole.get("tile/1/000.p/2")!, 256)));
  assert.match(above.message, /tile\/1\/000\.p\/2: its hash 1 is not that of tile\/0\/001$/);
});

Deno.test("verifyLog() finds entries that were swapped, added and taken away", async () => {
  const entries = decodeBundle(whole.get(bundle)!);
  const swapped = entries.with(3, entries[4]!).with(4, entries[3]!);
  for (
    const [changed, message] of [
      [swapped, /entry 259, number 3 in it/],
      [entries.slice(0, -1), /it holds 255 entries and not 256/],
      [[...entries.slice(1), entries[0]!], /entry 256, number 0 in it/],
    ] as const
  ) {
    const failure = await failureOf(but(bundle, encodeBundle(changed)));
    assert.equal(failure.where, bundle);
    assert.match(failure.message, message);
  }
  const more = concat(whole.get(bundle)!, Uint8Array.of(0, 0));
  assert.equal((await failureOf(but(bundle, more))).where, bundle);
});

Deno.test("verifyLog() finds files that are cut short, longer, or not there", async () => {
  for (const [path, bytes] of whole) {
    const cases = [bytes.slice(0, -1), new Uint8Array(), concat(bytes, bytes)];
    for (const changed of cases) {
      const { where, code } = await failureOf(but(path, changed));
      assert.deepEqual([where, code], [path, "log_wrong"]);
    }
    const { where, code, message } = await failureOf(but(path, null));
    assert.deepEqual([where, code], [path, "log_incomplete"]);
    assert.match(message, path === "checkpoint" ? /Cannot find a checkpoint/ : RegExp(path));
  }
});

Deno.test("verifyLog() finds an entry that was changed together with its hash", async () => {
  const entries = Array.from({ length: size }, (_, i) => entryOf(i));
  const other = filesOf(entries.with(300, entryOf(300, "x")));
  let changed = but(bundle, other.get(bundle)!);
  changed = but("tile/0/001", other.get("tile/0/001")!, changed);
  assert.equal((await failureOf(changed)).where, "tile/0/001");
  // all the way up: then no tile contradicts another, but the signed root
  changed = but("checkpoint", whole.get("checkpoint")!, other);
  const { where, message } = await failureOf(changed);
  assert.equal(where, "checkpoint");
  assert.match(message, /its root is not that of the 700 entries/);
});

Deno.test("verifyLog() takes what it needs from a tile that has become fuller", async () => {
  const grown: Files = new Map([...logOf(900), ...whole]);
  for (const path of ["tile/0/002.p/188", "tile/entries/002.p/188"]) assert.ok(grown.delete(path));
  assert.equal((await audit(grown)).size, size);
});

Deno.test("verifyLog() wants what was logged to be entries", async () => {
  const files = filesOf([entryOf(0), utf8("no entry")]);
  const { where, message } = await failureOf(files);
  assert.equal(where, "tile/entries/000.p/2");
  assert.match(message, /entry 1 was logged like this, but it is no entry of a site/);
});

Deno.test("verifyLog() does without entries, and says so", async () => {
  const hashes: Files = new Map([...whole].filter(([path]) => !path.includes("entries")));
  const { checks, entries } = await audit(hashes, { withEntries: false });
  assert.equal(entries, null);
  assert.match(checks.find(({ part }) => part === "entries")!.what, /NOT READ/);
  const changed = but("tile/0/001", flipped(whole.get("tile/0/001")!, 0), hashes);
  assert.equal((await failureOf(changed, { withEntries: false })).where, "tile/0/001");
});

Deno.test("verifyLog() never passes without the key of the log, but finds what it can", async () => {
  const without = { trust: { ...trust, key: null } };
  const failure = await failureOf(whole, without);
  assert.deepEqual([failure.code, failure.where], ["key_missing", null]);
  const changed = but("tile/0/001", flipped(whole.get("tile/0/001")!, 0));
  assert.equal((await failureOf(changed, without)).where, "tile/0/001");
});

Deno.test("verifyLog() wants the log's own signature, and a quorum of witnesses", async () => {
  const root = rootOf(Array.from({ length: size }, (_, i) => entryOf(i)));
  const [one, two] = witnessPens;
  const cosigned = (text: string, pen = one!) => cosign(text, { ...pen, time: cosignedAt });
  const stranger = penOf(origin, NoteKind.ed25519);
  const cases: [Parameters<typeof noteOf>[0]["signatures"], string, RegExp][] = [
    [(text) => [cosigned(text)], "log_wrong", /fog-1\/00c0ffee\/1 has not signed it/],
    [(text) => [signText(text, stranger)], "log_wrong", /has not signed it/],
    [
      (text) => [{ ...signText(text, stranger), id: logPen.key.id }],
      "log_wrong",
      /the signature of edgeward\/fog-1\/00c0ffee\/1 is wrong/,
    ],
    [
      (text) => [signText(text, logPen), cosigned(text)],
      "quorum_missing",
      /1 of 2 witnesses have cosigned it, 2 must have; missing: edgeward\/fog-3\/witness/,
    ],
    [
      (text) => [signText(text, logPen), cosigned(text), cosigned(`${text}more\n`, two)],
      "log_wrong",
      /the cosignature of edgeward\/fog-3\/witness is wrong/,
    ],
  ];
  for (const [signatures, code, message] of cases) {
    const files = but("checkpoint", utf8(noteOf({ size, root, signatures: signatures! })));
    const failure = await failureOf(files);
    assert.deepEqual([failure.code, failure.where], [code, "checkpoint"]);
    assert.match(failure.message, message);
  }
  const signatures = (text: string) => [signText(text, logPen), cosigned(text)];
  const files = but("checkpoint", utf8(noteOf({ size, root, signatures })));
  assert.equal((await audit(files, { trust: { ...trust, quorum: 1 } })).quorum, 1);
});

Deno.test("verifyLog() checks the latest witnessed checkpoint where witnesses are not done", async () => {
  const root = rootOf(Array.from({ length: size }, (_, i) => entryOf(i)));
  const latest = logOf(900);
  const fresh = noteOf({
    ...{ size: 900, root: rootOf(Array.from({ length: 900 }, (_, i) => entryOf(i))) },
    signatures: (text) => [signText(text, logPen)],
  });
  const files = new Map([...whole, ...latest])
    .set("checkpoint", utf8(fresh))
    .set("witnessed", utf8(noteOf({ size, root })));
  const facts = await audit(files);
  assert.deepEqual([facts.size, facts.latest], [size, 900]);
  const bytes = files.get("witnessed")!;
  assert.equal((await failureOf(but("witnessed", flipped(bytes, 300), files))).where, "witnessed");
  const forged = utf8(fresh.replace("\n900\n", "\n901\n"));
  assert.equal((await failureOf(but("checkpoint", forged, files))).where, "checkpoint");
  assert.equal((await failureOf(but("witnessed", null, files))).code, "quorum_missing");
});

Deno.test("verifyLog() takes no other log, and no other generation, for the one that is meant", async () => {
  const name = origin.replace(/1$/, "2");
  const pen = penOf(name, NoteKind.ed25519);
  const root = rootOf([entryOf(0)]);
  const note = noteOf({ size: 1, root, name, signatures: (text) => [signText(text, pen)] });
  const failure = await failureOf(but("checkpoint", utf8(note), logOf(1)));
  assert.equal(failure.code, "log_other");
  assert.match(failure.message, /the log is .*\/2, and the key is that of .*\/1/);
});

Deno.test("verifyLog() finds out whether the log grew from an earlier checkpoint", async () => {
  const entries = Array.from({ length: size }, (_, i) => entryOf(i));
  const noteAt = (count: number, made = entries) =>
    noteOf({ size: count, root: rootOf(made.slice(0, count)) });
  for (const count of [0, 1, 255, 256, 300, 699, 700]) {
    const { since } = await audit(whole, { since: { note: noteAt(count), path: "old" } });
    assert.deepEqual(since, [{ path: "old", size: count }]);
  }
  const rewritten = entries.with(5, entryOf(5, "x"));
  for (const count of [6, 300, 700]) {
    const since = { note: noteAt(count, rewritten), path: "old" };
    const { where, message } = await failureOf(whole, { since });
    assert.equal(where, "checkpoint");
    assert.match(message, RegExp(`its first ${count} entries are not those that old was made of`));
  }
  const longer = noteOf({ size: 701, root: rootOf([...entries, entryOf(700)]) });
  const shorter = await failureOf(whole, { since: { note: longer, path: "old" } });
  assert.match(shorter.message, /it has 700 entries, old had 701/);
  const forged = noteAt(300).replace("\n300\n", "\n299\n");
  const { where } = await failureOf(whole, { since: { note: forged, path: "old" } });
  assert.equal(where, "old");
  const other = noteOf({ size: 1, root: rootOf(entries.slice(0, 1)), name: "another" });
  const { code } = await failureOf(whole, { since: { note: other, path: "old" } });
  assert.equal(code, "log_other");
});

Deno.test("verifyLog() holds a few tiles at a time, however long the log says it is", async () => {
  const root = suite.sha256();
  const note = noteOf({ size: 2 ** 52, root });
  let read = 0;
  const source = {
    name: "endless",
    read: (path: string) => {
      read++;
      return Promise.resolve(path === "checkpoint" ? utf8(note) : null);
    },
    [Symbol.dispose]() {},
  };
  const { where } = await failureOf(new Map(), { source });
  assert.equal(where, "tile/0/000");
  assert.ok(read < 20, `${read}`);
});
