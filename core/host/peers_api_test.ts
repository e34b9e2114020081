/**
 * The routes for people's decisions about peers, over the admin socket of a running site at whose door
 * real handshakes knock.
 */
import assert from "node:assert/strict";
import { fromBase64url, toBase64url } from "../base/bytes.ts";
import type { PeerStatus } from "../wire/peer_status.ts";
import { ask } from "./_fakes.ts";
import { absent, at, began, names, openSite } from "./_peers_site.ts";
import { Stranger } from "./_stranger.ts";

const day = 86_400_000;
const routes = [["approve", "POST"], ["replace", "POST"], ["revoke", "POST"]] as const;
const pathOf = (route: string, name: string) =>
  route === "" ? `/peers/${name}` : `/peers/${name}/${route}`;
const every: readonly (readonly [string, string])[] = [...routes, ["", "DELETE"]];

Deno.test("POST /enrol gives an enrolment, and GET /peers shows that its code is not used", async () => {
  await using test = await openSite();
  const enrolment = await test.enrolment("/enrol", { kind: "meter", id: "m-1", ttl: 5_000 });
  const { code, noiseKey, ...rest } = enrolment;
  const url = `http://127.0.0.1:${test.site.http!.port}`;
  assert.deepEqual(rest, { site: "site-1", url, expires: began + 5_000 });
  assert.deepEqual([code.length, noiseKey.length], [16, 32]);
  const shown: PeerStatus = {
    ...absent,
    ...{ kind: "meter", id: "m-1", state: "enrolled" },
    ...{ enrolled: at(began), code_expires: at(began + 5_000) },
  };
  assert.deepEqual(await test.peers("GET", "/peers"), [shown]);
  assert.deepEqual(await test.peers("GET", "/peers/meter/m-1"), [shown]);
  assert.deepEqual(await test.peers("GET", "/peers/fog/m-1"), []);
  const usual = await test.enrolment("/enrol", { kind: "fog", id: "f" });
  assert.equal(usual.expires, began + day);
  const { expires } = await test.enrolment("/enrol", { kind: "fog", id: "f", ttl: 3_652 * day });
  assert.equal(expires, began + 3_652 * day);
});

Deno.test("GET /peers shows who waits first, and what is known of everybody", async () => {
  await using test = await openSite();
  const { noiseKey, ...enrolment } = await test.enrolment("/enrol", { kind: "meter", id: "m-1" });
  const [owner, rival, newcomer, guess] = [
    ...["m-1", "m-1", "m-2", "m-3"].map((name) => new Stranger(test.site, name)),
  ] as [Stranger, Stranger, Stranger, Stranger];
  test.time.now += 1;
  await owner.join({ ...enrolment, noiseKey });
  test.time.now += 1;
  assert.equal(await guess.knock(noiseKey, new Uint8Array(32).fill(1)), 202);
  const words = await newcomer.meet();
  test.time.now += 1;
  await rival.knock(noiseKey);
  test.time.now += 1;
  await newcomer.knock(noiseKey);
  const latest = await newcomer.meet();
  assert.notEqual(latest, words);

  const peers = await test.peers("GET", "/peers");
  const [first, second, third, last] = peers;
  assert.deepEqual(names(peers), [
    ...["meter/m-2 pending", "meter/m-1 conflict", "meter/m-3 unproven", "meter/m-1 approved"],
  ]);
  assert.deepEqual(first, {
    ...{ ...absent, kind: "meter", id: "m-2", state: "pending", proof: "key", words: latest },
    ...{ fingerprint: newcomer.fingerprint, first_seen: at(began + 2), last_seen: at(began + 4) },
  });
  assert.deepEqual([second!.fingerprint, second!.proof], [rival.fingerprint, "key"]);
  assert.deepEqual([third!.fingerprint, third!.proof], [guess.fingerprint, "none"]);
  assert.deepEqual([last!.fingerprint, last!.bound], [owner.fingerprint, at(began + 1)]);
  assert.match(last!.statement_fingerprint!, /^([0-9a-f]{4}-){5}[0-9a-f]{4}$/);
  assert.deepEqual(await test.peers("GET", "/peers/meter/m-1"), [second, last]);
});

