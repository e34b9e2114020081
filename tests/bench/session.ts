/**
 * Sessions alone: whole handshakes of both sides, and frames sealed and opened, without sockets. The
 * floors are the X25519 operations that the pattern asks for and the bare cipher.
 */
import { parseId } from "../../core/base/id.ts";
import { equalBytes } from "../../core/base/bytes.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { decodeFrame, frameVersion, headerLength } from "../../core/trust/session/frame.ts";
import { Initiator, respond } from "../../core/trust/session/handshake.ts";
import { decodeOpening } from "../../core/trust/session/hello.ts";
import type { Session } from "../../core/trust/session/session.ts";
import { type Bench, mediansOf, rateOf } from "./figure.ts";
import { nativeOpen, nativeSeal, nativeSharedSecret, nativeX25519 } from "./_native.ts";

export const sessionBenches: Readonly<Record<string, Bench>> = {
  "session.handshake": handshakes,
  "session.frame": frames,
};

/** Noise_IKpsk1: each "e" generates a key pair, each pair of letters is one DH on both sides. */
const pattern = ["e", "es", "s", "ss", "e", "ee", "se"];
const generations = pattern.filter((token) => token === "e").length;
const agreements = 2 * pattern.filter((token) => token.length === 2).length;

const handshakesPerRound = { full: 400, quick: 40 };
const framesPerRound = { full: 40_000, quick: 4_000 };
const plaintextLength = 256;

async function handshakes({ quick }: { quick: boolean }) {
  const count = quick ? handshakesPerRound.quick : handshakesPerRound.full;
  const shake = bothSides();
  const mine = nativeX25519(), theirs = nativeX25519();
  const medians = await mediansOf(quick ? 2 : 15, async () => ({
    floor: await rateOf(count, () => {
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < generations; k++) nativeX25519();
        for (let k = 0; k < agreements; k++) nativeSharedSecret(mine, theirs);
      }
    }),
    value: await rateOf(count, () => {
      for (let i = 0; i < count; i++) shake();
    }),
  }));
  return { name: "session.handshake", unit: "handshakes/s", ...medians };
}

async function frames({ quick }: { quick: boolean }) {
  const count = quick ? framesPerRound.quick : framesPerRound.full;
  const suite = nativeSuite();
  const [sender, receiver] = bothSides()();
  const plaintext = suite.randomBytes(plaintextLength);
  const bare = {
    key: suite.randomBytes(32),
    nonce: suite.randomBytes(12),
    ad: suite.randomBytes(headerLength),
  };
  const medians = await mediansOf(quick ? 2 : 15, async () => ({
    floor: await rateOf(count, () => {
      for (let i = 0; i < count; i++) check(nativeOpen(nativeSeal(bare, plaintext)));
    }),
    value: await rateOf(count, () => {
      for (let i = 0; i < count; i++) {
        check(receiver.open(decodeFrame(sender.seal(plaintext))).plaintext);
      }
    }),
  }));
  return { name: "session.frame", unit: "frames/s", ...medians };

  function check(opened: Uint8Array): void {
    if (opened.length !== plaintextLength) throw new Error("The frame did not open");
  }
}

/** A device and a site with their keys; each call is one complete handshake between them. */
function bothSides(): () => [device: Session, site: Session] {
  const suite = nativeSuite();
  const clock = Date.now;
  const [device, site] = [suite.x25519.keyPair(), suite.x25519.keyPair()];
  const psk = suite.randomBytes(32);
  const hello = {
    purpose: "meter",
    site: parseId("bench"),
    device: parseId("meter-1"),
    versions: [frameVersion],
  } as const;
  return () => {
    const initiator = new Initiator(suite, {
      hello,
      staticKey: device,
      remoteStatic: site.publicKey,
      psk,
      clock,
    });
    const frame = decodeFrame(initiator.message1);
    const opening = { ...decodeOpening(frame.body), session: frame.session };
    const { message2, session } = respond(suite, opening, { staticKey: site, psk, clock });
    const mine = initiator.finish(decodeFrame(message2));
    if (!equalBytes(mine.id, session.id)) throw new Error("The two sides did not agree");
    return [mine, session];
  };
}
