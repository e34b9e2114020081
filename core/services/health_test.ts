/** Health: ready while nothing has failed, and one line in the log per change of state. */
import assert from "node:assert/strict";
import { Health } from "./health.ts";

function open() {
  const said: unknown[] = [];
  const say =
    (level: string) => (_message: string, { part, state }: Record<string, unknown> = {}) =>
      void said.push(`${level}: ${part} ${state}`);
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  return { health: new Health(log), said };
}

Deno.test("Health is ready while no part is starting or has failed", () => {
  const { health } = open();
  assert.equal(health.ready(), true);
  const cases = [["starting", false], ["ok", true], ["degraded", true], ["failed", false]] as const;
  for (const [state, ready] of cases) {
    health.report("fog", state);
    health.report("db", "ok");
    assert.equal(health.ready(), ready, state);
  }
  health.forget("fog");
  assert.equal(health.ready(), true);
});

Deno.test("Health lists its parts in the order of their first report, as they are now", () => {
  const { health } = open();
  health.report("db", "ok");
  health.report("mqtt", "degraded", "no broker");
  health.report("db", "degraded", "busy");
  assert.deepEqual(health.parts(), [
    { part: "db", state: "degraded", detail: "busy" },
    { part: "mqtt", state: "degraded", detail: "no broker" },
  ]);
});

Deno.test("Health logs a change of state once, at the level that it deserves", () => {
  const { health, said } = open();
  health.report("db", "ok");
  health.report("db", "ok");
  health.report("db", "degraded", "busy");
  health.report("db", "degraded", "busy still");
  health.report("db", "failed", "gone");
  health.report("db", "ok");
  assert.deepEqual(said, ["info: db ok", "warn: db degraded", "error: db failed", "info: db ok"]);
  assert.equal(health.parts()[0]?.detail, "");
});
