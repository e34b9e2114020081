/**
 * What v1.json is made from, and a second implementation of profile v1 that makes it: straight from
 * protocols.md §4 over node:crypto, line by line, sharing nothing with core/trust/legacy. Outcomes
 * are written down here by hand. Secrets are SHA-256 of their own description.
 */
import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from "node:crypto";
import type { LegacyVector } from "./v1.ts";

const plainLabel = "esp32-dashboard-hmac-key";
const otherLabel = "esp32-dashboard-hmac-key-v1";
const device_id = "esp32_a";
const nothing = "00".repeat(32);
const half = 2 ** 31;
const start = 1_800_000_000;

export function makeLegacyVectors(): LegacyVector[] {
  return [
    vectorOf("with a psk", { hmac_label: plainLabel, hasPsk: true }),
    vectorOf("with a psk and the other label", { hmac_label: otherLabel, hasPsk: true }),
    vectorOf("without a psk", { hmac_label: plainLabel, hasPsk: false }),
  ];
}

function vectorOf(name: string, options: { hmac_label: string; hasPsk: boolean }): LegacyVector {
  const { hmac_label, hasPsk } = options;
  const device = pairOf(`${name}, device`);
  const gateway = pairOf(`${name}, gateway`);

  const code = hash(`edgeward v1.json: ${name}, code`).subarray(0, 16);
  const psk = code.toString("base64url");
  const prove = (pubkey: string, id = device_id) =>
    createHmac("sha256", hash(psk)).update(id + pubkey).digest("hex");
  const psk_proof = hasPsk ? prove(device.publicKey) : null;
  const connect = hasPsk
    ? `{"device_id":"${device_id}","pubkey":"${device.publicKey}","psk_proof":"${psk_proof}"}`
    : `{"device_id":"${device_id}","pubkey":"${device.publicKey}"}`;
  const approve = `{"status":"approved","pubkey":"${gateway.publicKey}"}`;

  const shared = diffieHellman({
    privateKey: device.key,
    publicKey: createPublicKey({
      key: Buffer.from(`302a300506032b656e032100${gateway.publicKey}`, "hex"),
      format: "der",
      type: "spki",
    }),
  });
  const hmac_key = createHmac("sha256", hmac_label).update(shared).digest();
  const enc_key = createHmac("sha256", "esp32-dashboard-enc-key").update(shared).digest();
  const keys = { hmac_key, enc_key };
  const unused = hmac_label === plainLabel ? otherLabel : plainLabel;
  const unusedKey = createHmac("sha256", unused).update(shared).digest();

  const up =
    '{"jsonrpc":"2.0","method":"sensor.read","id":"a-1","params":{"room":"Küche","n":[1,2.5]}';
  const messages = [
    messageOf("device", keys, {
      counter: 1,
      seconds: start,
      rpc: up,
      method: "sensor.read",
      id: "a-1",
    }),
    messageOf("gateway", keys, {
      ...{ counter: half, seconds: start + 1, id: "a-1" },
      rpc: '{"jsonrpc":"2.0","id":"a-1","result":{"celsius":21.5,"note":"𝄞 \\"ok\\""}',
    }),
    messageOf("gateway", keys, {
      ...{ counter: half + 1, seconds: start + 1, method: "relay.set", id: 7 },
      rpc: '{"jsonrpc":"2.0","method":"relay.set","id":7,"params":[1,true,null]',
    }),
    messageOf("device", keys, {
      ...{ counter: 2, seconds: start + 2, id: 7 },
      rpc:
        '{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"stuck","data":{"code":"stuck"}}',
    }),
    messageOf("device", keys, {
      ...{ counter: half - 1, seconds: 2 ** 32 + 5, method: "ping", id: 2 ** 53 - 1 },
      rpc: '{"jsonrpc":"2.0","method":"ping","id":9007199254740991',
    }),
    messageOf("gateway", keys, {
      ...{ counter: 2 * half - 1, seconds: 0, id: 2 ** 53 - 1 },
      rpc: '{"jsonrpc":"2.0","id":9007199254740991,"result":null',
    }),
  ] as const;
  const [read, celsius, relay, stuck, last, lastAnswer] = messages.map(({ message }) =>
    message
  ) as [
    ...[string, string, string, string, string, string],
  ];

  /** A message of the device's that verifies in every way but the one that the changes say. */
  const wrong = (changes: Partial<Draft>, used: Keys = keys) =>
    messageOf("device", used, {
      ...{ counter: 3, seconds: start + 3, method: "ping", id: "b" },
      rpc: '{"jsonrpc":"2.0","method":"ping","id":"b"',
      ...changes,
    }).message;
  const rpc = (text: string, parts: Partial<Draft> = {}) => wrong({ rpc: text, ...parts });
  const ping = '{"jsonrpc":"2.0","method":"ping"';
  const next = wrong({});

  const up_ = (note: string, message: string, outcome: string) =>
    ({ note, to: "gateway", message, outcome }) as const;
  const down = (note: string, message: string, outcome: string) =>
    ({ note, to: "device", message, outcome }) as const;
  const deliveries = [
    up_(
      "before anything was received: a wrong HMAC",
      wrong({}, { ...keys, hmac_key: enc_key }),
      "wrong_hmac",
    ),
    up_("the first", read, "fresh"),
    up_("the first again, byte for byte", read, "duplicate"),
    up_("its counter with another id", wrong({ counter: 1 }), "replayed"),
    up_("its counter with another second", wrong({ counter: 1, seconds: start }), "replayed"),
    up_("the second: a response", stuck, "fresh"),
    up_("the first once more, no longer the last", read, "duplicate"),
    up_("the gateway's own message", celsius, "wrong_half"),
    up_("counter 0", wrong({ counter: 0 }), "wrong_half"),
    up_("the first counter of the other half", wrong({ counter: half }), "wrong_half"),
    up_(
      "the label that was not used first",
      wrong({}, { ...keys, hmac_key: unusedKey }),
      "wrong_hmac",
    ),
    up_("the HMAC of another method", wrong({ method: "pong" }), "wrong_hmac"),
    up_("the HMAC of a response", wrong({ method: "" }), "wrong_hmac"),
    up_("the HMAC of another id", wrong({ id: "c" }), "wrong_hmac"),
    up_("another key", wrong({}, { ...keys, enc_key: hmac_key }), "forged"),
    up_("another device's AAD", wrong({ aad: "esp32_b" }), "forged"),
    up_("another device", next.replace(device_id, "esp32_b"), "wrong_device"),
    up_("no device", next.replace(device_id, "esp32/a"), "malformed"),
    up_(
      "another nonce inside",
      wrong({ innerNonce: "0000000400000000" + "6b49d203" }),
      "mismatched",
    ),
    up_(
      "the nonce inside in upper case",
      wrong({ seconds: 0xabcdef, upperCase: true }),
      "mismatched",
    ),
    up_("another second inside", wrong({ innerTimestamp: `${start + 4}` }), "mismatched"),
    up_("the second as a fraction", wrong({ innerTimestamp: `${start + 3}.0` }), "malformed"),
    up_("the second as text", wrong({ innerTimestamp: `"${start + 3}"` }), "malformed"),
    up_("a second above 2^53 - 1", wrong({ seconds: 2 ** 53 }), "malformed"),
    up_("no JSON inside", rpc("ping"), "malformed"),
    up_("a member twice", rpc(`${ping},"id":"b","id":"b"`), "malformed"),
    up_("a member twice, once escaped", rpc(`${ping},"id":"b","i\\u0064":"b"`), "malformed"),
    up_("__proto__", rpc(`${ping},"id":"b","params":{"__proto__":{"a":1}}`), "malformed"),
    up_(
      "17 levels",
      rpc(`${ping},"id":"b","params":${"[".repeat(16)}${"]".repeat(16)}`),
      "malformed",
    ),
    up_("a whole number of 2^53", rpc(`${ping},"id":"b","params":[9007199254740992]`), "malformed"),
    up_("a number without end", rpc(`${ping},"id":"b","params":[1e999]`), "malformed"),
    up_("half a character", rpc(`${ping},"id":"b","params":["\\ud834"]`), "malformed"),
    up_("an unknown member inside", rpc(`${ping},"id":"b","extra":1`), "malformed"),
    up_("no id", rpc(ping), "malformed"),
    up_("an id that is null", rpc(`${ping},"id":null`, { id: "null" }), "malformed"),
    up_("an id with a line feed", rpc(`${ping},"id":"b\\nc"`, { id: "b\nc" }), "malformed"),
    up_("an empty id", rpc(`${ping},"id":""`, { id: "" }), "malformed"),
    up_("an id below 0", rpc(`${ping},"id":-1`, { id: -1 }), "malformed"),
    up_("an id that is not decimal", rpc(`${ping},"id":1e0`, { id: 1 }), "malformed"),
    up_(
      "a method with a line feed",
      rpc(String.raw`{"jsonrpc":"2.0","method":"a\nb","id":"b"`, { method: "a\nb" }),
      "malformed",
    ),
    up_(
      "an empty method",
      rpc('{"jsonrpc":"2.0","method":"","id":"b"', { method: "" }),
      "malformed",
    ),
    up_("params that are no structure", rpc(`${ping},"id":"b","params":1`), "malformed"),
    up_("another version", rpc('{"jsonrpc":"1.0","method":"ping","id":"b"'), "malformed"),
    up_(
      "a result and an error",
      rpc('{"jsonrpc":"2.0","id":"b","result":1,"error":{"code":1,"message":""}', { method: "" }),
      "malformed",
    ),
    up_(
      "an error without a code",
      rpc('{"jsonrpc":"2.0","id":"b","error":{"message":""}', { method: "" }),
      "malformed",
    ),
    up_("a space before it", ` ${next}`, "malformed"),
    up_("something behind it", `${next}{}`, "malformed"),
    up_("an unknown member", next.replace("}", ',"extra":""}'), "malformed"),
    up_("a member missing", next.replace(/,"hmac":"\w+"/, ""), "malformed"),
    up_("a member twice outside", next.replace("{", `{"device_id":"${device_id}",`), "malformed"),
    up_("hexadecimal in upper case", upperOf(next), "malformed"),
    up_("a nonce of 11 bytes", next.replace('"nonce":"00', '"nonce":"'), "malformed"),
    up_("a ciphertext of 15 bytes", next.replace(/("ciphertext":"\w{30})\w*/, "$1"), "malformed"),
    up_("a ciphertext of 16 bytes", next.replace(/("ciphertext":"\w{32})\w*/, "$1"), "forged"),
    up_("a truncated HMAC", next.replace(/(\w\w)"}$/, '"}'), "malformed"),
    up_("none of these left a trace", next, "fresh"),
    up_("the last counter of the device", last, "fresh"),
    up_("what was passed", next, "duplicate"),
    up_("what was passed and never came", wrong({ counter: 4 }), "replayed"),
    down("the device's own message", read, "wrong_half"),
    down("the second overtakes the first", relay, "fresh"),
    down("the first, overtaken", celsius, "replayed"),
    down("the last counter of the gateway", lastAnswer, "fresh"),
    down("the second again", relay, "duplicate"),
  ];

  const proven = (pubkey: string) =>
    `{"device_id":"${device_id}","pubkey":"${pubkey}","psk_proof":"${prove(pubkey)}"}`;
  const good = proven(device.publicKey);
  return {
    name,
    ...{ device_id, code: hasPsk ? code.toString("hex") : null, psk: hasPsk ? psk : null },
    device_secret: device.secret,
    device_public: device.publicKey,
    gateway_secret: gateway.secret,
    gateway_public: gateway.publicKey,
    ...{ psk_proof, connect, approve, shared: shared.toString("hex"), hmac_label },
    hmac_key: hmac_key.toString("hex"),
    enc_key: enc_key.toString("hex"),
    messages,
    deliveries: hasPsk ? deliveries : deliveries.filter(({ to }) => to === "device"),
    connects: !hasPsk ? [{ note: "no proof", connect, outcome: "unproven" }] : [
      { note: "proven", connect: good, outcome: "none" },
      { note: "the same again", connect: good, outcome: "none" },
      { note: "white space", connect: good.replaceAll(",", " ,\n"), outcome: "none" },
      { note: "no proof", connect: good.replace(/,"psk_proof":"\w+"/, ""), outcome: "unproven" },
      {
        note: "another key's proof",
        connect: good.replace(device.publicKey, gateway.publicKey),
        outcome: "unproven",
      },
      {
        note: "another device's proof",
        connect: good.replace(/\w{64}"}/, `${prove(device.publicKey, "esp32_b")}"}`),
        outcome: "unproven",
      },
      {
        note: "another device",
        connect: good.replace(device_id, "esp32_b"),
        outcome: "wrong_device",
      },
      { note: "a wildcard", connect: good.replace(device_id, "#"), outcome: "malformed" },
      { note: "a key of low order", connect: proven(nothing), outcome: "low_order" },
      {
        note: "another key of low order",
        connect: proven(`01${nothing.slice(2)}`),
        outcome: "low_order",
      },
      {
        note: "a key of 31 bytes",
        connect: proven(device.publicKey.slice(2)),
        outcome: "malformed",
      },
      {
        note: "a digit moved from the key to the id",
        connect: good.replace(
          `","pubkey":"${device.publicKey[0]}`,
          `${device.publicKey[0]}","pubkey":"`,
        ),
        outcome: "malformed",
      },
      {
        note: "a key in upper case",
        connect: proven(device.publicKey.toUpperCase()),
        outcome: "malformed",
      },
      {
        note: "an unknown member",
        connect: good.replace("}", ',"name":"x"}'),
        outcome: "malformed",
      },
      {
        note: "a member twice",
        connect: good.replace("{", `{"device_id":"${device_id}",`),
        outcome: "malformed",
      },
      { note: "__proto__", connect: good.replace("}", ',"__proto__":null}'), outcome: "malformed" },
      {
        note: "more than 1 KiB",
        connect: good.replace("{", `{${" ".repeat(1024)}`),
        outcome: "malformed",
      },
    ],
    approves: [
      {
        note: "a key of low order",
        approve: approve.replace(gateway.publicKey, nothing),
        outcome: "low_order",
      },
      {
        note: "another status",
        approve: approve.replace("approved", "denied"),
        outcome: "malformed",
      },
      {
        note: "an unknown member",
        approve: approve.replace("}", ',"device_id":"x"}'),
        outcome: "malformed",
      },
      {
        note: "a key in upper case",
        approve: approve.replace(gateway.publicKey, gateway.publicKey.toUpperCase()),
        outcome: "malformed",
      },
      { note: "the gateway's", approve, outcome: "none" },
      { note: "the same again", approve, outcome: "not_connecting" },
    ],
  };
}

interface Keys {
  readonly hmac_key: Buffer;
  readonly enc_key: Buffer;
}

interface Draft {
  readonly counter: number;
  readonly seconds: number;
  /** Of the signed text; a response has none. */
  readonly method?: string;
  readonly id: string | number;
  /** JSON-RPC without its end, where nonce and timestamp follow. */
  readonly rpc: string;
  readonly aad?: string;
  readonly innerNonce?: string;
  readonly innerTimestamp?: string;
  readonly upperCase?: boolean;
}

function messageOf(from: "device" | "gateway", { hmac_key, enc_key }: Keys, draft: Draft) {
  const { counter, seconds, id, rpc, method = "" } = draft;
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(counter, 0);
  bytes.writeBigUInt64BE(BigInt(seconds), 4);
  const nonce = bytes.toString("hex");
  const innerNonce = draft.upperCase ? nonce.toUpperCase() : draft.innerNonce ?? nonce;
  const timestamp = draft.innerTimestamp ?? `${seconds}`;
  const plaintext = `${rpc},"nonce":"${innerNonce}","timestamp":${timestamp}}`;
  const cipher = createCipheriv("chacha20-poly1305", enc_key, bytes, { authTagLength: 16 });
  cipher.setAAD(Buffer.from(draft.aad ?? device_id), {
    plaintextLength: Buffer.byteLength(plaintext),
  });
  const sealed = [cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()];
  const ciphertext = Buffer.concat(sealed).toString("hex");
  const signed = `${device_id}\n${method}\n${id}\n${nonce}\n${seconds}`;
  const hmac = createHmac("sha256", hmac_key).update(signed).digest("hex");
  const message = `{"device_id":"${device_id}","nonce":"${nonce}",` +
    `"ciphertext":"${ciphertext}","hmac":"${hmac}"}`;
  return { from, counter, seconds, rpc: `${rpc}}`, plaintext, signed, message };
}

function pairOf(what: string) {
  const secret = hash(`edgeward v1.json: ${what}`).toString("hex");
  const key = createPrivateKey({
    key: Buffer.from(`302e020100300506032b656e04220420${secret}`, "hex"),
    format: "der",
    type: "pkcs8",
  });
  const spki = createPublicKey(key as unknown as string).export({ format: "der", type: "spki" });
  return { key, secret, publicKey: spki.subarray(-32).toString("hex") };
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The HMAC's digits. */
function upperOf(message: string): string {
  return message.replace(/\w{64}"}$/, (digits) => digits.toUpperCase());
}