Deno.test("POST approve admits by words, by fingerprint, and by a code that the device was born with", async () => {
  await using test = await openSite();
  const [one, two] = ["m-1", "m-2"].map((name) => new Stranger(test.site, name));
  const words = await one!.meet();
  const typed = { words: ` ${words.toUpperCase().replaceAll(" ", "-")}` };
  const approved = await test.peers("POST", "/peers/meter/m-1/approve", typed);
  assert.deepEqual(names(approved), ["meter/m-1 approved"]);
  assert.equal(approved[0]!.fingerprint, one!.fingerprint);
  await two!.meet();
  const by = { fingerprint: two!.fingerprint.replaceAll("-", " ") };
  await test.peers("POST", "/peers/meter/m-2/approve", by);

  const code = toBase64url(new Uint8Array(16).fill(7));
  const body = { code, ttl: 9_000 };
  const { status, text } = await test.ask("POST", "/peers/meter/m-3/approve", body);
  assert.equal(status, 200);
  assert.ok(!text.includes(code));
  const [waiting] = JSON.parse(text).peers as PeerStatus[];
  assert.deepEqual([waiting!.state, waiting!.code_expires], ["enrolled", at(began + 9_000)]);
  const born = new Stranger(test.site, "m-3");
  const { noiseKey } = await test.enrolment("/enrol", { kind: "fog", id: "f" });
  await born.join({ noiseKey, code: fromBase64url(code) });
  const [joined] = await test.peers("GET", "/peers/meter/m-3");
  assert.deepEqual([joined!.state, joined!.fingerprint], ["approved", born.fingerprint]);
});

Deno.test("POST replace takes who waits, by words or fingerprint, or makes a code", async () => {
  await using test = await openSite();
  const [one, two, three] = [0, 1, 2].map(() => new Stranger(test.site, "m-1"));
  const words = await one!.meet();
  await test.peers("POST", "/peers/meter/m-1/approve", { words });
  const others = await two!.meet();
  const replaced = await test.peers("POST", "/peers/meter/m-1/replace", { words: others });
  assert.deepEqual(replaced.map(({ fingerprint }) => fingerprint), [two!.fingerprint]);
  await three!.meet();
  const by = { fingerprint: three!.fingerprint };
  const [again] = await test.peers("POST", "/peers/meter/m-1/replace", by);
  assert.deepEqual([again!.state, again!.fingerprint], ["approved", three!.fingerprint]);
  const enrolment = await test.enrolment("/peers/meter/m-1/replace", { ttl: 1_000 });
  assert.equal(enrolment.expires, began + 1_000);
  assert.deepEqual(names(await test.peers("GET", "/peers")), ["meter/m-1 enrolled"]);
  await one!.join(enrolment);
  const [joined] = await test.peers("GET", "/peers/meter/m-1");
  assert.deepEqual([joined!.state, joined!.fingerprint], ["approved", one!.fingerprint]);
});

Deno.test("POST revoke and DELETE give what is left under the name", async () => {
  await using test = await openSite();
  await test.enrolment("/enrol", { kind: "meter", id: "m-1" });
  const revoked = await test.peers("POST", "/peers/meter/m-1/revoke");
  assert.deepEqual(names(revoked), ["meter/m-1 revoked"]);
  assert.equal(revoked[0]!.code_expires, null);
  assert.deepEqual(await test.peers("DELETE", "/peers/meter/m-1"), []);
  await new Stranger(test.site, "m-2").meet();
  assert.deepEqual(await test.peers("DELETE", "/peers/meter/m-2"), []);
  assert.deepEqual(await test.peers("GET", "/peers"), []);
});

