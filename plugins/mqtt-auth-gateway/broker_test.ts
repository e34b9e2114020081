/** What the status says of the broker: the site's own, and one elsewhere that others may use too. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseId } from "../../core/base/id.ts";
import { Secret } from "../../core/base/secret.ts";
import { connectMqtt, hashPassword, openMqtt } from "../../core/services/mqtt/mod.ts";
import { dial } from "../../core/services/sessions/mod.ts";
import { decodeRpc, encodeRpc } from "../../core/wire/json_rpc.ts";
import { log, openGateway, siteId, suite, until } from "./_test_gateway.ts";

const all = {
  wildcards: true,
  qos: 1,
  largest_message: 65_553,
  retains: false,
  new_sessions: true,
};

Deno.test("the status says what the embedded broker can do", async () => {
  await using gateway = await openGateway();
  const { since, ...broker } = (await gateway.ask("/status")).body.broker;
  assert.deepEqual(broker, {
    ...{ url: gateway.broker, connected: true, reconnects: 0, rival: false },
    ...{ can: { name: "edgeward", ...all }, shortcomings: [] },
  });
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 600_000);
});

Deno.test("a device finds the prefix of the site's topics in the address that it is given", async () => {
  await using gateway = await openGateway("", { peers: 'mqtt.prefix = "plant/hall-2"' });
  const device = parseId("lamp-1");
  const { url, code, noiseKey } = await gateway.site.enrol("device", device, { ttl: 86_400_000 });
  assert.equal(url, `${gateway.broker}#plant/hall-2`);
  const [staticKey, signKey] = [suite.x25519.keyPair(), suite.ed25519.signer().publicKey];
  await using channel = dial({ site: parseId(siteId), url, noiseKey, code }, {
    ...{ suite, device, purpose: "rpc", staticKey, signKey, log },
  });
  const request = encodeRpc({ kind: "request", id: 1, method: "echo", params: ["here"] });
  const response = decodeRpc(await channel.call(request, { within: 60_000 }));
  assert.deepEqual(response.kind === "result" && [...response.result as string[]], ["here"]);
});

Deno.test("whoever uses the site's client id at a broker elsewhere is an alarm, and shown", async () => {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-broker-" });
  try {
    const [usersFile, passwordFile] = [join(folder, "users"), join(folder, "password")];
    const password = "of the site";
    await Deno.writeTextFile(usersFile, `site ${await hashPassword(password)} read=# write=#\n`);
    await Deno.writeTextFile(passwordFile, password);
    const listen = { hostname: "127.0.0.1", port: 0 };
    await using elsewhere = await openMqtt({
      ...{ url: "embedded", clientId: "edgeward-other", usersFile, listen, log },
    });
    const url = `mqtt://127.0.0.1:${elsewhere.broker!.port}`;
    await using gateway = await openGateway("", {
      peers: `
        mqtt.url = "${url}"
        mqtt.username = "site"
        mqtt.password_file = "${passwordFile}"`,
    });
    const broker = async () => (await gateway.ask("/status")).body.broker;
    await until("it was looked at", async () => (await broker()).can !== null);
    const { can, shortcomings, rival } = await broker();
    assert.deepEqual([can, shortcomings, rival], [{ name: null, ...all }, [], false]);

    await using _rival = await connectMqtt({
      ...{ url, clientId: `edgeward-${siteId}`, username: "site", log },
      password: new Secret(password),
    });
    await until("it is told", () => gateway.events.some(({ type }) => type === "broker.rival"));
    const [event] = gateway.events.filter(({ type }) => type === "broker.rival");
    assert.deepEqual([event!.severity, event!.subject, event!.detail], [
      ...["alarm", siteId, { client_id: `edgeward-${siteId}` }],
    ]);
    const now = await broker();
    assert.equal(now.rival, true);
    assert.match(now.shortcomings[0].what, /another client/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
