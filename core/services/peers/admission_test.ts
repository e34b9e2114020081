/** Decisions as devices feel them: real peers behind the real answering side of sessions. */
import assert from "node:assert/strict";
import { equalBytes, utf8 } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { KeyPair } from "../../trust/crypto.ts";
import {
  decodeMessage,
  encodeEnrolAnswer,
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
import { log, openTestPeers, site, suite, type TestPeers, url } from "./_test_peers.ts";

const m1 = parseId("m-1");
const signKey = suite.ed25519.signer().publicKey;
const enrol = { kind: "enrol", body: encodeEnrolRequest(signKey) } as const;
const call = { kind: "call", body: utf8("hello") } as const;
const refusal = (to: number, code: string) => ({ kind: "refusal", to, code });

interface Met {
  readonly session: Session;
  readonly words: string;
  /** Why message 3 was refused, if it was: over HTTP the device hears that. */
  readonly refused: string | null;
}

/** A site that answers meters. */
interface Site extends TestPeers {
  /** What it has sent to devices unasked. */
  readonly pushed: [Id, Uint8Array][];
  knock(device: Meter): Promise<Session>;
  meet(device: Meter): Promise<Met>;
  ask(session: Session, message: Message): Promise<Message | "unknown">;
}

async function openSite(): Promise<Site> {
  const test = await openTestPeers();
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

/** The hardware that calls itself m-1. */
class Meter {
  readonly key: KeyPair = suite.x25519.keyPair();
  readonly #psk: Uint8Array;
  waiting: Initiator | undefined;

  constructor(code?: Uint8Array) {
    this.#psk = code === undefined ? zeroPsk : pskFromCode(suite, code, { site, device: m1 });
  }

  ik({ publicKey }: KeyPair): Initiator {
    return new Initiator(suite, { ...this.#begin(site), remoteStatic: publicKey });
  }

  xx(): ContactInitiator {
    return new ContactInitiator(suite, this.#begin(this.#psk === zeroPsk ? "" : site));
  }

  #begin(site: Hello["site"]) {
    const hello: Hello = { purpose: "meter", site, device: m1, versions: [2] };
    return { hello, staticKey: this.key, psk: this.#psk, clock: () => 0 };
  }
}

Deno.test('a stranger hears "pending" and nothing else, until its words are approved', async () => {
  await using site = await openSite();
  const meter = new Meter();
  const { session, words } = await site.meet(meter);
  const said: Message[] = [enrol, call, { kind: "answer", to: 0, body: utf8("?") }];
  for (const [seq, message] of said.entries()) {
    assert.deepEqual(await site.ask(session, message), refusal(seq, "pending"));
  }
  assert.equal(await site.find(), null);
  await assert.rejects(site.peers.approve("meter", "m-1", { words: `${words}s` }));
  assert.deepEqual(await site.ask(session, enrol), refusal(3, "pending"));

  await site.peers.approve("meter", "m-1", { words });
  assert.deepEqual(await site.ask(session, call), refusal(4, "not_enrolled"));
  const joined = { kind: "answer", to: 5, body: encodeEnrolAnswer("kiosk-7") };
  assert.deepEqual(await site.ask(session, enrol), joined);
  assert.deepEqual(await site.ask(session, call), { kind: "answer", to: 6, body: call.body });
  assert.deepEqual((await site.find())!.signKey, signKey);
});

Deno.test("an approval sends message 2 to whoever knocked with the approved key", async () => {
  await using site = await openSite();
  const [meter, impostor] = [new Meter(), new Meter()];
  await assert.rejects(site.knock(impostor), { code: "pending" });
  const { words } = await site.meet(meter);
  await assert.rejects(site.knock(meter), { code: "pending" });
  // a later knock of the same key has no words: those of the first contact are gone
  const mine = site.peers.waiting().find(({ key }) => equalBytes(key, meter.key.publicKey));
  assert.equal(mine!.words, null);
  await assert.rejects(site.peers.approve("meter", "m-1", { words }), { code: "words_differ" });
  const again = await site.meet(meter);
  await site.peers.approve("meter", "m-1", { words: again.words });
  const [[device, frame]] = site.pushed as [[Id, Uint8Array]];
  assert.deepEqual([device, site.pushed.length], [m1, 1]);
  const session = meter.waiting!.finish(decodeFrame(frame));
  assert.equal((await site.ask(session, enrol) as Message).kind, "answer");
  await assert.rejects(site.knock(impostor), { code: "wrong_key" });
});

Deno.test("a replacement by words shuts the old key out at once and lets the new one in", async () => {
  await using site = await openSite();
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 500 });
  const [old, fresh] = [new Meter(code), new Meter()];
  const session = await site.knock(old);
  await site.ask(session, enrol);
  const { session: waiting, words } = await site.meet(fresh);
  assert.deepEqual(await site.ask(waiting, enrol), refusal(0, "pending"));
  assert.equal((await site.ask(session, call) as Message).kind, "answer");

  await site.peers.replace("meter", "m-1", { words });
  assert.equal(await site.ask(session, call), "unknown");
  assert.equal((await site.ask(waiting, enrol) as Message).kind, "answer");
  assert.equal((await site.ask(waiting, call) as Message).kind, "answer");
  await assert.rejects(site.knock(old));
  const [applicant] = site.peers.waiting();
  assert.equal(applicant, undefined);
});

Deno.test("a second key under a name is not refused while it waits in a session of its own", async () => {
  await using site = await openSite();
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 500 });
  const old = new Meter(code);
  const session = await site.knock(old);
  await site.ask(session, enrol);
  // were it refused, it would begin anew with other words before anybody could compare these
  assert.equal((await site.meet(new Meter())).refused, null);
  assert.equal((await site.ask(session, call) as Message).kind, "answer");
});

Deno.test("a replacement by code shuts the old key out and waits for whoever brings the code", async () => {
  await using site = await openSite();
  const { code } = await site.peers.enrol("meter", "m-1", { url, ttl: 500 });
  const old = new Meter(code);
  const session = await site.knock(old);
  await site.ask(session, enrol);
  const enrolment = await site.peers.replaceByCode("meter", "m-1", { url, ttl: 500 });
  assert.equal(await site.ask(session, call), "unknown");
  await assert.rejects(site.knock(old), { code: "payload_forged" });
  const fresh = new Meter(enrolment.code);
  assert.equal((await site.ask(await site.knock(fresh), enrol) as Message).kind, "answer");
  assert.deepEqual((await site.find())!.noiseKey, fresh.key.publicKey);
});

Deno.test("a device comes in by the code that it was born with, by a first contact too", async () => {
  await using site = await openSite();
  const code = suite.randomBytes(16);
  const meter = new Meter(code);
  assert.equal((await site.meet(meter)).refused, "pending");
  assert.deepEqual(site.peers.waiting().map(({ proof }) => proof), ["none"]);
  await site.peers.enrol("meter", "m-1", { url, ttl: 500, code });
  const { session } = await site.meet(meter);
  assert.equal((await site.ask(session, enrol) as Message).kind, "answer");
  assert.deepEqual((await site.find())!.noiseKey, meter.key.publicKey);
  assert.deepEqual(site.peers.waiting(), []);
});

Deno.test("a revoked device is shut out at once, and applies anew when it was removed", async () => {
  await using site = await openSite();
  const meter = new Meter();
  const { session, words } = await site.meet(meter);
  await site.peers.approve("meter", "m-1", { words });
  await site.ask(session, enrol);
  await site.peers.revoke("meter", "m-1");
  assert.equal(await site.ask(session, call), "unknown");
  for (const come of [() => site.knock(meter), () => site.meet(meter)]) {
    await assert.rejects(come(), { code: "revoked" });
  }
  await site.peers.remove("meter", "m-1");
  const anew = await site.meet(meter);
  assert.deepEqual(await site.ask(anew.session, enrol), refusal(0, "pending"));
});
