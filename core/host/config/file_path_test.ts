/** Tests of the one rule about paths. */
import assert from "node:assert/strict";
import { filePath } from "./mod.ts";
import { resolvePaths } from "./file_path.ts";

Deno.test("filePath() refuses what cannot be a path", () => {
  assert.equal(filePath().parse("a/b"), "a/b");
  assert.equal(filePath().safeParse("").success, false);
  assert.equal(filePath().safeParse("a\0b").success, false);
});

Deno.test("resolvePaths() resolves keys that end in _file or _dir, at any depth", () => {
  const date = new Date(0);
  assert.deepEqual(
    resolvePaths({
      key_file: "a.pem",
      file: "a.pem",
      date,
      nested: { spool_dir: "../spool", list: [{ ca_file: "/abs" }, "a_file"] },
      bad_dir: 5,
      password_file: "env:PASSWORD",
    }, "/etc/edgeward"),
    {
      key_file: "/etc/edgeward/a.pem",
      file: "a.pem",
      date,
      nested: { spool_dir: "/etc/spool", list: [{ ca_file: "/abs" }, "a_file"] },
      bad_dir: 5,
      password_file: "env:PASSWORD",
    },
  );
});
