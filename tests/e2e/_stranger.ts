/**
 * A meter that comes without a code, frame by frame, in a first contact; or, when it knows its site's
 * key, without any proof but that its own key is its own.
 */
import type { Id } from "../../core/base/id.ts";
import type { KeyPair, Signer } from "../../core/trust/crypto.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import { ContactInitiator } from "../../core/trust/session/contact.ts";
import { decodeFrame } from "../../core/trust/session/frame.ts";
import { zeroPsk } from "../../core/trust/session/handshake.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import { fingerprintText } from "../../core/wire/peer.ts";
import type { Door } from "./_doors.ts";
import { RawPeer, RawSession, suite } from "./_raw_peer.ts";

export interface Meeting {
  /** What the display of the device shows. */
  readonly words: string;
  readonly session: RawSession;
}

export class Stranger {
  readonly id: Id;
  readonly noise: KeyPair = suite.x25519.keyPair();
  readonly signer: Signer = suite.ed25519.signer();
  readonly door: Door;

  constructor(id: Id, door: Door) {
    this.id = id;
    this.door = door;
  }

  /** What the device shows when it shows no words. */
  get fingerprint(): string {
    return fingerprintText(fingerprint(suite, "X25519", this.noise.publicKey));
  }

  /** The beginning of a first contact. */
  contact(): ContactInitiator {
    return new ContactInitiator(suite, {
      hello: { purpose: "meter", site: "", device: this.id, versions: [2] },
      staticKey: this.noise,
      psk: zeroPsk,
      clock: Date.now,
    });
  }

  /** The first contact. @param carry sends its last message, which the site answers with silence */
  async meet(carry = (frame: Uint8Array) => this.door.taken(frame)): Promise<Meeting> {
    const initiator = this.contact();
    const message2 = await this.door.exchange(initiator.message1);
    const { message3, session, words } = initiator.finish(decodeFrame(message2));
    await carry(message3);
    return { words, session: new RawSession(session, this.signer) };
  }

  /** The same device when it knows its site. @param code unless it has none */
  knowing(site: Enrolment, code?: Uint8Array): RawPeer {
    const deviation = code === undefined ? { psk: zeroPsk } : { code };
    const { noise, signer } = this;
    return new RawPeer(this.id, site, { purpose: "meter", noise, signer, deviation });
  }
}
