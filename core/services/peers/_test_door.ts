/**
 * Hardware at the door of a site whose peers are real, behind the real answering side of sessions: what
 * a device feels of a decision, for the tests of this folder.
 */
import assert from "node:assert/strict";
import { utf8 } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { KeyPair } from "../../trust/crypto.ts";
import {
  decodeMessage,
  encodeEnrolRequest,
  encodeMessage,
  type Message,
} from "../../trust/session/call.ts";
import { ContactInitiator } from "../../trust/session/contact.ts";
import { decodeFrame, FrameType } from "../../trust/session/frame.ts";
import { Initiator, pskFromCode, zeroPsk } from "../../trust/session/handshake.ts";
import type { Hello } from "../../trust/session/hello.ts";
import type { Session } from "../../trust/session/session.ts";
import { MetricsRegistry } from "../metrics.ts";
import { Responder } from "../sessions/mod.ts";
import { log, openTestPeers, site, suite, type TestPeers } from "./_test_peers.ts";

export const m1 = parseId("m-1");
export const signKey = suite.ed25519.signer().publicKey;
export const enrol = { kind: "enrol", body: encodeEnrolRequest(signKey) } as const;
export const call = { kind: "call", body: utf8("hello") } as const;
export const refusal = (to: number, code: string) => ({ kind: "refusal", to, code });

export interface Met {
  readonly session: Session;
  readonly words: string;
  /** Why message 3 was refused, if it was: over HTTP the device hears that. */
  readonly refused: string | null;
}

/** A site that answers meters. */
export interface Site extends TestPeers {
  /** What it has sent to devices unasked. */
  readonly pushed: [Id, Uint8Array][];
  knock(device: Meter): Promise<Session>;
  meet(device: Meter): Promise<Met>;
  ask(session: Session, message: Message): Promise<Message | "unknown">;
}

export async function openSite(join: "open" | "closed" = "open"): Promise<Site> {
  const test = await openTestPeers({ join });
  const staticKey = suite.x25519.keyPair();
  const clock = () => test.time.now;
  const responder = new Responder({
    ...{ suite, site, staticKey, log, clock, purpose: "meter", peers: test.peers },
    ...{ monotonic: clock, metrics: new MetricsRegistry().scoped("test") },
    handler: (call) => Promise.resolve(call),
  });
  const pushed: [Id, Uint8Array][] = [];
  responder.onPush((device, frame) => void pushed.push([device, frame]));
  return {
    ...test,
    pushed,
    async knock(device) {
      const initiator = device.ik(staticKey);
      device.waiting = initiator;
      return initiator.finish(decodeFrame((await responder.receive(initiator.message1))!));
    },
    async meet(device) {
      const initiator = device.xx();
      const message2 = await responder.receive(initiator.message1);
      const { message3, session, words } = initiator.finish(decodeFrame(message2!));
      try {
        assert.equal(await responder.receive(message3), null);
        return { session, words, refused: null };
      } catch (error) {
        assert.ok(error instanceof CodedError, `${error}`);
        return { session, words, refused: error.code };
      }
    },
    async ask(session, message) {
      const frame = decodeFrame((await responder.receive(session.seal(encodeMessage(message))))!);
      if (frame.type === FrameType.unknown) return "unknown";
      return decodeMessage(session.open(frame).plaintext);
    },
    async [Symbol.asyncDispose]() {
      responder.close();
      await test[Symbol.asyncDispose]();
    },
  };
}

/** A meter; it calls itself m-1 unless said. */
export class Meter {
  readonly id: Id;
  readonly key: KeyPair;
  readonly #psk: Uint8Array;
  waiting: Initiator | undefined;

  constructor(
    code?: Uint8Array,
    { id = m1, key = suite.x25519.keyPair() }: { id?: Id; key?: KeyPair } = {},
  ) {
    this.id = id;
    this.key = key;
    this.#psk = code === undefined ? zeroPsk : pskFromCode(suite, code, { site, device: id });
  }

  ik({ publicKey }: KeyPair): Initiator {
    return new Initiator(suite, { ...this.#begin(site), remoteStatic: publicKey });
  }

  xx(): ContactInitiator {
    return new ContactInitiator(suite, this.#begin(this.#psk === zeroPsk ? "" : site));
  }

  #begin(site: Hello["site"]) {
    const hello: Hello = { purpose: "meter", site, device: this.id, versions: [2] };
    return { hello, staticKey: this.key, psk: this.#psk, clock: () => 0 };
  }
}
