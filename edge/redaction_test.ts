/** The last net: every form of a secret, wherever it is, and whatever the value does to whoever looks. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Secret } from "../core/base/secret.ts";
import { redacted, redactedText } from "./redaction.ts";

/** What must not be seen in any text that holds it; in some forms, around what may be seen. */
const planted = "Zq9_wX-4hunter2hunter2";
const long = "Zq9_wX-4hunter2hunter2hunter2hunter2hunter2";

const texts: Readonly<Record<string, string>> = {
  "an API token": `the token edgeward_AbCd1234_${long} was refused`,
  "an API token cut off": `edgeward_AbCd1234_${long.slice(0, 10)}`,
  "a private key": `-----BEGIN PRIVATE KEY-----\n${planted}\n${planted}\n-----END PRIVATE KEY-----`,
  "a private key of a kind":
    `x\n-----BEGIN EC PRIVATE KEY-----\n${planted}\n-----END EC PRIVATE KEY-----`,
  "a private key cut off": `-----BEGIN PRIVATE KEY-----\n${planted}`,
  "a private key in JSON": JSON.stringify({ pem: `-----BEGIN PRIVATE KEY-----\n${planted}` }),
  "an enrolment": JSON.stringify({ code: planted, site: "cloud", noise_key: long }),
  "an enrolment, indented": JSON.stringify({ code: planted, site: "cloud" }, null, 2),
  "an enrolment inside JSON": JSON.stringify({ body: JSON.stringify({ code: planted }) }),
  "an enrolment twice inside JSON": JSON.stringify(
    JSON.stringify(JSON.stringify({ code: planted })),
  ),
  "an enrolment cut off": `{"code":"${planted}`,
  "an enrolment as the runtime prints it": Deno.inspect({ code: planted, site: "cloud" }),
  "an identity": JSON.stringify({ version: 1, noise: long, sign: long, seal: long }),
  "an identity with versions": JSON.stringify({ seal: [{ version: 1, key: long }] }),
  "a password in TOML": `password = "${planted}"`,
  "a password in a query": `GET /x?a=1&password=${planted}&b=2`,
  "a token in a query": `GET /x?access_token=${planted}`,
  "a password in a URL": `mqtt://edgeward:${planted}@broker.example:1883/`,
  "a password with an at sign in a URL": `postgres://edgeward:p@${planted}@db.example/x`,
  "a user name in a URL": `https://${planted}@db.example/x`,
  "a bearer": `Authorization: Bearer ${planted}`,
  "a basic login": `authorization: Basic ${btoa(`user:${planted}`)}`,
  "a web token": `eyJhbGciOiJFZERTQSJ9.${btoa(planted).replaceAll("=", "")}.${long}`,
  "a bot token": `https://api.telegram.org/bot123456789:${long}/getMe`,
};

for (const [what, text] of Object.entries(texts)) {
  Deno.test(`redactedText() takes out ${what}`, () => {
    const safe = redactedText(text);
    assert.match(safe, /\[redacted\]/);
    for (
      const secret of [planted, long, long.slice(0, 10), btoa(`user:${planted}`), btoa(planted)]
    ) {
      assert.ok(!safe.includes(secret.replaceAll("=", "")), safe);
    }
  });
}

Deno.test("redactedText() leaves what only looks a little like it", () => {
  const harmless = [
    'the answer was {"code":"db_full","detail":"the disk is full"}',
    "exit code=1, error code=404",
    "Basic configuration: send `Authorization: Bearer TOKEN`",
    "mqtt://broker.example:1883, mail to a@b.example",
    "tok_1 edgeward_site the_password_file is missing: passed",
    'password_file = "/run/credentials/edgeward.service/mqtt"',
    "2026-08-01T00:00:00.000Z 127.0.0.1:65535 [::1]:8080",
    "fingerprint 3f9a-77c2-1d0e-55aa-0b1c-9e8d-4411-aa02",
    "noise_key is public",
    'a line is key = "text", key = 5 or [table]',
  ];
  for (const text of harmless) assert.equal(redactedText(text), text);
});

Deno.test("redacted() hides fields by their names, at every depth", () => {
  const names = [
    ...["password", "passphrase", "brokerPassword", "client_secret", "token", "apiToken", "psk"],
    ...["code", "key", "private_key", "sealingKey", "authorization", "set-cookie", "seed", "seal"],
  ];
  for (const name of names) {
    for (const value of [planted, [planted], { deep: planted }, new Map([[1, planted]])]) {
      const holder = { a: [{ b: { [name]: value, fine: 1 } }] };
      assert.deepEqual(redacted(holder), { a: [{ b: { [name]: "[redacted]", fine: 1 } }] }, name);
      assert.equal(redacted(value, name), "[redacted]");
    }
  }
  const harmless = {
    code: "db_full",
    token_count: 3,
    passed: true,
    psk: null,
    keys: ["http.listen"],
  };
  assert.deepEqual(redacted(harmless), harmless);
});

