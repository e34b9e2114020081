/**
 * A machine between a device and its site that ends the first contact on both sides with a key of its
 * own, and hands on what is said in the two sessions. It speaks HTTP, to one device.
 */
import { CodedError } from "../../core/base/errors.ts";
import { decodeMessage, type Message } from "../../core/trust/session/call.ts";
import { ContactInitiator, ContactResponder } from "../../core/trust/session/contact.ts";
import { decodeFrame, FrameType } from "../../core/trust/session/frame.ts";
import { zeroPsk } from "../../core/trust/session/handshake.ts";
import { decodeOpening } from "../../core/trust/session/hello.ts";
import type { Session } from "../../core/trust/session/session.ts";
import type { Doorway } from "./_doors.ts";
import { suite } from "./_raw_peer.ts";

export interface Middle extends Doorway, AsyncDisposable {
  /** What the device has said to its site, as it was read on the way. */
  readonly read: readonly Message[];
}

export function openMiddle(site: Doorway): Middle {
  const staticKey = suite.x25519.keyPair();
  const common = { staticKey, psk: zeroPsk, clock: Date.now };
  const read: Message[] = [];
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
  let contact: ContactResponder;
  let toDevice: Session, toSite: Session;

  async function post(frame: Uint8Array): Promise<Uint8Array> {
    const url = `${site.url}/fog-aggregator/session`;
    const response = await fetch(url, { method: "POST", body: frame.slice(), client });
    return new Uint8Array(await response.arrayBuffer());
  }

  async function answer(bytes: Uint8Array): Promise<Uint8Array | null> {
    const frame = decodeFrame(bytes);
    if (frame.type === FrameType.message1) {
      const opening = { ...decodeOpening(frame.body), session: frame.session };
      contact = new ContactResponder(suite, opening, common);
      const initiator = new ContactInitiator(suite, { hello: opening.hello, ...common });
      const { message3, session } = initiator.finish(decodeFrame(await post(initiator.message1)));
      await post(message3);
      toSite = session;
      return contact.message2;
    }
    if (frame.type === FrameType.message3) {
      toDevice = contact.finish(frame).session;
      return null;
    }
    const { plaintext } = toDevice.open(frame);
    read.push(decodeMessage(plaintext));
    const reply = await post(toSite.seal(plaintext));
    return toDevice.seal(toSite.open(decodeFrame(reply)).plaintext);
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    try {
      const reply = await answer(new Uint8Array(await request.arrayBuffer()));
      return new Response(reply?.slice() ?? null, { status: reply === null ? 204 : 200 });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return new Response(error.code, { status: 500 });
    }
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    counts: (...args) => site.counts(...args),
    read,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      client.close();
    },
  };
}
