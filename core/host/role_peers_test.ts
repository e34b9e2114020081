/** What a role has of peers, and that the embedded broker keeps out who is banned. */
import assert from "node:assert/strict";
import { parseId } from "../base/id.ts";
import { connectMqtt, type MqttConnection } from "../services/mqtt/mod.ts";
import type { RolePeers } from "../services/peers/mod.ts";
import {
  ask,
  eventually,
  fake,
  fakeConfig,
  socketIn,
  startFakes,
  temporaryFolder,
} from "./_fakes.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };
const applicant = (id: string, fill: number) => ({
  ...{ device: parseId(id), key: new Uint8Array(32).fill(fill), proof: "key" as const },
  words: "narrow work echo fit cliff apart",
});

Deno.test("host.peers decides in the name of who is given, or of the role", async () => {
  await using folder = await temporaryFolder();
  let peers: RolePeers;
  const audited: string[] = [];
  const gate = fake("gate", async (host) => {
    peers = host.peers;
    await peers.openJoin(60_000);
    assert.equal(await peers.apply("device", applicant("d-1", 1)), "pending");
    const [waiting] = peers.waiting();
    await peers.approve("device", "d-1", { words: waiting!.words! }, "alice");
    await peers.rename("device", "d-1", "Pump 7", "alice");
    await peers.ban("device", "d-1", { lasts: 60_000, reason: "too fast" });
    assert.equal((await peers.find("device", parseId("d-1")))!.state, "revoked");
    assert.equal((await peers.bans())[0]!.actor, "role:gate");
    await peers.unban("device", "d-1", "alice");
    await peers.closeJoin("alice");
    assert.deepEqual(await peers.list().then((rows) => rows.map(({ name }) => name)), ["Pump 7"]);
    const rows = await host.db.read((q) =>
      q.all<{ type: string; actor: string }>("SELECT type, actor FROM audit ORDER BY id")
    );
    audited.push(...rows.map(({ type, actor }) => `${type} ${actor}`));
  }, { needs: ["peers", "db"] });
  await using _ = await startFakes([gate], { folder: folder.path });
  assert.deepEqual(audited.filter((line) => /device|join|peer/.test(line)), [
    "join.opened role:gate",
    "device.approved alice",
    "peer.named alice",
    "device.banned role:gate",
    "device.unbanned alice",
    "join.closed alice",
  ]);
  for (const own of ["bind", "enrol", "replaceByCode", "allowing"]) {
    assert.ok(!(own in peers!), `a role has ${own}`);
  }
});

Deno.test("what a role watches ends with the role, and a role that did not ask has no peers", async () => {
  await using folder = await temporaryFolder();
  const heard: string[] = [];
  const gate = fake("gate", ({ peers }) => {
    peers.watch((kind, id, peer) => void heard.push(`${kind}/${id} ${peer?.state}`));
  }, { needs: ["peers"] });
  const other = fake("other", (host) => assert.ok(!("peers" in host)));
  const socket = socketIn(folder.path);
  await using site = await startFakes([gate, other], { folder: folder.path });
  await ask(socket, "/peers/device/d-1/ban", { method: "POST" });
  assert.deepEqual(heard, ["device/d-1 revoked"]);
  const { stopped } = await site.reload(await fakeConfig([other], { folder: folder.path }));
  assert.deepEqual(stopped, ["gate"]);
  await ask(socket, "/peers/device/d-1/unban", { method: "POST" });
  assert.equal(heard.length, 1);
});

Deno.test("the embedded broker cuts who is banned, and lets nobody in under the name until it is over", async () => {
  await using folder = await temporaryFolder();
  const speaks = fake("speaks", () => {}, { needs: ["mqtt"] });
  const socket = socketIn(folder.path);
  const device = (site: { readonly broker: string }): Promise<MqttConnection> =>
    connectMqtt({ url: site.broker, clientId: "d-1", log });
  const brokerOf = async () => {
    const { broker } = JSON.parse((await ask(socket, "/site")).text);
    return { broker: `mqtt://127.0.0.1:${broker.port}` };
  };
  const ban = (method: string) => ask(socket, `/peers/device/d-1/${method}`, { method: "POST" });
  {
    await using _ = await startFakes([speaks], { folder: folder.path });
    const site = await brokerOf();
    await using mqtt = await device(site);
    await using other = await connectMqtt({ url: site.broker, clientId: "d-2", log });
    assert.ok(mqtt.connected && other.connected);
    await ban("ban");
    await eventually("the device is cut", () => !mqtt.connected);
    await using again = await device(site);
    assert.deepEqual([again.connected, other.connected], [false, true]);
    await ban("unban");
    await eventually("it is let in again", () => again.connected || mqtt.connected);
    await ban("ban");
  }
  // and from its first moment on, the next run of the site knows
  await using _ = await startFakes([speaks], { folder: folder.path });
  await using mqtt = await device(await brokerOf());
  assert.equal(mqtt.connected, false);
});
