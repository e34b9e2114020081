/** Passwords, the file of users, and who of them may do what on the embedded broker. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../base/bytes.ts";
import { MqttError } from "./_errors.ts";
import { hashPassword, isPassword, parseHash } from "./_password.ts";
import { connectPacket, publishPacket, RawPeer, subscribePacket } from "./_raw_peer.ts";
import { listener, log, message, open, operator, type TestBroker } from "./_test_broker.ts";
import { Turns } from "./_turns.ts";
import { parseUsers } from "./_users_file.ts";

const puback = 4, suback = 9;
/** The hash of "secret", cheap. */
const hash =
  "$scrypt$ln=10,r=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$gzWpUzHxuq5L5ifq8GanT7ztiolRl05J5qpGbQ0edqM";

/** A users file that a test rewrites. */
async function usersFile(text: string) {
  const path = await Deno.makeTempFile({ prefix: "edgeward-users-" });
  await Deno.writeTextFile(path, text);
  return {
    path,
    write: (text: string) => Deno.writeTextFile(path, text),
    [Symbol.asyncDispose]: () => Deno.remove(path),
  };
}

async function returnCode(broker: TestBroker, login: { username?: string; password?: string }) {
  using peer = await RawPeer.open(broker.port);
  await peer.send(connectPacket("tool", login));
  return (await peer.receive())?.body[1];
}

Deno.test("Turns are idle when what ran, what waited and what failed is over", async () => {
  const turns = new Turns({ atOnce: 1, waiting: 2, perParty: 3 });
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const ended: string[] = [];
  const fail = () => Promise.reject(new Error("no"));
  const works = [turns.take("a", () => released), turns.take("a", fail), turns.take("a", fail)];
  for (const [i, work] of works.entries()) work!.finally(() => ended.push(`${i}`)).catch(() => {});
  const idle = turns.idle().then(() => ended.push("idle"));
  await null;
  release();
  await idle;
  assert.deepEqual(ended, ["0", "1", "2", "idle"]);
  await turns.idle();
});

Deno.test("a password matches its own hash only", async () => {
  const parsed = parseHash(await hashPassword("Grüße"))!;
  assert.deepEqual([parsed.ln, parsed.r, parsed.p, parsed.salt.length], [15, 8, 1, 16]);
  assert.equal(await isPassword(parsed, utf8("Grüße")), true);
  assert.equal(await isPassword(parsed, utf8("Grüsse")), false);
  assert.notEqual(await hashPassword("x"), await hashPassword("x"));
});

Deno.test("parseHash() takes the vector of RFC 7914 §12 and refuses what is too costly", async () => {
  // 64 bytes there; the first 32 are those of a hash of 32.
  const output = "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI";
  const vector = parseHash(`$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$${output}`);
  assert.equal(await isPassword(vector!, utf8("pleaseletmein")), true);
  const salt = "c2FsdHNhbHRzYWx0c2FsdA", sum = "A".repeat(43);
  for (const cost of ["ln=15,r=8,p=1", "ln=16,r=8,p=1", "ln=10,r=1,p=4"]) {
    assert.notEqual(parseHash(`$scrypt$${cost}$${salt}$${sum}`), undefined, cost);
  }
  const wrong = [
    "",
    "secret",
    "$scrypt$ln=17,r=8,p=1$" + salt + "$" + sum,
    "$scrypt$ln=40,r=8,p=1$" + salt + "$" + sum,
    "$scrypt$ln=9,r=8,p=1$" + salt + "$" + sum,
    "$scrypt$ln=15,r=0,p=1$" + salt + "$" + sum,
    "$scrypt$ln=15,r=8,p=5$" + salt + "$" + sum,
    "$scrypt$ln=15,r=8,p=1$" + salt + "$" + sum.slice(1),
    "$argon2id$v=19$m=65536,t=3,p=4$" + salt + "$" + sum,
  ];
  for (const text of wrong) assert.equal(parseHash(text), undefined, text);
});

Deno.test("Turns runs a few at a time and few of each party", async () => {
  const turns = new Turns({ atOnce: 2, waiting: 1, perParty: 1 });
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const begun: number[] = [];
  const take = (party: string, i: number) =>
    turns.take(party, async () => {
      begun.push(i);
      await gates[i]!.promise;
      if (i === 1) throw new Error("failed");
      return i;
    });
  const first = take("a", 0)!, second = take("b", 1)!, third = take("c", 2)!;
  assert.deepEqual(begun, [0, 1]);
  assert.equal(take("a", 0), undefined);
  assert.equal(take("d", 0), undefined);
  gates[1]!.resolve();
  await assert.rejects(second, /failed/);
  assert.deepEqual(begun, [0, 1, 2]);
  for (const gate of gates) gate.resolve();
  assert.deepEqual(await Promise.all([first, third]), [0, 2]);
  assert.equal(await take("a", 0), 0);
});