Deno.test("routes of peers answer 404 about nobody", async () => {
  await using test = await openSite();
  const words = { words: "one two three four five six" };
  assert.equal(
    await test.refusal("POST", "/peers/meter/x/approve", words),
    "404 applicant_unknown",
  );
  assert.equal(
    await test.refusal("POST", "/peers/meter/x/replace", words),
    "404 applicant_unknown",
  );
  assert.equal(await test.refusal("POST", "/peers/meter/x/replace"), "404 peer_unknown");
  assert.equal(await test.refusal("POST", "/peers/meter/x/revoke"), "404 peer_unknown");
  assert.equal(await test.refusal("DELETE", "/peers/meter/x"), "404 peer_unknown");
  for (const path of ["/peers/meter", "/peers/meter/x/y", "/peers/meter/x/approve/y", "/enrol/x"]) {
    assert.equal(await test.refusal("POST", path), "404 not_found");
  }
  assert.equal(await test.refusal("GET", "/enrol"), "404 not_found");
  assert.equal(await test.refusal("PUT", "/peers/meter/x"), "404 not_found");
});

Deno.test("routes of peers answer 409 when it is not the time for it, and say what to do", async () => {
  await using test = await openSite();
  const stranger = new Stranger(test.site, "m-1");
  const words = await stranger.meet();
  const approve = "/peers/meter/m-1/approve";
  assert.equal(await test.refusal("POST", approve, { words: "x" }), "409 words_differ");
  test.time.now += 600_001;
  assert.equal(await test.refusal("POST", approve, { words }), "409 words_expired");
  await test.peers("POST", approve, { fingerprint: stranger.fingerprint });
  const body = { kind: "meter", id: "m-1" };
  assert.equal(await test.refusal("POST", "/enrol", body), "409 peer_exists");
  const code = toBase64url(new Uint8Array(16));
  assert.equal(await test.refusal("POST", approve, { code }), "409 peer_exists");
  const rival = new Stranger(test.site, "m-1");
  const his = { words: await rival.meet() };
  const { text } = await test.ask("POST", approve, his);
  assert.equal(JSON.parse(text).code, "peer_exists");
  assert.match(JSON.parse(text).hint, /edgeward peers replace meter\/m-1/);
  await test.peers("POST", "/peers/meter/m-1/revoke");
  assert.equal(await test.refusal("POST", "/peers/meter/m-1/replace"), "409 peer_revoked");
  assert.equal(await test.refusal("POST", "/peers/meter/m-1/replace", his), "409 peer_revoked");
  const { noiseKey } = await test.enrolment("/enrol", { kind: "fog", id: "f" });
  const guess = new Stranger(test.site, "m-2");
  await guess.knock(noiseKey, new Uint8Array(32).fill(1));
  const by = { fingerprint: guess.fingerprint };
  assert.equal(
    await test.refusal("POST", "/peers/meter/m-2/approve", by),
    "409 applicant_unproven",
  );
});

Deno.test("routes of peers refuse kinds that there are not, and names that nobody can have", async () => {
  await using test = await openSite();
  for (const kind of ["Meter", "meters", "__proto__", "constructor", "0", "%00"]) {
    assert.equal(await test.refusal("GET", `/peers/${kind}/m-1`), "400 bad_request");
    for (const [route, method] of every) {
      assert.equal(
        await test.refusal(method, pathOf(route, `${kind}/m-1`), "{}"),
        "400 bad_request",
      );
    }
  }
  for (const kind of ["Meter", "", null, 1, ["meter"], {}]) {
    assert.equal(await test.refusal("POST", "/enrol", { kind, id: "m-1" }), "400 bad_request");
  }
  for (const id of ["a b", "a%2Fb", "%C3%BC", "x".repeat(65), "%FF", "+", "%23"]) {
    for (const [route, method] of every) {
      const body = JSON.stringify({ words: "x" });
      assert.equal(
        await test.refusal(method, pathOf(route, `meter/${id}`), body),
        "400 id_invalid",
      );
    }
    assert.deepEqual(await test.peers("GET", `/peers/meter/${id}`), []);
  }
  for (const id of [null, 1, ["m-1"], {}]) {
    assert.equal(await test.refusal("POST", "/enrol", { kind: "meter", id }), "400 bad_request");
  }
  for (const id of ["", "a/b", "#", "ü"]) {
    assert.equal(await test.refusal("POST", "/enrol", { kind: "meter", id }), "400 id_invalid");
  }
  assert.deepEqual(await test.peers("GET", "/peers"), []);
});

