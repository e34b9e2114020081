/**
 * The routes for bans, names and the join window, over the admin socket of a running site at whose door
 * real handshakes knock, and over its public listener by token.
 */
import assert from "node:assert/strict";
import type { BanStatus, JoinStatus, PeerStatus } from "../wire/peer_status.ts";
import { absent, at, began, names, openSite, type TestSite } from "./_peers_site.ts";
import { Stranger } from "./_stranger.ts";

const minutes = 60_000;
const path = "/peers/meter/m-1";

async function join(test: TestSite, method: string, body?: unknown): Promise<JoinStatus> {
  const { status, text } = await test.ask(
    method,
    method === "GET" ? "/peers" : "/peers/join",
    body,
  );
  assert.equal(status, 200, text);
  return JSON.parse(text).join;
}

/** A meter that has joined with a code. */
async function joined(test: TestSite, id = "m-1"): Promise<Stranger> {
  const meter = new Stranger(test.site, id);
  await meter.join(await test.enrolment("/enrol", { kind: "meter", id }));
  return meter;
}

Deno.test("POST ban refuses a peer for a time, and GET /peers tells who, why and until when", async () => {
  await using test = await openSite();
  const meter = await joined(test);
  const [before] = await test.peers("GET", path);
  const body = { for_ms: 90_000, reason: " sends nonsense " };
  const banned = await test.peers("POST", `${path}/ban`, body);
  const ban: BanStatus = {
    ...{ by: "name", reason: "sends nonsense", actor: "site", before: "approved" },
    ...{ since: at(began), until: at(began + 90_000) },
  };
  assert.deepEqual(banned, [{ ...before!, state: "banned", ban }]);
  assert.deepEqual(await test.peers("GET", "/peers"), banned);
  const { noiseKey } = await test.enrolment("/enrol", { kind: "fog", id: "f" });
  assert.equal(await meter.knock(noiseKey), 403);
  assert.equal(await new Stranger(test.site, "m-1").knock(noiseKey), 403);
  const code = await test.refusal("POST", "/enrol", { kind: "meter", id: "m-1" });
  assert.equal(code, "409 peer_banned");
  test.time.now += 90_000;
  assert.deepEqual(await test.peers("GET", path), [before]);

  await test.peers("POST", `${path}/ban`);
  const [forGood] = await test.peers("GET", path);
  assert.deepEqual([forGood!.ban!.until, forGood!.ban!.reason], [null, null]);
  assert.deepEqual(await test.peers("POST", `${path}/unban`), [before]);
  assert.equal(await test.refusal("POST", `${path}/unban`), "404 ban_unknown");
});

Deno.test("POST ban by key shows whom the key came as, whether they are known or not", async () => {
  await using test = await openSite();
  const meter = await joined(test);
  const [rival, other] = [new Stranger(test.site, "m-1"), new Stranger(test.site, "m-1")];
  for (const one of [rival, other]) await one.meet();
  assert.equal(await test.refusal("POST", `${path}/ban`, { key: true }), "409 key_ambiguous");
  const peers = await test.peers("POST", `${path}/ban`, { key: rival.fingerprint });
  assert.deepEqual(names(peers), ["meter/m-1 conflict", "meter/m-1 approved", "meter/m-1 banned"]);
  assert.deepEqual([peers[0]!.fingerprint, peers[1]!.ban], [other.fingerprint, null]);
  const ban = {
    by: "key",
    reason: null,
    actor: "site",
    since: at(began),
    until: null,
    before: null,
  };
  const kind = "meter";
  const { fingerprint } = rival;
  const shown = { ...absent, kind, id: "m-1", state: "banned", fingerprint, ban };
  assert.deepEqual(peers[2], shown);
  await test.peers("POST", `${path}/ban`, { key: meter.fingerprint, for_ms: 5 });
  const all = await test.peers("GET", "/peers");
  assert.deepEqual(names(all), ["meter/m-1 conflict", "meter/m-1 banned", "meter/m-1 banned"]);
  assert.deepEqual([all[1]!.ban!.by, all[1]!.ban!.before], ["key", "approved"]);
  await test.peers("POST", `${path}/unban`);
  assert.deepEqual(names(await test.peers("GET", "/peers")), [
    ...["meter/m-1 conflict", "meter/m-1 approved"],
  ]);
  const nobody = "/peers/meter/m-9/ban";
  assert.equal(await test.refusal("POST", nobody, { key: true }), "404 key_unknown");
});

Deno.test("POST name says what people call a peer, and null that it has no name", async () => {
  await using test = await openSite();
  await test.enrolment("/enrol", { kind: "meter", id: "m-1" });
  const [peer] = await test.peers("POST", `${path}/name`, { name: " Pump 7 " });
  assert.equal(peer!.name, "Pump 7");
  await test.enrolment(`${path}/replace`);
  assert.equal((await test.peers("GET", path))[0]!.name, "Pump 7");
  assert.equal((await test.peers("POST", `${path}/name`, { name: null }))[0]!.name, null);
  const nobody = "/peers/meter/m-2/name";
  assert.equal(await test.refusal("POST", nobody, { name: "Pump" }), "404 peer_unknown");
});

