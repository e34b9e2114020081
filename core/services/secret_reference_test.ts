/** Secrets by reference: what is read, and what is said when there is nothing. */
import assert from "node:assert/strict";
import { isEnvironmentReference, readSecret } from "./secret_reference.ts";

Deno.test("readSecret() reads a file without its last newline, or a variable", async () => {
  const file = await Deno.makeTempFile();
  try {
    for (const [text, secret] of [["s3 cret\n", "s3 cret"], ["a\r\n", "a"], ["b\n\n", "b\n"]]) {
      await Deno.writeTextFile(file, text!);
      assert.equal(readSecret(file).reveal(), secret);
    }
    Deno.env.set("A_SECRET_OF_THE_TEST", "hunter2");
    assert.equal(readSecret("env:A_SECRET_OF_THE_TEST").reveal(), "hunter2");
  } finally {
    Deno.env.delete("A_SECRET_OF_THE_TEST");
    await Deno.remove(file);
  }
});

Deno.test("readSecret() says what is missing", () => {
  const code = "secret_unreadable";
  assert.throws(() => readSecret("/nowhere/secret"), { code, message: /no such file/i });
  assert.throws(() => readSecret("env:NOBODY_HAS_SET_THIS"), {
    code,
    message: /NOBODY_HAS_SET_THIS/,
  });
});

Deno.test("isEnvironmentReference() tells variables from files", () => {
  for (const text of ["env:A", "env:_a1"]) assert.ok(isEnvironmentReference(text));
  for (const text of ["env", "env:", "env:1", "env:a b", "env:a/b", "/env:a", "ENV:A"]) {
    assert.ok(!isEnvironmentReference(text));
  }
});
