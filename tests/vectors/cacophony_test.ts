/** The cacophony vectors of Noise rev 34: every pattern, cipher and psk placement, byte for byte. */
import assert from "node:assert/strict";
import { fromHex, toHex } from "../../core/base/bytes.ts";
import { Handshake, noiseCipher } from "../../core/trust/session/noise.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { missing, readVectors } from "./_read.ts";
import { suites } from "./suites.ts";

interface Vector {
  protocol_name: string;
  init_prologue: string;
  init_static?: string;
  init_ephemeral: string;
  init_remote_static?: string;
  init_psks?: string[];
  resp_prologue: string;
  resp_static?: string;
  resp_ephemeral: string;
  resp_psks?: string[];
  handshake_hash: string;
  messages: { payload: string; ciphertext: string }[];
}

for (const suite of suites) {
  Deno.test({
    name: `Handshake reproduces the cacophony vectors (${suite.name})`,
    ignore: missing,
    fn() {
      const { vectors } = readVectors<{ vectors: Vector[] }>("noise/cacophony.json");
      assert.equal(vectors.length, 18);
      for (const vector of vectors) replay(suite, vector);
    },
  });
}

function replay(suite: Suite, vector: Vector): void {
  const pair = (hex: string | undefined) =>
    hex === undefined ? undefined : suite.x25519.keyPair(fromHex(hex));
  const bytes = (hex: string | undefined) => hex === undefined ? undefined : fromHex(hex);
  const initiator = new Handshake(suite, vector.protocol_name, {
    initiator: true,
    prologue: fromHex(vector.init_prologue),
    staticKey: pair(vector.init_static),
    ephemeralKey: pair(vector.init_ephemeral),
    remoteStatic: bytes(vector.init_remote_static),
    psk: bytes(vector.init_psks?.[0]),
  });
  const responder = new Handshake(suite, vector.protocol_name, {
    initiator: false,
    prologue: fromHex(vector.resp_prologue),
    staticKey: pair(vector.resp_static),
    ephemeralKey: pair(vector.resp_ephemeral),
    psk: bytes(vector.resp_psks?.[0]),
  });
  const messages = [...vector.messages];
  let [writer, reader] = [initiator, responder];
  while (!initiator.finished || !responder.finished) {
    const { payload, ciphertext } = messages.shift()!;
    const written = writer.writeMessage(fromHex(payload));
    assert.equal(toHex(written), ciphertext, vector.protocol_name);
    assert.equal(toHex(reader.readMessage(written)), payload, vector.protocol_name);
    [writer, reader] = [reader, writer];
  }
  const ends = { initiator: initiator.split(), responder: responder.split() };
  assert.equal(toHex(ends.initiator.hash), vector.handshake_hash, vector.protocol_name);
  assert.deepEqual(ends.initiator.hash, ends.responder.hash);
  assert.deepEqual(ends.initiator.sendKey, ends.responder.receiveKey);

  const cipher = noiseCipher(
    suite,
    vector.protocol_name.includes("ChaChaPoly") ? "ChaChaPoly" : "AESGCM",
  );
  const sent = { initiator: 0, responder: 0 };
  const nobody = new Uint8Array(0);
  let turn: "initiator" | "responder" = writer === initiator ? "initiator" : "responder";
  for (const { payload, ciphertext } of messages) {
    const key = ends[turn].sendKey;
    const n = sent[turn]++;
    const sealed = cipher.seal(key, n, nobody, fromHex(payload));
    assert.equal(toHex(sealed), ciphertext, vector.protocol_name);
    assert.equal(toHex(cipher.open(key, n, nobody, sealed)!), payload);
    turn = turn === "initiator" ? "responder" : "initiator";
  }
}
