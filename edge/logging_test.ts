/** Lines of the log, as a record becomes one: for people and for machines, and never with a secret. */
import assert from "node:assert/strict";
import type { LogRecord } from "@logtape/logtape";
import { Secret } from "../core/base/secret.ts";
import { lineOf } from "./logging.ts";

const record = (message: readonly unknown[], properties: Record<string, unknown>): LogRecord => ({
  category: ["edgeward", "kiosk-7", "host"],
  level: "warning",
  timestamp: Date.UTC(2026, 7, 1),
  message,
  rawMessage: message.join(""),
  properties,
});

Deno.test("lineOf() gives a line for people, with quotes where they are needed", () => {
  const properties = { peer: "m-1", reason: "not a word", n: 3, error: new RangeError("too far") };
  assert.equal(
    lineOf(record(["a reading was refused"], properties), { json: false }),
    '2026-08-01T00:00:00.000Z WARNING kiosk-7 host: a reading was refused peer=m-1 reason="not a word" ' +
      'n=3 error="RangeError: too far"\n',
  );
});

Deno.test("lineOf() gives one JSON object a line for machines", () => {
  const line = lineOf(record(["two\nlines"], { detail: { a: [1n] } }), { json: true });
  assert.ok(line.endsWith("}\n") && !line.slice(0, -1).includes("\n"));
  assert.deepEqual(JSON.parse(line), {
    ...{ time: "2026-08-01T00:00:00.000Z", level: "warning", site: "kiosk-7", part: "host" },
    ...{ message: "two\nlines", detail: { a: ["1"] } },
  });
});

Deno.test("lineOf() keeps secrets out of message, names, values and errors", () => {
  const token = `edgeward_AbCd1234_${"hunter2".repeat(6)}x`;
  const properties = {
    password: "hunter2",
    held: new Secret("hunter2"),
    [token]: 1,
    error: new Error(`bad token ${token}`, { cause: new Error("hunter2") }),
    request: { headers: { authorization: `Bearer ${token}` }, body: '{"code":"hunter2hunter2"}' },
  };
  for (const json of [true, false]) {
    const line = lineOf(record(["asked with ", token, " by ", { psk: "hunter2" }], properties), {
      json,
    });
    assert.doesNotMatch(line, /hunter2/);
    assert.match(line, /edgeward_AbCd1234_\[redacted\]/);
  }
});

Deno.test("lineOf() survives properties that fail when looked at", () => {
  const properties = {
    get bad() {
      throw new Error("no");
    },
  };
  for (const json of [true, false]) {
    assert.match(lineOf(record(["x"], properties), { json }), /\[unreadable\]/);
  }
});
