/**
 * A meter of the ingest bench: enrolled and with a session by the same handshake as any other. It
 * prepares frames, each beside what the floor needs of it, taken where the product seals and signs.
 */
import { parseId } from "../../core/base/id.ts";
import type { Signer, Suite } from "../../core/trust/crypto.ts";
import { decodeFrame, frameVersion, headerLength } from "../../core/trust/session/frame.ts";
import { Initiator, pskFromCode } from "../../core/trust/session/handshake.ts";
import type { Session } from "../../core/trust/session/session.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { decodeMessage, encodeMessage, type Message } from "../../core/trust/session/call.ts";
import { encodeEnrolRequest } from "../../core/trust/session/call.ts";
import { decodeReceipt, encodeBatch, type Reading, readingsType } from "../../core/wire/reading.ts";
import { nativeVerifyKey, type Sealed, type Signed } from "./_native.ts";
import type { FogSite } from "./_fog_site.ts";

/** A frame that holds one signed batch. */
export interface Prepared {
  readonly frame: Uint8Array;
  readonly sealed: Sealed;
  readonly signed: Signed;
}

export interface Meter {
  /** Frames of one batch each, readings a millisecond apart, the first not before now. */
  prepare(frames: number, readingsPerBatch: number): Prepared[];
  /** @throws Error unless the answer is a receipt that says just this many were stored */
  expectAccepted(answer: Uint8Array | null, readings: number): void;
}

/** Enrols a meter and opens its session. */
export async function openMeter(site: FogSite, name: string): Promise<Meter> {
  const { suite, clock, responder } = site;
  const id = parseId(name);
  const enrolment = await site.peers.enrol("meter", id, { url: "mqtt://bench", ttl: 3_600_000 });
  const tape: Tape = {};
  const signer = tapedSigner(suite.ed25519.signer(), tape);
  const initiator = new Initiator(tapedSuite(suite, tape), {
    hello: { purpose: "meter", site: site.name, device: id, versions: [frameVersion] },
    staticKey: suite.x25519.keyPair(),
    remoteStatic: enrolment.noiseKey,
    psk: pskFromCode(suite, enrolment.code, { site: site.name, device: id }),
    clock,
  });
  const message2 = await responder.receive(initiator.message1);
  const session = initiator.finish(decodeFrame(message2!));
  const enrol = encodeMessage({ kind: "enrol", body: encodeEnrolRequest(signer.publicKey) });
  answerIn(session, await responder.receive(session.seal(enrol)));

  const publicKey = nativeVerifyKey(signer.publicKey);
  let seq = 0, t = 0;
  function reading(): Reading {
    seq++;
    const power_W = 1000 + seq % 500;
    return { seq, t: t++, energy_Wh: seq, power_W, voltage_mV: 230_000 + seq % 999, flags: 0 };
  }

  return {
    prepare(frames, readingsPerBatch) {
      t = Math.max(t, clock());
      return Array.from({ length: frames }, () => {
        const readings = Array.from({ length: readingsPerBatch }, reading);
        const payload = encodeBatch({ meter: id, register: parseId("main"), readings });
        const body = signStatement(suite, signer, readingsType, payload);
        const frame = session.seal(encodeMessage({ kind: "call", body }));
        const cipher = { ...tape.sealing!, ...cut(frame) };
        return { frame, sealed: cipher, signed: { publicKey, ...tape.signing! } };
      });
    },
    expectAccepted(answer, readings) {
      const receipt = decodeReceipt(answerIn(session, answer));
      if (receipt.accepted === readings && receipt.refused.length === 0) return;
      throw new Error(`A batch was not stored: ${JSON.stringify(receipt)}`);
    },
  };
}

/** The body of an answer that belongs to the session and was not seen before. */
function answerIn(session: Session, frame: Uint8Array | null): Uint8Array {
  if (frame === null) throw new Error("A call was not answered");
  const { plaintext, duplicate } = session.open(decodeFrame(frame));
  const message: Message = decodeMessage(plaintext);
  if (message.kind === "answer" && !duplicate) return message.body;
  throw new Error(`A call was refused: ${JSON.stringify(message)}`);
}

/** What went into the latest sealing and the latest signature. */
interface Tape {
  sealing?: Pick<Sealed, "key" | "nonce" | "ad">;
  signing?: Pick<Signed, "message" | "signature">;
}

function tapedSuite(suite: Suite, tape: Tape): Suite {
  const { open, seal } = suite.chacha20poly1305;
  return {
    ...suite,
    chacha20poly1305: {
      open,
      seal(key, nonce, ad, plaintext) {
        // copies: the session may use its buffers again, and overwrites keys that it has done with
        tape.sealing = { key: key.slice(), nonce: nonce.slice(), ad: ad.slice() };
        return seal(key, nonce, ad, plaintext);
      },
    },
  };
}

function tapedSigner(signer: Signer, tape: Tape): Signer {
  return {
    ...signer,
    sign(message) {
      const signature = signer.sign(message);
      tape.signing = { message, signature };
      return signature;
    },
  };
}

function cut(frame: Uint8Array): Pick<Sealed, "ciphertext" | "tag"> {
  return { ciphertext: frame.subarray(headerLength, -16), tag: frame.subarray(-16) };
}