Deno.test("parseUsers() reads names, hashes and topics", () => {
  const users = parseUsers(
    `# tools\n\ndashboard ${hash} read=edgeward/#  read=a/+/b\r\n\tnode.red@1 ${hash} write=#\nidle ${hash}\n`,
    "users",
  );
  assert.deepEqual([...users.keys()], ["dashboard", "node.red@1", "idle"]);
  assert.deepEqual(users.get("dashboard")!.read, ["edgeward/#", "a/+/b"]);
  assert.deepEqual(users.get("node.red@1")!.write, ["#"]);
  assert.deepEqual(users.get("idle")!.read, []);
});

Deno.test("parseUsers() names the line of a mistake and never the hash", () => {
  const mistakes: Record<string, RegExp> = {
    "dash board": /^users:2: the password hash of "dash" is none$/,
    [`$site ${hash}`]: /^users:2: the line does not begin with a user name$/,
    [`ok ${hash}`]: /^users:2: the user "ok" is there twice$/,
    [`a ${hash} edgeward/#`]:
      /^users:2: expected read=FILTER or write=FILTER after the hash of "a"$/,
    [`a ${hash} read=a/#/b`]: /^users:2: "a\/#\/b" is not a topic filter that "a" can have$/,
    [`a ${hash} read=$SYS/#`]: /^users:2: "\$SYS\/#" is not a topic filter that "a" can have$/,
  };
  for (const [line, expected] of Object.entries(mistakes)) {
    assert.throws(() => parseUsers(`ok ${hash}\n${line}\n`, "users"), (error) => {
      assert.ok(error instanceof MqttError && error.code === "mqtt_users");
      assert.match(error.message, expected);
      assert.ok(!`${error.message}${error.hint}`.includes("gzWpUzHx"));
      return true;
    });
  }
});

Deno.test("parseUsers() takes any text without another error", () => {
  fc.assert(fc.property(fc.string({ maxLength: 100 }), (text) => {
    try {
      parseUsers(text, "users");
    } catch (error) {
      assert.ok(error instanceof MqttError);
    }
  }));
});

Deno.test("a user does what the file allows and no more", async () => {
  await using file = await usersFile(
    `tool ${hash} read=edgeward/+/up/# write=edgeward/meter/down/+\nidle ${hash}\n`,
  );
  await using broker = await open({ usersFile: file.path });
  using site = await listener(broker);
  using tool = await RawPeer.login(broker.port, "tool", { username: "tool", password: "secret" });
  const filters = [
    "edgeward/+/up/#",
    "edgeward/meter/up/x",
    "edgeward/#",
    "#",
    "$SYS/#",
    "edgeward/meter/down/x",
  ];
  await tool.send(subscribePacket(1, filters));
  assert.deepEqual([...(await tool.receive())!.body].slice(2), [1, 1, 128, 128, 128, 128]);
  await tool.send(publishPacket("edgeward/meter/down/x", utf8("on"), { id: 1 }));
  assert.equal((await tool.receive())?.type, puback);
  assert.deepEqual(message(await site.receive()), ["edgeward/meter/down/x", "on"]);
  await tool.send(publishPacket("edgeward/meter/up/x", utf8("forged"), { id: 2 }));
  assert.equal(await tool.receive(), undefined);

  using idle = await RawPeer.login(broker.port, "", { username: "idle", password: "secret" });
  await idle.send(subscribePacket(1, ["a"]));
  assert.equal((await idle.receive())!.body[2], 128);
});

Deno.test("a user has as many subscriptions as the limit says, counted as they come and go", async () => {
  await using file = await usersFile(`tool ${hash} read=#\n`);
  await using broker = await open({ usersFile: file.path, limits: { subscriptions: 3 } });
  using tool = await RawPeer.login(broker.port, "tool", { username: "tool", password: "secret" });
  await tool.send(subscribePacket(1, ["a", "b", "c", "d", "a"]));
  assert.deepEqual([...(await tool.receive())!.body].slice(2), [1, 1, 1, 128]);
  // UNSUBSCRIBE from "a"
  await tool.send(Uint8Array.of(0xa2, 5, 0, 2, 0, 1, 0x61));
  assert.equal((await tool.receive())?.type, 11);
  await tool.send(subscribePacket(3, ["d", "e"]));
  assert.deepEqual([...(await tool.receive())!.body].slice(2), [1, 128]);
});

