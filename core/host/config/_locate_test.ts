/** Tests that every key of a TOML text is found where it stands, against smol-toml's own reading. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify } from "smol-toml";
import { locate, positionAt } from "./_locate.ts";
import type { Path } from "./_wording.ts";

const text = `# [not.a.table]
site = "a # [x]"   # b = 1
"quoted \\u0041" = '''
c = 1
'''
[plugins . "fog" ]
window = "60s"
retry.tries = 3
'literal' = """a \\""" ""\\
d = 1"""""
list = [ 1, # ]
  [2, "]"], { k = "}", deep.er = 2 },
]
at = 1979-05-27 07:32:00
[[peers]]
url = "a"
[[peers]]
  url = "b"
[peers.key]
id = 1
[a.b.c]
`;

function place(path: Path): string {
  const { line, column } = positionAt(text, locate(text)(path));
  return `${line}:${column}`;
}

Deno.test("locate() finds every way to write a key", () => {
  parse(text);
  const places: [Path, string][] = [
    [["site"], "2:1"],
    [["quoted A"], "3:1"],
    [["plugins"], "6:1"],
    [["plugins", "fog"], "6:1"],
    [["plugins", "fog", "window"], "7:1"],
    [["plugins", "fog", "retry"], "8:1"],
    [["plugins", "fog", "retry", "tries"], "8:7"],
    [["plugins", "fog", "literal"], "9:1"],
    [["plugins", "fog", "list"], "11:1"],
    [["plugins", "fog", "list", 0], "11:10"],
    [["plugins", "fog", "list", 1, 1], "12:7"],
    [["plugins", "fog", "list", 2, "k"], "12:15"],
    [["plugins", "fog", "list", 2, "deep", "er"], "12:29"],
    [["plugins", "fog", "at"], "14:1"],
    [["peers", 0, "url"], "16:1"],
    [["peers", 1], "17:1"],
    [["peers", 1, "url"], "18:3"],
    [["peers", 1, "key", "id"], "20:1"],
    [["a", "b"], "21:1"],
  ];
  for (const [path, expected] of places) assert.equal(place(path), expected, path.join("."));
});

Deno.test("locate() places what it did not see at what is around it", () => {
  assert.equal(place(["absent"]), "1:1");
  assert.equal(place([]), "1:1");
  assert.equal(place(["plugins", "fog", "absent"]), "6:1");
  assert.equal(place(["plugins", "absent"]), "6:1");
  assert.equal(place(["peers", 1, "absent", "deeper"]), "17:1");
  assert.equal(place(["c"]), "1:1");
});

Deno.test("locate() finds the keys that the parser finds", () => {
  const key = fc.oneof(
    fc.constantFrom("a", "b.c", "", 'd"', "e]", "f # g", "=", "\n"),
    fc.string(),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    value: fc.oneof(
      { depthSize: "small" },
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("'''", '"""', "\\", "[x]\ny = 1"),
      fc.integer(),
      fc.array(fc.string()),
      tie("tree"),
      fc.array(tie("tree"), { minLength: 1, maxLength: 3 }),
    ),
  }));
  fc.assert(fc.property(tree, (value) => {
    const written = stringify(value);
    const offsetOf = locate(written);
    for (const [path, isEntry] of leaves(parse(written))) {
      const rest = written.slice(offsetOf(path));
      const last = String(path.at(-1));
      const start = isEntry
        ? undefined
        : /^(?:"(?:[^"\\]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)/.exec(rest);
      if (start) assert.ok(Object.hasOwn(parse(`${start[0]} = 0`), last), `${written}: ${path}`);
      else assert.match(rest, isEntry ? /^./ : /^\[/);
    }
  }));
});

Deno.test("locate() comes to an end on any text", () => {
  const pieces = fc.constantFrom(
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    '"',
    "'",
    '"""',
    "\\",
    "a",
    " ",
  );
  fc.assert(fc.property(fc.array(pieces).map((list) => list.join("")), (hostile) => {
    locate(hostile)(["a", "b"]);
  }));
  for (const hostile of ["x=" + "[".repeat(100_000), "a.".repeat(100_000) + "b=1", "[".repeat(9)]) {
    locate(hostile)(["a"]);
  }
});

/** Every path to a value that is not a table, and whether it is an entry of an array. */
function* leaves(value: unknown, path: Path = []): Generator<[Path, boolean]> {
  if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      yield* leaves(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  } else if (path.length > 0) yield [path, typeof path.at(-1) === "number"];
}
