/** Messages and connects on the wire: what anybody between the two sides can change in them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isZero, utf8 } from "../../base/bytes.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import {
  connectLimit,
  decodeApprove,
  decodeConnect,
  encodeApprove,
  encodeConnect,
  proofOf,
  pskOfCode,
} from "./connect.ts";
import { agree, wipeKeys } from "./keys.ts";
import { decodeEnvelope, type Draft, messageLimit, openMessage, sealMessage } from "./message.ts";
import { rpcLimit } from "./rpc.ts";
import { call, device, open, pairOf } from "./_test_pair.ts";

const suite = nativeSuite();
const [own, peer] = [suite.x25519.keyPair(), suite.x25519.keyPair()];
const keys = agree(suite, own, peer.publicKey);
const sealing = { cipher: keys.cipher, hmac: keys.hmac[0]! };
const rpc = { kind: "request", method: "ping", id: "a" } as const;

Deno.test("a message with any one byte changed is refused, whatever it is changed to", () => {
  const pair = pairOf(suite);
  const message = call(pair.device, "a", { on: "off" });
  for (let at = 0; at < message.length; at++) {
    for (let mask = 1; mask < 256; mask++) {
      const altered = message.slice();
      altered[at]! ^= mask;
      const refused = /^(malformed|forged|wrong_hmac|wrong_half|wrong_device)$/;
      assert.throws(() => open(pair.gateway, altered), { code: refused }, `${at} ^ ${mask}`);
    }
  }
  assert.equal(open(pair.gateway, message).kind, "fresh");
});

Deno.test("a connect with any one byte changed is refused or has no proof", () => {
  const { gateway } = pairOf(suite);
  const psk = pskOfCode(suite, new Uint8Array(16));
  const proof = proofOf(suite, psk, { device, publicKey: own.publicKey });
  const connect = encodeConnect({ device, publicKey: own.publicKey, proof });
  for (let at = 0; at < connect.length; at++) {
    for (const mask of [0x01, 0x02, 0x10, 0x20, 0x80, 0xff]) {
      const altered = connect.slice();
      altered[at]! ^= mask;
      assert.throws(() => gateway.approve(decodeConnect(altered), psk), {
        code: /^(malformed|unproven|wrong_device)$/,
      });
    }
  }
  gateway.approve(decodeConnect(connect), psk);
});

Deno.test("decoders take what encoders made, up to their limits, and throw only LegacyError", () => {
  const [approve, connect] = [
    encodeApprove(own.publicKey),
    encodeConnect({ device, publicKey: own.publicKey, proof: null }),
  ];
  assert.deepEqual(decodeApprove(approve), own.publicKey);
  assert.deepEqual(decodeConnect(connect), { device, publicKey: own.publicKey, proof: null });
  for (const [decode, bytes] of [[decodeConnect, connect], [decodeApprove, approve]] as const) {
    const padded = new Uint8Array(connectLimit).fill(0x20);
    padded.set(bytes);
    decode(padded);
    assert.throws(() => decode(Uint8Array.of(...padded, 0x20)), { code: "malformed" });
  }
  const spoiled = fc.tuple(fc.constantFrom(approve, connect), fc.nat(), fc.string());
  fc.assert(fc.property(spoiled, ([bytes, at, text]) => {
    const cut = bytes.subarray(0, at % bytes.length);
    for (const decode of [decodeConnect, decodeApprove, decodeEnvelope]) {
      for (const input of [cut, utf8(text), Uint8Array.of(...cut, ...utf8(text))]) {
        assert.throws(() => decode(input), { name: "LegacyError", code: "malformed" });
      }
    }
  }));
});

Deno.test("the longest message that can be sealed can be opened", () => {
  const long = (length: number): Draft => ({
    device: "x".repeat(64) as typeof device,
    ...{ counter: 2 ** 32 - 1, seconds: Number.MAX_SAFE_INTEGER },
    rpc: { ...rpc, params: ["x".repeat(length)] },
  });
  let length = rpcLimit - 200;
  for (;; length++) {
    try {
      sealMessage(suite, sealing, long(length + 1));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "too_large");
      break;
    }
  }
  const sealed = sealMessage(suite, sealing, long(length));
  assert.ok(sealed.length <= messageLimit);
  assert.notEqual(openMessage(suite, keys, decodeEnvelope(sealed)), null);
  const padded = new Uint8Array(messageLimit + 1).fill(0x20);
  padded.set(sealed);
  decodeEnvelope(padded.subarray(0, messageLimit));
  assert.throws(() => decodeEnvelope(padded), { code: "malformed" });
});

Deno.test("agree() leaves nothing of the shared secret, and wipeKeys() nothing of the keys", () => {
  const shared = new Uint8Array(32).fill(7);
  const agreed = agree(suite, { ...own, sharedSecret: () => shared }, peer.publicKey);
  assert.ok(isZero(shared));
  wipeKeys(agreed);
  assert.ok([agreed.cipher, ...agreed.hmac.map(({ key }) => key)].every(isZero));
});

Deno.test("openMessage() tells under which label the sender has signed", () => {
  for (const hmac of keys.hmac) {
    const draft = { device, counter: 1, seconds: 0, rpc };
    const envelope = decodeEnvelope(sealMessage(suite, { cipher: keys.cipher, hmac }, draft));
    assert.deepEqual(openMessage(suite, keys, envelope), { rpc, label: hmac.label });
  }
});