Deno.test("wrong passwords, unknown users and missing parts are all refused alike", async () => {
  await using file = await usersFile(`tool ${hash} read=#\n`);
  await using broker = await open({ usersFile: file.path });
  const wrong = [
    { username: "tool", password: "Secret" },
    { username: "tool" },
    { username: "nobody", password: "secret" },
    { username: operator.username, password: "secret" },
    { username: "", password: "" },
  ];
  for (const login of wrong) assert.equal(await returnCode(broker, login), 4);
  assert.equal(await broker.refused("login"), wrong.length);
  assert.equal(await returnCode(broker, { username: "tool", password: "secret" }), 0);
});

Deno.test("many wrong passwords do not flood the log", async () => {
  const warnings: string[] = [];
  await using broker = await open({ log: { ...log, warn: (text) => warnings.push(text) } });
  for (let i = 0; i < 30; i++) await returnCode(broker, { username: "x", password: "y" });
  assert.ok(warnings.length >= 10 && warnings.length < 15);
});

Deno.test("a user's client id ends nobody's connection but its own", async () => {
  await using file = await usersFile(`tool ${hash}\n`);
  await using broker = await open({ usersFile: file.path });
  using site = await listener(broker);
  using lamp = await RawPeer.login(broker.port, "lamp-1");
  const credential = { username: "tool", password: "secret" };
  using first = await RawPeer.login(broker.port, "lamp-1", credential);
  using second = await RawPeer.login(broker.port, "edgeward-site", credential);
  using third = await RawPeer.login(broker.port, "lamp-1", credential);
  assert.equal(await first.receive(), undefined);
  for (const peer of [site, lamp, second, third]) {
    await peer.send(Uint8Array.of(0xc0, 0));
    assert.equal((await peer.receive())?.type, 13);
  }
});

Deno.test("passwords are checked a few at a time, and few for each address", async () => {
  await using file = await usersFile(`tool ${hash.replace("ln=10", "ln=15")}\n`);
  await using broker = await open({ usersFile: file.path });
  const login = { username: "tool", password: "wrong" };
  const codes = await Promise.all(Array.from({ length: 20 }, () => returnCode(broker, login)));
  assert.deepEqual([...new Set(codes)].sort(), [3, 4]);
  assert.equal(await broker.refused("busy"), codes.filter((code) => code === 3).length);
});

Deno.test("reload() ends the connections of users that have changed", async () => {
  await using file = await usersFile(`a ${hash}\nb ${hash}\nc ${hash} read=#\n`);
  await using broker = await open({ usersFile: file.path });
  const login = (username: string) =>
    RawPeer.login(broker.port, "tool", { username, password: "secret" });
  using a = await login("a");
  using b = await login("b");
  using c = await login("c");
  await file.write(`a ${hash}\nc ${hash} read=a\n`);
  await broker.reload();
  assert.deepEqual([await b.receive(), await c.receive()], [undefined, undefined]);
  await a.send(Uint8Array.of(0xc0, 0));
  assert.equal((await a.receive())?.type, 13);
  assert.equal(await returnCode(broker, { username: "b", password: "secret" }), 4);
});

Deno.test("a bad file stops the start, and at a reload leaves the old users in place", async () => {
  await using file = await usersFile("nonsense");
  await assert.rejects(open({ usersFile: file.path }), {
    code: "mqtt_users",
    message: `${file.path}:1: the password hash of "nonsense" is none`,
  });
  await assert.rejects(open({ usersFile: `${file.path}.missing` }), { code: "mqtt_users" });
  await file.write(`tool ${hash} read=#\n`);
  await using broker = await open({ usersFile: file.path });
  using tool = await RawPeer.login(broker.port, "x", { username: "tool", password: "secret" });
  await file.write(`tool ${hash} read=#\ntool ${hash}\n`);
  await assert.rejects(broker.reload(), {
    message: `${file.path}:2: the user "tool" is there twice`,
  });
  await tool.send(subscribePacket(1, ["a"]));
  assert.equal((await tool.receive())?.type, suback);
  assert.equal(await returnCode(broker, { username: "tool", password: "secret" }), 0);
});
