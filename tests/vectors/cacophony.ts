/** The cacophony vectors of Noise rev 34: every pattern, cipher and psk placement, byte for byte. */
import { fromHex, toHex } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { Handshake, noiseCipher } from "../../core/trust/session/noise.ts";
import { same } from "./same.ts";

export interface CacophonyVector {
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

/** Replays one vector: both handshakes, then the transport messages. @throws Error on a difference */
export function replayCacophony(suite: Suite, vector: CacophonyVector): void {
  const name = vector.protocol_name;
  const pair = (hex: string | undefined) =>
    hex === undefined ? undefined : suite.x25519.keyPair(fromHex(hex));
  const bytes = (hex: string | undefined) => hex === undefined ? undefined : fromHex(hex);
  const initiator = new Handshake(suite, name, {
    initiator: true,
    prologue: fromHex(vector.init_prologue),
    staticKey: pair(vector.init_static),
    ephemeralKey: pair(vector.init_ephemeral),
    remoteStatic: bytes(vector.init_remote_static),
    psk: bytes(vector.init_psks?.[0]),
  });
  const responder = new Handshake(suite, name, {
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
    same(toHex(written), ciphertext, name);
    same(toHex(reader.readMessage(written)), payload, name);
    [writer, reader] = [reader, writer];
  }
  const ends = { initiator: initiator.split(), responder: responder.split() };
  same(toHex(ends.initiator.hash), vector.handshake_hash, name);
  same(ends.initiator.hash, ends.responder.hash, name);
  same(ends.initiator.sendKey, ends.responder.receiveKey, name);

  const cipher = noiseCipher(suite, name.includes("ChaChaPoly") ? "ChaChaPoly" : "AESGCM");
  const sent = { initiator: 0, responder: 0 };
  const nobody = new Uint8Array(0);
  let turn: "initiator" | "responder" = writer === initiator ? "initiator" : "responder";
  for (const { payload, ciphertext } of messages) {
    const key = ends[turn].sendKey;
    const n = sent[turn]++;
    const sealed = cipher.seal(key, n, nobody, fromHex(payload));
    same(toHex(sealed), ciphertext, name);
    same(cipher.open(key, n, nobody, sealed), fromHex(payload), name);
    turn = turn === "initiator" ? "responder" : "initiator";
  }
}
