/**
 * Handshakes and sessions between two implementations: this program's, and a peer in Python that was
 * written from the protocol's text over other people's Noise, CBOR and primitives (`noise_peer.py`).
 * What both agree on is what the text says, not what one of them happens to do.
 */
import assert from "node:assert/strict";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { fileURLToPath } from "node:url";
import { fromHex, toHex, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { Acquaintance } from "../../core/trust/session/contact.ts";
import { ContactInitiator, ContactResponder } from "../../core/trust/session/contact.ts";
import { decodeFrame } from "../../core/trust/session/frame.ts";
import { Initiator, pskFromCode, zeroPsk } from "../../core/trust/session/handshake.ts";
import { decodeOpening } from "../../core/trust/session/hello.ts";
import type { Session } from "../../core/trust/session/session.ts";
import { interopTest, PythonPeer, runPython } from "./_python.ts";

const suite = nativeSuite();
const site = parseId("kiosk-7");
const device = parseId("m-01");
const staticKey = suite.x25519.keyPair();
const generation = 2 ** 16;
const day = 24 * 60 * 60 * 1_000;
const dawn = () => 0;

/** What the peer in Python says of a frame that it has made, and of one that it has opened. */
interface Made {
  readonly frame: string;
}
interface Opened {
  readonly plaintext: string;
  readonly seq: number;
  readonly duplicate: boolean;
}
type Met = { readonly [key in "session" | "static" | "remote_static"]: string } & {
  readonly words: readonly number[];
};

for (const code of [undefined, suite.randomBytes(16)]) {
  const kind = code === undefined ? "without a code" : "with a code";
  interopTest(`Initiator shakes hands with a gateway in Python, ${kind}`, async () => {
    await using python = new PythonPeer("gateway");
    await passBothWays(await connect(python, { code }), python);
  });
}

interopTest("Session and a gateway in Python follow each other across rekeys by age", async () => {
  let now = 0;
  await using python = new PythonPeer("gateway");
  const session = await connect(python, { clock: () => now });
  for (let times = 0; times < 3; times++) {
    await passBothWays(session, python, times * generation);
    now += day + 1;
    assert.deepEqual(await python.ask("skip"), { seq: (times + 1) * generation });
  }
  // two generations ahead is further than a receiver looks
  await python.ask("skip");
  const lost = decodeFrame(await sealedIn(python, "lost"));
  assert.throws(() => session.open(lost), { code: "out_of_generation" });
  session.seal(utf8("lost"));
  now += day + 1;
  const frame = session.seal(utf8("lost"));
  assert.deepEqual(await python.ask("open", { frame }), { refused: "out_of_generation" });
});

interopTest("Session and a gateway in Python take late frames from before a rekey", async () => {
  await using python = new PythonPeer("gateway");
  const session = await connect(python);
  const first = generation - 3;
  while (session.nextSeq < first) session.seal(new Uint8Array());
  await python.ask("skip", { to: first });
  const [ours, theirs] = await sealSome(session, python, 6);
  for (const i of [4, 0, 5, 2, 3, 1]) {
    const expected = { plaintext: utf8(`${i}`), seq: first + i, duplicate: false };
    assert.deepEqual(session.open(decodeFrame(theirs[i]!)), expected);
    assert.deepEqual(await openedIn(python, ours[i]!), expected);
  }
});

interopTest("Session and a gateway in Python judge late and repeated frames alike", async () => {
  await using python = new PythonPeer("gateway");
  const session = await connect(python);
  const [ours, theirs] = await sealSome(session, python, 66);
  const verdicts = ["0 new", "0 duplicate", "65 new", "1 replayed", "2 new"];
  for (const [number, verdict] of verdicts.map((line) => line.split(" "))) {
    const i = Number(number);
    if (verdict === "replayed") {
      assert.throws(() => session.open(decodeFrame(theirs[i]!)), { code: verdict });
      assert.deepEqual(await python.ask("open", { frame: ours[i] }), { refused: verdict });
    } else {
      const expected = { plaintext: utf8(`${i}`), seq: i, duplicate: verdict === "duplicate" };
      assert.deepEqual(session.open(decodeFrame(theirs[i]!)), expected);
      assert.deepEqual(await openedIn(python, ours[i]!), expected);
    }
  }
});

interopTest("Session and a gateway in Python refuse each other's frames when altered", async () => {
  await using python = new PythonPeer("gateway");
  const session = await connect(python);
  const [ours, theirs] = await sealSome(session, python, 1);
  for (const at of [17, 18, ours[0]!.length - 1]) {
    const [mine, its] = [ours[0]!.slice(), theirs[0]!.slice()];
    mine[at]! ^= 1;
    its[at]! ^= 1;
    assert.deepEqual(await python.ask("open", { frame: mine }), { refused: "forged" });
    assert.throws(() => session.open(decodeFrame(its)), { code: "forged" });
  }
});

for (const psk of [undefined, suite.randomBytes(32)]) {
  const kind = psk === undefined ? "without a psk" : "with a psk";

  interopTest(`ContactInitiator and a site in Python agree on six words, ${kind}`, async () => {
    await using python = new PythonPeer("contact");
    const initiator = strangerAtDoor(psk);
    const { frame } = await python.ask<Made>("answer", { frame: initiator.message1, psk });
    const { message3, ...mine } = initiator.finish(decodeFrame(fromHex(frame)));
    await agree(mine, await python.ask("conclude", { frame: message3 }), python);
  });

  interopTest(`ContactResponder and a device in Python agree on six words, ${kind}`, async () => {
    await using python = new PythonPeer("contact");
    const responder = answerTo(await python.ask("begin", { device, psk }), psk);
    const its = await python.ask<Made & Met>("end", { frame: responder.message2 });
    await agree(responder.finish(decodeFrame(fromHex(its.frame))), its, python);
  });
}

interopTest("ContactResponder refuses a device in Python that breaks its promise", async () => {
  await using python = new PythonPeer("contact");
  const responder = answerTo(await python.ask("begin", { device }));
  const { frame } = await python.ask<Made>("end", { frame: responder.message2, cheat: true });
  assert.throws(() => responder.finish(decodeFrame(fromHex(frame))), { code: "commitment_broken" });
});

interopTest("ContactResponder refuses a device in Python that has another psk", async () => {
  await using python = new PythonPeer("contact");
  const responder = answerTo(await python.ask("begin", { device, psk: suite.randomBytes(32) }));
  const { frame } = await python.ask<Made>("end", { frame: responder.message2 });
  assert.throws(() => responder.finish(decodeFrame(fromHex(frame))), { code: "payload_forged" });
});

interopTest("session_v2.json holds what the peer in Python computes, word for word", async () => {
  const file = fileURLToPath(new URL("../vectors/session_v2.json", import.meta.url));
  const { sessions } = JSON.parse(await Deno.readTextFile(file)) as {
    sessions: { name: string; words: string | null }[];
  };
  const computed = JSON.parse(await runPython(["vectors", file])) as Record<
    string,
    number[] | null
  >;
  const words = sessions.map(({ name }) => wordsAt(computed[name] ?? null));
  assert.deepEqual(words, sessions.map(({ words }) => words));
});

/** Shakes hands with a gateway in Python: our device's end of the session. */
async function connect(
  python: PythonPeer,
  { code, clock = dawn }: { code?: Uint8Array | undefined; clock?: () => number } = {},
): Promise<Session> {
  const where = { purpose: "meter", site, device } as const;
  const gateway = await python.ask<{ static: string }>("listen", { ...where, code });
  const initiator = new Initiator(suite, {
    hello: { ...where, versions: [2] },
    staticKey,
    remoteStatic: fromHex(gateway.static),
    psk: code === undefined ? zeroPsk : pskFromCode(suite, code, { site, device }),
    clock,
  });
  const { frame, ...learnt } = await python.ask<Made>("answer", { frame: initiator.message1 });
  const message2 = decodeFrame(fromHex(frame));
  assert.ok(initiator.expects(message2));
  const session = initiator.finish(message2);
  const expected = { session: toHex(session.id), remote_static: toHex(staticKey.publicKey) };
  assert.deepEqual(learnt, expected);
  return session;
}

function strangerAtDoor(psk: Uint8Array = zeroPsk): ContactInitiator {
  const hello = { purpose: "rpc", site: "", device, versions: [2] } as const;
  return new ContactInitiator(suite, { hello, staticKey, psk, clock: dawn });
}

function answerTo({ frame }: Made, psk: Uint8Array = zeroPsk): ContactResponder {
  const { session, body } = decodeFrame(fromHex(frame));
  const opening = decodeOpening(body);
  assert.deepEqual(opening.hello, { purpose: "rpc", site: "", device, versions: [2] });
  return new ContactResponder(suite, { ...opening, session }, { staticKey, psk, clock: dawn });
}

/** Both ends of a first contact hold the same: keys, words, and a session that works. */
async function agree(ours: Acquaintance, its: Met, python: PythonPeer): Promise<void> {
  assert.equal(its.remote_static, toHex(staticKey.publicKey));
  assert.equal(its.static, toHex(ours.remoteStatic));
  assert.equal(its.session, toHex(ours.session.id));
  assert.equal(wordsAt(its.words), ours.words);
  await passBothWays(ours.session, python);
}

/** The words at these places of the BIP-39 list. */
function wordsAt(indices: readonly number[] | null): string | null {
  return indices?.map((index) => wordlist[index]).join(" ") ?? null;
}

/** Two frames each way, whose numbers count from here. */
async function passBothWays(session: Session, python: PythonPeer, first = 0): Promise<void> {
  const [ours, theirs] = await sealSome(session, python, 2);
  for (const i of [0, 1]) {
    const expected = { plaintext: utf8(`${i}`), seq: first + i, duplicate: false };
    assert.deepEqual(await openedIn(python, ours[i]!), expected);
    assert.deepEqual(session.open(decodeFrame(theirs[i]!)), expected);
  }
}

/** Frames of ours and of the peer's that say their places. */
async function sealSome(session: Session, python: PythonPeer, count: number) {
  const [ours, theirs]: [Uint8Array[], Uint8Array[]] = [[], []];
  for (let i = 0; i < count; i++) {
    ours.push(session.seal(utf8(`${i}`)));
    theirs.push(await sealedIn(python, `${i}`));
  }
  return [ours, theirs] as const;
}

async function sealedIn(python: PythonPeer, text: string): Promise<Uint8Array> {
  return fromHex((await python.ask<Made>("seal", { plaintext: utf8(text) })).frame);
}

async function openedIn(python: PythonPeer, frame: Uint8Array) {
  const opened = await python.ask<Opened>("open", { frame });
  assert.ok("plaintext" in opened, JSON.stringify(opened));
  return { ...opened, plaintext: fromHex(opened.plaintext) };
}
