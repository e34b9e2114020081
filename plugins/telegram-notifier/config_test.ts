/** The role's table: numbers and tables of chats, hours, people, and what is refused. */
import assert from "node:assert/strict";
import { type Config, config } from "./config.ts";

const problems = (table: unknown) =>
  config.safeParse(table).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);

Deno.test("a chat is a number or a table, and its hours are a text or several", () => {
  const { chats } = config.parse({
    chats: [5, { id: -7, quiet: "22:00-07:00", severity: "alarm" }, {
      ...{ id: 9, quiet: ["mon-fri 22:00-07:00", "sun 00:00-24:00"] },
    }],
  }) as Config;
  assert.deepEqual(chats.map(({ id, severity }) => [id, severity]), [
    ...[[5, "info"], [-7, "alarm"], [9, "info"]],
  ]);
  assert.deepEqual(chats.map(({ quiet }) => quiet.length), [0, 1, 2]);
  assert.deepEqual([chats[1]!.quiet[0]!.start, chats[1]!.quiet[0]!.end], [1_320, 420]);
});

Deno.test("what cannot be meant is refused where it stands", () => {
  assert.deepEqual(problems({ chats: [{ id: 3, quiet: "22" }] }), [
    'chats.0.quiet.0: expected hours such as "22:00-07:00"',
  ]);
  assert.deepEqual(problems({ chats: [3, { id: 3 }] }), [
    "chats.1: the chat is in the list already",
  ]);
  assert.deepEqual(problems({ users: { "@ann": "admin" } }), [
    "users.@ann: expected the number of a user",
  ]);
  assert.deepEqual(problems({ users: { "7": "admin" } }), undefined);
  assert.equal(problems({ users: { "7": "root" } })!.length, 1);
  assert.equal(problems({ timezone: "Mars/Olympus" })!.length, 1);
  assert.equal(problems({ chats: [{ id: 3, loud: true }] })!.length, 1);
});

Deno.test("the token goes nowhere but over TLS, or to this machine", () => {
  for (
    const api_root of ["https://api.telegram.org", "http://127.0.0.1:81", "http://localhost:81/x"]
  ) {
    assert.equal(problems({ api_root }), undefined, api_root);
  }
  for (
    const api_root of ["http://api.telegram.org", "ftp://x", "https://u:p@x.org", "https://x.org/"]
  ) assert.equal(problems({ api_root })?.length, 1, api_root);
});
