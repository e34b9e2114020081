/** What keeps a client from its broker before a word of MQTT is said. */
import assert from "node:assert/strict";
import { connectMqtt, type TlsFiles } from "./mod.ts";
import { log } from "./_test_broker.ts";

Deno.test("a name that nobody has keeps the client down and says so", async () => {
  const details: string[] = [];
  await using client = await connectMqtt({
    url: "mqtt://broker.invalid",
    clientId: "lamp-1",
    log,
    onState: (_state, detail) => details.push(detail),
  });
  assert.equal(client.connected, false);
  assert.match(details[0]!, /Cannot reach the broker: .*(broker\.invalid|not known)/);
});

Deno.test("a wrong file for TLS is found at the start", async () => {
  const folder = await Deno.makeTempDir();
  await using _folder = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const file = `${folder}/file.pem`;
  await Deno.writeTextFile(
    file,
    "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n",
  );
  const wrong: [string, TlsFiles, RegExp][] = [
    [
      "mqtts://localhost:1",
      { caFile: `${folder}/none.pem` },
      /^Cannot read a file for TLS: .*none/,
    ],
    ["mqtts://localhost:1", { caFile: file }, /^Cannot use .*file.pem for TLS: .*no certificate$/],
    [
      "wss://localhost:1",
      { keyFile: file },
      /a client certificate without its key, or a key alone$/,
    ],
    ["mqtt://localhost:1", { caFile: file }, /^Cannot use TLS files with mqtt:\/\/$/],
    ["ws://localhost:1", { caFile: file }, /^Cannot use TLS files with ws:\/\/$/],
  ];
  for (const [url, tls, message] of wrong) {
    await assert.rejects(connectMqtt({ url, tls, clientId: "x", log }), (error: Error) => {
      assert.equal((error as { code?: string }).code, "mqtt_tls");
      assert.match(error.message, message);
      assert.ok(!error.message.includes("secret"));
      return true;
    });
  }
});
