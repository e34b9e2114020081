/** What counts as a command, and as a button. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { commandIn } from "./incoming.ts";
import { buttonsOf, pressedButton } from "./question_text.ts";

Deno.test("commandIn() reads commands for this bot, with what stands behind them", () => {
  const cases: [string, ReturnType<typeof commandIn>][] = [
    ["/status", { name: "status", args: "" }],
    ["  /Devices@My_Bot  pump 7 ", { name: "devices", args: "pump 7" }],
    ["/devices@other_bot", null],
    ["/approve_k3f9m2xq", { name: "approve", args: "k3f9m2xq" }],
    ["/approve meter/pump-7/1111-2222", { name: "approve", args: "meter/pump-7/1111-2222" }],
    ["/mute 2h\nfog", { name: "mute", args: "2h\nfog" }],
    ["status", null],
    ["say /status", null],
    ["/", null],
    ["/über", null],
  ];
  for (const [said, expected] of cases) assert.deepEqual(commandIn(said, "my_bot"), expected, said);
});

Deno.test("commandIn() stands whatever is said", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 5_000 }), (said) => {
    const command = commandIn(`/${said}`, "my_bot");
    if (command !== null) assert.match(command.name, /^[a-z0-9]*$/);
  }));
});

Deno.test("buttons carry what is read from them, and nothing else is", () => {
  const name = "A".repeat(22);
  const [yes, no] = buttonsOf(name);
  assert.deepEqual(pressedButton(yes!.data), { verdict: "approve", button: name });
  assert.deepEqual(pressedButton(no!.data), { verdict: "deny", button: name });
  for (const data of ["", "a:", `x:${name}`, `a:${name}A`, `a:${name.slice(1)}`, `A:${name}`]) {
    assert.equal(pressedButton(data), null, data);
  }
});