Deno.test("strangers wait only while the site is open to them, which GET /peers tells", async () => {
  await using test = await openSite("closed");
  const closed = { open: false, until: null };
  assert.deepEqual(await join(test, "GET"), closed);
  const stranger = new Stranger(test.site, "m-1");
  await stranger.meet();
  assert.deepEqual(await test.peers("GET", "/peers"), []);
  const opened = { open: true, until: at(began + 2 * minutes) };
  assert.deepEqual(await join(test, "POST", { for_ms: 2 * minutes }), opened);
  const words = await stranger.meet();
  assert.deepEqual(await join(test, "GET"), opened);
  assert.deepEqual(names(await test.peers("GET", "/peers")), ["meter/m-1 pending"]);
  assert.deepEqual(await join(test, "DELETE"), closed);
  await new Stranger(test.site, "m-2").meet();
  assert.deepEqual(names(await test.peers("POST", `${path}/approve`, { words })), [
    "meter/m-1 approved",
  ]);
  assert.deepEqual((await test.peers("GET", "/peers")).length, 1);
  assert.deepEqual(await join(test, "POST"), { open: true, until: at(began + 5 * minutes) });
  test.time.now += 5 * minutes;
  assert.deepEqual(await join(test, "GET"), closed);
});

Deno.test("a site that its configuration opens is open until somebody closes it", async () => {
  await using test = await openSite("open");
  assert.deepEqual(await join(test, "GET"), { open: true, until: null });
  assert.deepEqual(await join(test, "DELETE"), { open: false, until: null });
});

Deno.test("routes of bans, names and the join window refuse what makes no sense, and do nothing", async () => {
  await using test = await openSite("closed");
  await test.enrolment("/enrol", { kind: "meter", id: "m-1" });
  const before = await test.peers("GET", "/peers");
  const bans = [
    ...[{ for_ms: 0 }, { for_ms: -1 }, { for_ms: 0.5 }, { for_ms: "1h" }, { for_ms: null }],
    ...[{ for_ms: 1e300 }, { reason: 1 }, { reason: null }, { reason: ["x"] }],
    ...[{ reason: "x".repeat(201) }, { reason: "a\nb" }, { reason: "\u202eabc" }],
    ...[{ key: 1 }, { key: null }, { key: {} }, { key: "f".repeat(101) }],
    ...["[]", "{", '"x"', "\0"],
  ];
  for (const body of bans) {
    assert.equal(
      await test.refusal("POST", `${path}/ban`, body),
      "400 bad_request",
      JSON.stringify(body),
    );
  }
  for (const name of [undefined, 1, {}, [], "x".repeat(65), "a\x1b[31m", "x".repeat(1 << 20)]) {
    assert.equal(await test.refusal("POST", `${path}/name`, { name }), "400 bad_request");
  }
  for (const for_ms of [0, -1, 0.5, "5m", null, 60 * minutes + 1, [1]]) {
    assert.equal(await test.refusal("POST", "/peers/join", { for_ms }), "400 bad_request");
  }
  for (const act of ["ban", "unban", "name"]) {
    const body = { name: "x" };
    assert.equal(await test.refusal("POST", `/peers/toaster/m-1/${act}`, body), "400 bad_request");
    assert.equal(await test.refusal("POST", `/peers/meter/%23/${act}`, body), "400 id_invalid");
  }
  assert.deepEqual(await test.peers("GET", "/peers"), before);
  assert.deepEqual(await join(test, "GET"), { open: false, until: null });
});

Deno.test("over the public listener, viewers look and operators decide, by name", async () => {
  await using test = await openSite("closed");
  await test.enrolment("/enrol", { kind: "meter", id: "m-1" });
  const tokens: Record<string, { id: string; token: string }> = {};
  for (const role of ["viewer", "operator"]) {
    tokens[role] = JSON.parse((await test.ask("POST", "/tokens", { role })).text);
  }
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const request = async (role: string | null, method: string, path: string, body?: unknown) => {
    const response = await fetch(`http://127.0.0.1:${test.site.http!.port}/site${path}`, {
      ...{ method, client },
      headers: role === null ? {} : { authorization: `Bearer ${tokens[role]!.token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, answer: await response.json() };
  };
  const decisions: [string, string, unknown?][] = [
    ["POST", `${path}/ban`],
    ["POST", `${path}/unban`],
    ["POST", `${path}/name`, { name: "Pump" }],
    ["POST", "/peers/join", {}],
    ["DELETE", "/peers/join"],
  ];
  for (const [method, route, body] of decisions) {
    assert.equal((await request(null, method, route, body)).status, 401, route);
    assert.equal((await request("viewer", method, route, body)).status, 403, route);
  }
  const [peer] = await test.peers("GET", path);
  assert.deepEqual([peer!.state, peer!.name], ["enrolled", null]);
  for (const [method, route, body] of decisions) {
    assert.equal((await request("operator", method, route, body)).status, 200, route);
    if (!route.endsWith("/ban")) continue;
    const { answer } = await request("viewer", "GET", path);
    const [banned] = answer.peers as PeerStatus[];
    assert.equal(banned!.ban!.actor, `token:${tokens["operator"]!.id}`);
  }
  assert.deepEqual((await request("viewer", "GET", "/peers")).answer.join.open, false);
});
