/** What the doctor hears of a fog: of its code, and of a cloud behind a broker. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { check } from "./check.ts";
import { config } from "./config.ts";

const secret = "c".repeat(22);

Deno.test("check() has nothing against a fog without a cloud", async () => {
  assert.deepEqual(await Array.fromAsync(check(config.parse({}))), [
    { state: "ok", what: "no cloud: summaries stay here" },
  ]);
});

Deno.test("check() refuses a code_file that is missing, or is none, without quoting it", async () => {
  await using folder = await temporaryFolder();
  const code_file = join(folder.path, "code.json");
  const look = () => Array.fromAsync(check(config.parse({ code_file })));
  await assert.rejects(look(), { code: "code_missing" });
  await Deno.writeTextFile(code_file, `{"code":"${secret}"}`);
  await assert.rejects(look(), (error: Error & { code: string }) => {
    return error.code === "enrolment_malformed" && !error.message.includes(secret);
  });
  await assert.rejects(Array.fromAsync(check(config.parse({ cloud: "https://cloud.example" }))), {
    code: "code_missing",
  });
});

Deno.test("check() reaches a cloud through its broker, or says that it does not", async () => {
  await using folder = await temporaryFolder();
  const broker = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `mqtt://127.0.0.1:${broker.addr.port}`;
  const code_file = join(folder.path, "code.json");
  const rest = { site: "cloud", url, noise_key: "A".repeat(43) };
  const expires = new Date(Date.now() + 60_000).toISOString();
  await Deno.writeTextFile(code_file, JSON.stringify({ code: "A".repeat(22), ...rest, expires }));
  const look = () => Array.fromAsync(check(config.parse({ code_file })));
  const known = { state: "ok", what: 'code_file: a code of the site "cloud"' };
  const accepted = broker.accept();
  assert.deepEqual(await look(), [known, { state: "ok", what: `${url} answers` }]);
  (await accepted).close();
  broker.close();
  const [, away] = await look();
  assert.equal(away!.state, "degraded");
  assert.ok(away!.what.startsWith(`${url} does not answer: `), away!.what);
});

async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
