/** Hardware at the door of a site, over HTTP and a frame at a time, for the tests of this folder. */
import { parseId } from "../base/id.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { encodeEnrolRequest, encodeMessage } from "../trust/session/call.ts";
import { ContactInitiator } from "../trust/session/contact.ts";
import { decodeFrame } from "../trust/session/frame.ts";
import { Initiator, pskFromCode, zeroPsk } from "../trust/session/handshake.ts";
import type { Hello } from "../trust/session/hello.ts";
import { fingerprint } from "../trust/fingerprint.ts";
import { fingerprintText } from "../wire/peer.ts";
import type { Site } from "./site.ts";

const suite = nativeSuite();

export class Stranger {
  readonly key;
  readonly signKey = suite.ed25519.signer().publicKey;
  readonly #site: Site;
  readonly #device: string;

  /** A meter that calls itself so. */
  constructor(site: Site, device: string, { key = suite.x25519.keyPair() } = {}) {
    this.key = key;
    this.#site = site;
    this.#device = device;
  }

  /** The same hardware under another name. */
  called(device: string): Stranger {
    return new Stranger(this.#site, device, { key: this.key });
  }

  /** As the site shows its key. */
  get fingerprint(): string {
    return fingerprintText(fingerprint(suite, "X25519", this.key.publicKey));
  }

  /** Makes the first contact; gives its words. */
  async meet(): Promise<string> {
    const initiator = new ContactInitiator(suite, this.#begin("", zeroPsk));
    const { frame } = await this.#send(initiator.message1);
    const { message3, words } = initiator.finish(decodeFrame(frame));
    await this.#send(message3);
    return words;
  }

  /** Knocks with the site's key; gives the HTTP status. */
  async knock(remoteStatic: Uint8Array, psk = zeroPsk): Promise<number> {
    const options = { ...this.#begin(this.#site.name, psk), remoteStatic };
    return (await this.#send(new Initiator(suite, options).message1)).status;
  }

  /** Joins the site with its code. */
  async join({ noiseKey, code }: { noiseKey: Uint8Array; code: Uint8Array }): Promise<void> {
    const psk = pskFromCode(suite, code, { site: this.#site.name, device: this.#device });
    const options = { ...this.#begin(this.#site.name, psk), remoteStatic: noiseKey };
    const initiator = new Initiator(suite, options);
    const session = initiator.finish(decodeFrame((await this.#send(initiator.message1)).frame));
    const body = encodeEnrolRequest(this.signKey);
    await this.#send(session.seal(encodeMessage({ kind: "enrol", body })));
  }

  #begin(site: string, psk: Uint8Array) {
    const hello: Hello = {
      ...{ purpose: "meter", device: parseId(this.#device), versions: [2] },
      site: site === "" ? "" : parseId(site),
    };
    return { hello, psk, staticKey: this.key, clock: () => 0 };
  }

  async #send(frame: Uint8Array): Promise<{ status: number; frame: Uint8Array }> {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const url = `http://127.0.0.1:${this.#site.http!.port}/fog-aggregator/session`;
    const response = await fetch(url, { method: "POST", body: frame.slice(), client });
    return { status: response.status, frame: new Uint8Array(await response.arrayBuffer()) };
  }
}
