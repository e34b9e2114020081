/**
 * The commands, one after the other, as people write them: what they show comes from the roles, who may
 * use them stands in the configuration, and whatever changes something is on record with who it was.
 */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { httpDoor } from "./_doors.ts";
import { newMeter } from "./_fog.ts";
import { Stranger } from "./_stranger.ts";
import { startTelegramSite, type TelegramSite } from "./_telegram_site.ts";
import { eventually } from "./_test_site.ts";

const everyRole = `
[plugins.share-gateway]
[plugins.cloud-summary]
[plugins.fog-aggregator]
[plugins.mqtt-auth-gateway]`;

Deno.test("every command shows what its role knows, to whoever may look", async () => {
  await using telegram = await startTelegramSite({ tables: everyRole });
  const { api, site, drill, people: { bob } } = telegram;
  await site.site.enrol("meter", "pump-7", { ttl: 60_000 });
  drill.wonder("r-1");
  const shown: [string, RegExp][] = [
    ["/start", /viewer/],
    ["/help", /^(?![^]*\/approve)[^]*\/status[^]*\/devices[^]*\/pending/],
    ["/whoami", /1002[^]*viewer/],
    ["/status", /pump-house[^]*fog-aggregator/],
    ["/devices", /pump-7/],
    ["/devices nobody-is-called-this", /^(?![^]*pump-7)/],
    ["/pending", /rollout r-1/],
    ["/unlocks", /./],
    ["/summary", /./],
    ["/fog", /./],
    ["/alerts", /./],
    ["/bill", /bill/i],
    ["/keychains", /keychain-attestor/],
    ["/status@edgeward_test_bot", /pump-house/],
    ["/nonsense", /\/help/],
  ];
  for (const [command, reply] of shown) {
    await bob.asks(command, { reply });
  }
  const offered = api.commands.get("default")?.map(({ command }) => command);
  assert.deepEqual(offered?.sort(), [
    ...["alerts", "approve", "deny", "devices", "fog", "help", "mute", "pending", "revoke"],
    ...["start", "status", "stop", "summary", "test", "unlocks", "unmute", "whoami"],
  ]);
  assert.equal(api.count("sendMessage", 400), 0);
});

Deno.test("/approve and /deny decide what waits, and a viewer decides nothing", async () => {
  await using telegram = await startTelegramSite({ tables: "[plugins.fog-aggregator]" });
  const { api, site, drill, people: { ann, bob } } = telegram;
  const id = parseId("pump-7");
  await using door = await httpDoor(site, "meter", { id, url: site.url });
  await telegram.ask("/peers/join", { method: "POST", body: { for_ms: 3_600_000 } });
  const device = new Stranger(id, door);
  const { session } = await device.meet();
  await api.sees(ann.id, /pump-7 wants to join/);
  assert.match((await bob.asks("/approve pump-7", { reply: /operator/ })).text, /operator/);
  assert.equal(session.joined(await door.exchange(session.enrol())), "pending");
  // a name alone may mean another key by now: it is answered with what may be written
  const { text } = await ann.asks("/approve pump-7", { reply: /\/approve_/ });
  assert.equal(session.joined(await door.exchange(session.enrol())), "pending");
  await ann.asks(/\/approve_\w+/.exec(text)![0], { reply: /approved by/i });
  assert.equal(session.joined(await door.exchange(session.enrol())), "pump-house");
  const rows = await site.rows("SELECT actor FROM audit WHERE type = 'device.approved'");
  assert.deepEqual(rows, [{ actor: `telegram:${ann.id}` }]);

  drill.wonder("r-1");
  await api.sees(ann.id, /rollout r-1/);
  await ann.asks("/deny r-1", { reply: /denied/i });
  assert.deepEqual(drill.decisions, [
    { id: "r-1", verdict: "deny", actor: `telegram:${ann.id}` },
  ]);
  await eventually("no button is left", () => {
    const buttons = api.told(ann.id).flatMap((message) => message.buttons);
    return buttons.length === 0 || undefined;
  });
  for (const command of ["/approve r-1", "/approve", "/approve nobody-waits"]) {
    const { text } = await ann.asks(command);
    assert.doesNotMatch(text, /^.{0,5}approved by/i, command);
  }
  assert.equal(drill.decisions.filter(({ verdict }) => verdict === "approve").length, 0);
});

