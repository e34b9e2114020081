/** The prototypes' faces, request by request, over a gateway with a real database. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { toBase64, toHex, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { Secret } from "../../core/base/secret.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { parseSigned } from "./_face_signature.ts";
import { listRequests } from "./approvals.ts";
import { facesOf } from "./config.ts";
import { faceRoutes } from "./faces.ts";
import {
  boot,
  caller,
  depositing,
  device,
  minute,
  noon,
  openTestUnlock,
  type Options,
  suite,
  volume,
} from "./_test_unlock.ts";

const secret = "shared between device and gateway";
const token = "token-of-the-second-prototype";
const seconds = noon / 1_000;
const own = { origin: { client: "127.0.0.1", isPrivate: true } };

const sign = (message: string, key = secret) =>
  createHmac("sha256", key).update(message).digest("hex");

/** A request as the prototype makes it. */
function authorizing(ts: number | string = seconds, rest: Record<string, unknown> = {}) {
  return { dev_id: device, ts, sig: sign(`${device}|${ts}`), ...rest };
}

function reporting(event: string, ts: number | string = seconds, rest = {}) {
  return { dev_id: device, event, ts, sig: sign(`${device}|${ts}|${event}`), ...rest };
}

async function openFaces(options: Options = {}) {
  await using stack = new AsyncDisposableStack();
  const config = { rate: "100/s", rate_all: "100/s", ...options.config };
  const test = stack.use(await openTestUnlock({ ...options, config }));
  assert.equal(await test.now.gate.deposit(caller, depositing()), null);
  let standing: string | null = null;
  const faces = () => {
    const { host, gate, limits, denials, tidings } = test.now;
    const sessions = { standing: () => Promise.resolve(standing) };
    return faceRoutes({ ...host, sessions } as unknown as Host & Services, {
      ...{ gate, limits, denials, tidings },
      secrets: {
        devices: new Map([
          [device, { secret: new Secret(utf8(secret)), volume }],
          [parseId("mute"), { secret: null, volume }],
        ]),
        nobody: new Secret(suite.randomBytes(32)),
        tokenHash: suite.sha256(utf8(token)),
        fragmentDevice: device,
      },
    });
  };
  let routes = faces();
  const kept = stack.move();
  return {
    test,
    stand: (now: string | null) => standing = now,
    async restart() {
      await test.restart();
      routes = faces();
    },
    /** Posts JSON; gives the status and, of a problem, its code. */
    async post(path: string, body: unknown, env: unknown = own) {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const response = await routes[path]!.request(
        "/",
        { method: "POST", body: text },
        env as object,
      );
      const answer = response.status === 204 ? {} : await response.json();
      return { status: response.status, headers: response.headers, ...answer };
    },
    async get(path: string, headers: Record<string, string> = {}, env: unknown = own) {
      const response = await routes[path]!.request("/", { headers }, env as object);
      return { status: response.status, ...await response.json() };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const bearer = { authorization: `Bearer ${token}` };

Deno.test("POST /authorize gives the device's piece for its signature, and logs it as a release", async () => {
  await using faces = await openFaces();
  const { status, share } = await faces.post("/authorize", authorizing());
  assert.deepEqual([status, share], [200, toBase64(depositing().piece)]);
  // the prototype may write its time as text
  assert.equal((await faces.post("/authorize", authorizing(`${seconds + 1}`))).status, 200);
  const entries = (await faces.test.logged()).map(({ type, actor }) => `${type} ${actor}`);
  assert.deepEqual(entries.slice(1), Array(2).fill(`unlock.released ${device}`));
  assert.ok(faces.test.news().includes(`unlock.released info ${device}`));
});

Deno.test("POST /authorize takes each signature once, also after a restart", async () => {
  await using faces = await openFaces();
  assert.equal((await faces.post("/authorize", authorizing())).status, 200);
  const again = await faces.post("/authorize", authorizing());
  assert.deepEqual([again.status, again.code], [409, "replayed"]);
  await faces.restart();
  assert.equal((await faces.post("/authorize", authorizing())).status, 409);
  // upper-case digits are the same signature
  const shouting = authorizing(seconds, { sig: authorizing().sig.toUpperCase() });
  assert.equal((await faces.post("/authorize", shouting)).status, 409);
  const twice = await Promise.all(
    [1, 2].map(() => faces.post("/authorize", authorizing(seconds + 5))),
  );
  assert.deepEqual(twice.map(({ status }) => status).toSorted(), [200, 409]);
  assert.equal(await faces.test.count("seen"), 2);
  // what is remembered is forgotten when it would be stale anyway
  faces.test.pass(3 * minute);
  const later = seconds + 180;
  assert.equal((await faces.post("/authorize", authorizing(later))).status, 200);
  assert.equal(await faces.test.count("seen"), 1);
});

Deno.test("POST /authorize refuses what is not signed, not by this device, or not now", async () => {
  await using faces = await openFaces();
  const cases: [string, unknown][] = [
    ["401 bad_signature", authorizing(seconds, { sig: sign(`${device}|${seconds + 1}`) })],
    ["401 bad_signature", authorizing(seconds, { sig: sign(`${device}|${seconds}`, "other") })],
    ["401 bad_signature", authorizing(seconds, { dev_id: "kiosk-8" })],
    ["401 bad_signature", authorizing(seconds, { dev_id: "mute", sig: sign(`mute|${seconds}`) })],
    ["401 bad_signature", authorizing(seconds, { dev_id: "__proto__" })],
    ["401 stale", authorizing(seconds - 31)],
    ["401 stale", authorizing(seconds + 31)],
    ["400 malformed", "{"],
    ["400 malformed", "null"],
    ["400 malformed", []],
    ["400 malformed", authorizing(seconds, { sig: 5 })],
    ["400 malformed", authorizing(seconds, { sig: "00" })],
    ["400 malformed", authorizing(seconds + 0.5)],
    ["400 malformed", authorizing(-1)],
    ["400 malformed", authorizing(seconds, { dev_id: "a b" })],
    ["400 malformed", { dev_id: device, ts: seconds }],
  ];
  for (const [expected, body] of cases) {
    const { status, code } = await faces.post("/authorize", body);
    assert.equal(`${status} ${code}`, expected, JSON.stringify(body));
  }
  for (const ts of [seconds - 30, seconds + 30]) {
    assert.equal((await faces.post("/authorize", authorizing(ts))).status, 200);
  }
  const counts = (await faces.test.logged()).filter(({ type }) => type === "unlock.denied");
  assert.deepEqual(counts.map(({ actor, detail }) => [actor, detail["reason"], detail["count"]]), [
    [device, "bad_signature", 1],
    ["nobody", "bad_signature", 1],
  ]);
});

Deno.test("nobody is answered whose request others could read", async () => {
  await using faces = await openFaces();
  const open = { origin: { client: "192.0.2.1", isPrivate: false } };
  for (const env of [open, {}, null]) {
    const answers = [
      await faces.post("/authorize", authorizing(), env),
      await faces.post("/event", reporting("MOUNT_OK"), env),
      await faces.get("/fragment", bearer, env),
      await faces.get("/status", {}, env),
    ];
    for (const { status, code } of answers) assert.deepEqual([status, code], [403, "insecure"]);
  }
  assert.equal((await faces.post("/authorize", authorizing())).status, 200);
});

Deno.test("the rules of the site count for faces as they do for sessions", async () => {
  const asked = async (config: Record<string, unknown>) => {
    await using faces = await openFaces({ config });
    const { status, code, headers } = await faces.post("/authorize", authorizing());
    return `${status} ${code} ${headers.get("retry-after")}`;
  };
  assert.equal(await asked({ hours: ["sun 00:00-01:00"] }), "403 hours null");
  assert.equal(await asked({ approval: true }), "403 pending 2");
  await using slow = await openFaces({ config: { rate: "2/m" } });
  assert.equal((await slow.post("/authorize", authorizing())).status, 200);
  const limited = await slow.post("/authorize", authorizing(seconds + 1));
  assert.deepEqual([limited.status, limited.code, limited.headers.get("retry-after")], [
    ...[429, "rate", "30"],
  ]);
  // and what is refused for its rate may come again
  slow.test.pass(30_000);
  assert.equal((await slow.post("/authorize", authorizing(seconds + 1))).status, 200);
  await using erased = await openFaces();
  await erased.test.now.operations.erase(device, toHex(volume), "site");
  const gone = await erased.post("/authorize", authorizing());
  assert.deepEqual([gone.status, gone.code], [403, "volume_unknown"]);
});

Deno.test("a person's yes is good for the device's volume, until it ends", async () => {
  await using faces = await openFaces({ config: { approval: true } });
  const { test } = faces;
  assert.equal((await faces.post("/authorize", authorizing())).code, "pending");
  const [waiting] = await test.now.db.read((q) => listRequests(q, test.time.now));
  assert.deepEqual([waiting!.device, waiting!.boot], [device, 0]);
  await test.now.operations.decide(waiting!.id, "approved", "site");
  assert.equal((await faces.post("/authorize", authorizing())).code, "replayed");
  assert.equal((await faces.post("/authorize", authorizing(seconds + 1))).status, 200);
  test.pass(10 * minute);
  assert.equal((await faces.post("/authorize", authorizing(seconds + 600))).code, "pending");
});

Deno.test("a revoked or suspended device gets nothing", async () => {
  await using faces = await openFaces();
  faces.stand("revoked");
  const answers = [
    await faces.post("/authorize", authorizing()),
    await faces.post("/event", reporting("MOUNT_OK")),
    await faces.get("/fragment", bearer),
  ];
  for (const { status, code } of answers) assert.deepEqual([status, code], [403, "revoked"]);
  const denied = (await faces.test.logged()).filter(({ type }) => type === "unlock.denied");
  assert.deepEqual(denied.map(({ detail }) => detail["reason"]), ["revoked"]);
  faces.stand("approved");
  assert.equal((await faces.post("/authorize", authorizing())).status, 200);
  assert.equal(await faces.test.ask({ boot: boot(1, 1) }), "clone");
  assert.equal((await faces.post("/authorize", authorizing(seconds + 1))).code, "clone");
});

Deno.test("POST /authorize gives nothing that cannot be logged, and takes the request again", async () => {
  await using faces = await openFaces();
  await faces.test.breakLog(true);
  const { status, code } = await faces.post("/authorize", authorizing());
  assert.deepEqual([status, code], [503, "unlogged"]);
  const event = await faces.post("/event", reporting("MOUNT_OK"));
  assert.deepEqual([event.status, event.code], [503, "unlogged"]);
  await faces.test.breakLog(false);
  assert.equal((await faces.post("/authorize", authorizing())).status, 200);
});

Deno.test("POST /event reports what became of the device's releases", async () => {
  await using faces = await openFaces();
  const { test } = faces;
  await faces.post("/authorize", authorizing());
  await faces.post("/authorize", authorizing(seconds + 1));
  test.news();
  assert.equal((await faces.post("/event", reporting("BOOT_LOCKED"))).status, 204);
  assert.equal((await faces.post("/event", reporting("MOUNT_OK"))).status, 204);
  assert.deepEqual(test.news(), [
    `unlock.boot_locked info ${device}`,
    `unlock.mount_ok info ${device}`,
  ]);
  assert.equal((await faces.post("/event", reporting("MOUNT_OK"))).code, "replayed");
  const cases: [string, unknown][] = [
    ["401 bad_signature", reporting("MOUNT_OK", seconds, { event: "MOUNT_FAIL" })],
    ["401 bad_signature", reporting("MOUNT_OK", seconds, { sig: authorizing().sig })],
    ["400 malformed", reporting("REBOOTED")],
    ["400 malformed", authorizing()],
    ["401 stale", reporting("MOUNT_OK", seconds - 31)],
  ];
  for (const [expected, body] of cases) {
    const { status, code } = await faces.post("/event", body);
    assert.equal(`${status} ${code}`, expected, JSON.stringify(body));
  }
  test.pass(3 * minute);
  await test.now.upkeep.look();
  assert.deepEqual(test.news().filter((news) => news.startsWith("unlock.unconfirmed")), []);
  // and without a report it is an alarm
  await faces.post("/authorize", authorizing(seconds + 180));
  test.pass(3 * minute);
  await test.now.upkeep.look();
  assert.ok(test.news().includes(`unlock.unconfirmed alarm ${device}`));
});

Deno.test("GET /fragment gives the piece for the token, and expects no report of it", async () => {
  await using faces = await openFaces();
  const { status, fragment } = await faces.get("/fragment", bearer);
  assert.deepEqual([status, fragment], [200, toHex(depositing().piece)]);
  for (
    const authorization of ["", token, "Bearer", `Bearer ${token}x`, `Bearer  ${token}`, "Basic x"]
  ) {
    const { status, code } = await faces.get("/fragment", { authorization });
    assert.deepEqual([status, code], [401, "bad_token"], authorization);
  }
  faces.test.news();
  faces.test.pass(3 * minute);
  await faces.test.now.upkeep.look();
  assert.ok(!faces.test.news().includes(`unlock.unconfirmed alarm ${device}`));
});

Deno.test("GET /status says that the gateway is there", async () => {
  await using faces = await openFaces();
  assert.deepEqual(await faces.get("/status"), { status: "active" });
});

Deno.test("facesOf() claims what the configuration asks for, and nothing by default", () => {
  const claimed = (faces: object) =>
    facesOf({ faces: { authorize: false, devices: {}, ...faces } as never });
  assert.deepEqual(claimed({}), []);
  assert.deepEqual(claimed({ authorize: true }), ["/authorize", "/event", "/status"]);
  assert.deepEqual(claimed({ fragment_token_file: "/x" }), ["/fragment"]);
});

Deno.test("parseSigned() reads its own form or nothing, whatever comes", () => {
  fc.assert(fc.property(fc.json(), fc.boolean(), (text, hasEvent) => {
    const signed = parseSigned(text, { hasEvent });
    if (signed !== null) assert.equal(signed.signature.length, 32);
  }));
  for (const text of ["", "[]", "1", '"x"', '{"dev_id":{"a":1},"ts":1,"sig":"00"}']) {
    assert.equal(parseSigned(text, { hasEvent: false }), null);
  }
});
