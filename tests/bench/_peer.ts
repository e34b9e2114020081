/**
 * A peer of the benches: enrolled and with a session by the same handshake as any other. It prepares
 * frames, each beside what the floor needs of it, taken where the product seals and signs.
 */
import { type Id, parseId } from "../../core/base/id.ts";
import type { Signer, Suite } from "../../core/trust/crypto.ts";
import { decodeFrame, frameVersion, headerLength } from "../../core/trust/session/frame.ts";
import { Initiator, pskFromCode } from "../../core/trust/session/handshake.ts";
import type { Purpose } from "../../core/trust/session/hello.ts";
import type { Session } from "../../core/trust/session/session.ts";
import { type ContentType, signStatement } from "../../core/trust/statement.ts";
import { decodeMessage, encodeMessage, type Message } from "../../core/trust/session/call.ts";
import { encodeEnrolRequest } from "../../core/trust/session/call.ts";
import type { PeerKind } from "../../core/wire/peer.ts";
import { nativeVerifyKey, type Sealed, type Signed } from "./_native.ts";
import type { RoleSite } from "./_role_site.ts";

/** A frame that holds a call, and the signatures in it. */
export interface Prepared {
  readonly frame: Uint8Array;
  readonly sealed: Sealed;
  readonly signed: readonly Signed[];
}

export interface BenchPeer {
  readonly id: Id;
  readonly suite: Suite;
  /** Signs a statement; the signature is one of those in the next frame. */
  sign(type: ContentType, payload: Uint8Array): Uint8Array;
  /** Seals a call. */
  prepare(body: Uint8Array): Prepared;
  /** The body of an answer. @throws Error when there is none, or a refusal */
  read(answer: Uint8Array | null): Uint8Array;
}

/** Enrols a peer and opens its session. */
export async function openPeer(
  site: RoleSite,
  { kind, purpose, name }: { kind: PeerKind; purpose: Purpose; name: string },
): Promise<BenchPeer> {
  const { suite, clock } = site;
  const responder = site.responderOf(purpose);
  const id = parseId(name);
  const enrolment = await site.peers.enrol(kind, id, { url: "mqtt://bench", ttl: 3_600_000 });
  const tape: Tape = { signed: [] };
  const signer = tapedSigner(suite.ed25519.signer(), tape);
  const initiator = new Initiator(tapedSuite(suite, tape), {
    hello: { purpose, site: site.name, device: id, versions: [frameVersion] },
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
  return {
    id,
    suite,
    sign: (type, payload) => signStatement(suite, signer, type, payload),
    prepare(body) {
      const frame = session.seal(encodeMessage({ kind: "call", body }));
      const signed = tape.signed.splice(0).map((one) => ({ publicKey, ...one }));
      return { frame, sealed: { ...tape.sealing!, ...cut(frame) }, signed };
    },
    read: (answer) => answerIn(session, answer),
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

/** What went into the latest sealing, and the signatures since the latest frame. */
interface Tape {
  sealing?: Pick<Sealed, "key" | "nonce" | "ad">;
  readonly signed: Pick<Signed, "message" | "signature">[];
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
      tape.signed.push({ message, signature });
      return signature;
    },
  };
}

function cut(frame: Uint8Array): Pick<Sealed, "ciphertext" | "tag"> {
  return { ciphertext: frame.subarray(headerLength, -16), tag: frame.subarray(-16) };
}
