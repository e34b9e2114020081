/** What the doctor says of a gateway's files and hours, and that it shows nothing of what is in them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { findings } from "./check.ts";
import { config } from "./config.ts";
import { noon } from "./_test_unlock.ts";

const volume = "00112233445566778899aabbccddeeff";

Deno.test("findings() says which files are of use, and whether volumes may be opened now", async () => {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    const file = (name: string) => join(folder, name);
    const secret = "very-secret-very-secret-very-secret";
    for (const name of ["seal.key", "k.secret", "gw-2.json"]) {
      await Deno.writeTextFile(file(name), secret);
    }
    const table = {
      hours: ["wed 13:00-14:00"],
      timezone: "Europe/Berlin",
      seal_key_file: file("seal.key"),
      gateways: [{ code_file: file("gw-2.json") }, { code_file: file("none.json") }],
      faces: {
        authorize: true,
        fragment_token_file: file("none.token"),
        devices: { k: { secret_file: file("k.secret"), volume } },
      },
    };
    const found = [...findings(config.parse(table), noon)];
    assert.deepEqual(found.map(({ state }) => state), [
      ...["ok", "ok", "degraded", "degraded", "failed", "ok"],
    ]);
    assert.match(found[0]!.what, /may be opened now, by the clock of Europe\/Berlin/);
    assert.match(found[4]!.what, /none\.token/);
    for (const { what, hint = "" } of found) assert.ok(!`${what} ${hint}`.includes("very-secret"));
    const [closed] = findings(config.parse({ hours: ["thu 13:00-14:00"] }), noon);
    assert.match(closed!.what, /may not be opened now/);
    const missing = { seal_key_file: file("none.key") };
    assert.equal([...findings(config.parse(missing), noon)][0]!.state, "failed");
    assert.deepEqual([...findings(config.parse({}), noon)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