Deno.test("routes of peers refuse bodies that are no object with what they need", async () => {
  await using test = await openSite();
  await new Stranger(test.site, "m-1").meet();
  const before = await test.peers("GET", "/peers");
  const long = "a".repeat(1 << 20);
  const bodies = ["{", "null", "[]", "1", '"words"', "[{}]", "\0", '{"a":1}x', long, `"${long}"`];
  for (const path of ["/enrol", "/peers/meter/m-1/approve", "/peers/meter/m-1/replace"]) {
    for (const body of bodies) {
      assert.equal(await test.refusal("POST", path, body), "400 bad_request", body.slice(0, 9));
    }
  }
  const proto = '{"__proto__": {"words": "x", "code": "x", "kind": "meter", "id": "m-1"}}';
  const approvals = [
    "",
    "{}",
    proto,
    { words: 1 },
    { words: null },
    { words: [long] },
    {
      words: long,
    },
    { words: "x".repeat(201) },
    { fingerprint: {} },
    { fingerprint: "f".repeat(101) },
  ];
  for (const body of approvals) {
    assert.equal(await test.refusal("POST", "/peers/meter/m-1/approve", body), "400 bad_request");
  }
  for (const body of [{ words: 1 }, { words: null }, { fingerprint: [] }, { ttl: null }]) {
    assert.equal(await test.refusal("POST", "/peers/meter/m-1/replace", body), "400 bad_request");
  }
  for (const ttl of [0, -1, 0.5, "1", null, 1e400, 3_652 * day + 1, [1], {}]) {
    const body = { kind: "meter", id: "m-1", ttl };
    assert.equal(await test.refusal("POST", "/enrol", body), "400 bad_request", `${ttl}`);
  }
  assert.equal(await test.refusal("POST", "/enrol", proto), "400 bad_request");
  assert.deepEqual(await test.peers("GET", "/peers"), before);
});

Deno.test("a code that is refused is never in the answer", async () => {
  await using test = await openSite();
  await test.enrolment("/enrol", { kind: "meter", id: "m-1" });
  const good = toBase64url(new Uint8Array(16).map((_, i) => 200 - i));
  const codes = [`${good}A`, good.slice(0, -1), `${good.slice(0, -1)}_`, ` ${good}`, `${good}=`];
  for (const code of [...codes, good.repeat(20_000)]) {
    for (const body of [{ code }, { code, words: "x" }, { code, ttl: "soon" }]) {
      const { status, text } = await test.ask("POST", "/peers/meter/m-2/approve", body);
      assert.equal(status, 400);
      assert.ok(!text.includes(code.trim().slice(0, 8)), text.slice(0, 200));
    }
  }
  const bound = new Stranger(test.site, "m-3");
  await test.peers("POST", "/peers/meter/m-3/approve", { words: await bound.meet() });
  const { status, text } = await test.ask("POST", "/peers/meter/m-3/approve", { code: good });
  assert.deepEqual([status, text.includes(good)], [409, false]);
});

Deno.test("POST approve takes a code only as text", async () => {
  await using test = await openSite();
  const code = toBase64url(new Uint8Array(16));
  for (const value of [[code], [[code]], { code }, 1, true, null]) {
    const body = { code: value };
    const refusal = await test.refusal("POST", "/peers/meter/m-1/approve", body);
    assert.equal(refusal, "400 bad_request", JSON.stringify(value));
  }
});

Deno.test("routes of peers are not open to whoever reaches the admin port", async () => {
  await using test = await openSite();
  await test.enrolment("/enrol", { kind: "meter", id: "m-1" });
  const requests = [["/peers", "GET"], ["/peers/meter/m-1", "GET"], ["/enrol", "POST"]] as const;
  for (const [path, method] of requests) {
    const { status, text } = await ask(test.site, path, { method });
    assert.ok(status === 401 || status === 404, `${status}`);
    assert.ok(!text.includes("enrolled"));
  }
  for (const [route, method] of every) {
    const { status } = await ask(test.site, pathOf(route, "meter/m-1"), { method });
    assert.ok(status === 401 || status === 404, `${status}`);
  }
  assert.deepEqual(names(await test.peers("GET", "/peers")), ["meter/m-1 enrolled"]);
});