Deno.test("redacted() gives errors as what they say, without causes, stacks and fields", () => {
  const cause = new Error(`params: ${planted}`);
  const error = Object.assign(new TypeError(`{"code":"${planted}"}`, { cause }), {
    params: [planted],
  });
  assert.equal(redacted(error), 'TypeError: {"code":"[redacted]"}');
  assert.deepEqual(redacted({ error: new AggregateError([cause], "several") }), {
    error: "AggregateError: several",
  });
});

Deno.test("redacted() shows no bytes and no Secret", () => {
  const value = {
    bytes: new Uint8Array([104, 117, 110, 116]),
    buffer: new ArrayBuffer(16),
    view: new DataView(new ArrayBuffer(8)),
    wrapped: new Secret(planted),
  };
  assert.deepEqual(redacted(value), {
    ...{ bytes: "[4 bytes]", buffer: "[16 bytes]", view: "[8 bytes]", wrapped: "[redacted]" },
  });
});

Deno.test("redacted() makes plain data of whatever it is given", () => {
  const value = {
    big: 2n ** 70n,
    odd: [NaN, -Infinity, undefined, null, Symbol("x"), () => planted],
    date: new Date(0),
    noDate: new Date(NaN),
    map: new Map<unknown, unknown>([["a", 1], [2, new Set([3n])]]),
    url: new URL("mqtt://broker.example"),
    empty: Object.create(null),
  };
  assert.deepEqual(redacted(value), {
    big: "1180591620717411303424",
    odd: ["NaN", "-Infinity", null, null, "[symbol]", "[function]"],
    date: "1970-01-01T00:00:00.000Z",
    noDate: null,
    map: { a: 1, 2: ["3"] },
    url: "mqtt://broker.example",
    empty: {},
  });
});

Deno.test("redacted() survives objects that run in circles or fail when looked at", () => {
  const circle: Record<string, unknown> = { a: 1 };
  circle["self"] = { circle };
  assert.deepEqual(redacted(circle), { a: 1, self: { circle: "[circular]" } });
  const shared = { x: 1 };
  assert.deepEqual(redacted([shared, shared]), [{ x: 1 }, { x: 1 }]);
  const hostile = {
    get bad() {
      throw new Error(planted);
    },
    good: 1,
    json: { toJSON: () => assert.fail(planted) },
    proxy: new Proxy({}, { ownKeys: () => assert.fail(planted) }),
    endless: { toJSON: () => ({ toJSON: () => hostile }) },
  };
  assert.deepEqual(redacted(hostile), {
    bad: "[unreadable]",
    good: 1,
    json: "[unreadable]",
    proxy: "[unreadable]",
    endless: "[circular]",
  });
});

Deno.test("redacted() takes a bounded piece of whatever is huge", () => {
  const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => ({ inner }), planted);
  const huge: unknown[] = [
    "x".repeat(1e7),
    Array.from({ length: 1e5 }, (_, i) => i),
    Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`k${i}`, i])),
    Array.from({ length: 50 }, () => Array.from({ length: 50 }, () => "x".repeat(5_000))),
    deep,
  ];
  for (const value of huge) {
    assert.ok(JSON.stringify(redacted({ value })).length < 40_000);
  }
  assert.match(String(redacted("x".repeat(5_000))), /^x{2000}… \(3000 more characters\)$/);
  assert.match(JSON.stringify(redacted(deep)), /too deep/);
});

Deno.test("redacted() never lets a secret through and never fails, whatever is around it", () => {
  const secret = fc.constantFrom(...Object.values(texts));
  const tree = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      secret,
      fc.string(),
      fc.bigInt(),
      fc.array(tie("tree")),
      fc.dictionary(fc.string(), tie("tree")),
      secret.map((text) => new Error(text, { cause: text })),
      fc.dictionary(secret, fc.integer()),
      fc.tuple(fc.string(), secret).map(([before, text]) => `${before} ${text}`),
    ),
  })).tree;
  fc.assert(fc.property(tree, (value) => {
    const text = JSON.stringify(redacted(value));
    assert.ok(!text.includes(planted) && !text.includes(btoa(`user:${planted}`)), text);
  }));
});
