/** What the doctor says of the role. */
import assert from "node:assert/strict";
import { check } from "./check.ts";
import { config } from "./config.ts";
import { token } from "./_test_telegram.ts";

async function findings(table: Record<string, unknown>): Promise<string[]> {
  const all = await Array.fromAsync(check(config.parse(table)));
  return all.map(({ state, what }) => `${state} ${what}`);
}

Deno.test("the doctor says what is missing, and whether Telegram knows the bot", async () => {
  const file = await Deno.makeTempFile();
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    ({ url }) =>
      url.includes(token)
        ? Response.json({ ok: true, result: { id: 1, is_bot: true, username: "test_bot" } })
        : Response.json({ ok: false, error_code: 401, description: "Unauthorized" }),
  );
  const api_root = `http://127.0.0.1:${server.addr.port}`;
  const table = { token_file: file, chats: [1], users: { "1": "admin" }, api_root };
  try {
    assert.match((await findings({}))[0]!, /^degraded token_file is not set/);
    await Deno.writeTextFile(file, `${token}\n`);
    assert.deepEqual(await findings(table), ["ok Telegram knows the bot as @test_bot"]);
    assert.match((await findings({ ...table, chats: [] }))[0]!, /^degraded chats is empty/);
    assert.match((await findings({ ...table, users: {} }))[0]!, /^ok users is empty/);
    await Deno.writeTextFile(file, token.replace("AAH", "AAX"));
    assert.match((await findings(table))[0]!, /^failed .+"Unauthorized"/);
    await Deno.writeTextFile(file, "hunter2 and more");
    const [malformed] = await findings(table);
    assert.match(malformed!, /^failed .+not the form/);
    assert.ok(!malformed!.includes("hunter2"));
    await Deno.remove(file);
    assert.match((await findings(table))[0]!, /^failed Cannot read the secret/);
  } finally {
    await Deno.remove(file).catch(() => {});
  }
});

Deno.test("a Telegram that does not answer is no reason not to start", async () => {
  const file = await Deno.makeTempFile();
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const api_root = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  listener.close();
  try {
    await Deno.writeTextFile(file, token);
    const [found] = await findings({
      token_file: file,
      chats: [1],
      users: { "1": "admin" },
      api_root,
    });
    assert.equal(found, `degraded api_root: ${api_root} does not answer`);
  } finally {
    await Deno.remove(file);
  }
});