Deno.test("/revoke shuts a device out at once, and is on record", async () => {
  await using telegram = await startTelegramSite({ tables: "[plugins.fog-aggregator]" });
  const { site, people: { ann, bob } } = telegram;
  const { door, peer } = await newMeter(site, "pump-7", httpDoor);
  await using _ = door;
  const { message1, finish } = peer.begin();
  const session = finish(await door.exchange(message1));
  assert.equal(session.joined(await door.exchange(session.enrol())), "pump-house");
  await bob.asks("/revoke meter/pump-7", { reply: /operator/ });
  const states = async () => {
    const { peers } = await telegram.ask("/peers") as { peers: { id: string; state: string }[] };
    return peers.filter(({ id }) => id === "pump-7").map(({ state }) => state);
  };
  assert.deepEqual(await states(), ["approved"]);
  await ann.asks("/revoke meter/pump-7", { reply: /revoked/ });
  assert.deepEqual(await states(), ["revoked"]);
  await door.refused(peer.begin().message1);
  const rows = await site.rows("SELECT actor FROM audit WHERE type = 'device.revoked'");
  assert.deepEqual(rows, [{ actor: `telegram:${ann.id}` }]);
  await ann.asks("/revoke nobody", { reply: /nobody/i });
});

Deno.test("/mute keeps a chat quiet about something, /unmute ends that, /stop and /start all of it", async () => {
  await using telegram = await startTelegramSite();
  const { api, drill, people: { ann, bob } } = telegram;
  const emit = (subject: string, type: "unlock.released" | "fog.uplink_down" = "unlock.released") =>
    drill.emit({ type, severity: "info", subject, detail: {} });
  const heard = (chat: number, subject: string) =>
    api.told(chat).some(({ text }) => text.includes(subject));
  await ann.asks("/mute 2h unlock.released", { reply: /unlock\.released/ });
  emit("muted-1");
  emit("heard-1", "fog.uplink_down");
  await api.sees(ann.id, /heard-1/);
  await api.sees(bob.id, /muted-1/);
  assert.ok(!heard(ann.id, "muted-1"), "one chat is muted, not the other");
  await ann.asks("/unmute");
  emit("heard-2");
  await api.sees(ann.id, /heard-2/);

  await ann.asks("/stop");
  emit("muted-2");
  await api.sees(bob.id, /muted-2/);
  await ann.asks("/start");
  emit("heard-3");
  await api.sees(ann.id, /heard-3/);
  assert.ok(!heard(ann.id, "muted-2"));
  for (const wrong of ["/mute soon", "/mute 2h <b>", "/mute 99999d"]) {
    const { text } = await ann.asks(wrong);
    assert.match(text, /\/mute|2h/, `${wrong}: ${text}`);
  }
});

Deno.test("a stranger hears his number once, and nothing of the site", async () => {
  await using telegram = await startTelegramSite();
  const { api, site, people: { ann, eve } } = telegram;
  const { text } = await eve.asks("/start");
  assert.match(text, /1666/);
  assert.doesNotMatch(text, /pump-house|status|role/i);
  for (const command of ["/status", "/devices", "/approve r-1", "hello", "/start", "/help"]) {
    eve.says(command);
  }
  // whoever comes after them is answered, so they were read
  await ann.asks("/whoami");
  assert.equal(api.told(eve.id).length, 1);
  site.advance(3_700_000);
  await eve.asks("/start", { reply: /1666/ });
  assert.equal(api.told(eve.id).length, 2);

  // in a chat of the site's, somebody whom it does not know
  const group = api.group("Pumps", [ann, eve]);
  await telegram.configure({ chats: `[${group.id}]` });
  eve.says("/devices", { chat: group.id });
  eve.says("/status", { chat: group.id });
  const { id } = await ann.asks("/status", { chat: group.id, reply: /pump-house/ });
  const all = api.told(group.id).filter((message) => message.id < id);
  assert.ok(all.length <= 1, all.map(({ text }) => text).join("\n"));
  assert.doesNotMatch(all.map(({ text }) => text).join("\n"), /pump-house/);
});

Deno.test("/test shows that a chat is told, and the role's routes that it was", async () => {
  await using telegram = await startTelegramSite();
  const { api, people: { ann } } = telegram;
  await ann.asks("/test");
  const before = await sentBy(telegram);
  await telegram.ask("/telegram-notifier/test", { method: "POST", body: {} });
  await eventually("both chats have it", async () => {
    return await sentBy(telegram) >= before + 2 || undefined;
  });
  assert.ok(api.told(ann.id).length >= 2);
  assert.equal(api.count("sendMessage"), await sentBy(telegram));
});

async function sentBy(telegram: TelegramSite): Promise<number> {
  const { sent } = await telegram.ask("/telegram-notifier/status") as { sent: number };
  return sent;
}
