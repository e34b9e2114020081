/** Sessions and the handshake before them: what an attacker on the wire can and cannot do. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, utf8 } from "../../base/bytes.ts";
import { type Id, parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { decodeFrame, encodeFrame, FrameType } from "./frame.ts";
import { Initiator, pskFromCode, respond, zeroPsk } from "./handshake.ts";
import { decodeOpening, encodeOpening, encodePrologue, type Hello } from "./hello.ts";
import { Session } from "./session.ts";

const suite = nativeSuite();
const gateway = suite.x25519.keyPair();
const device = suite.x25519.keyPair();
const clock = () => 0;
const hello: Hello = {
  purpose: "meter",
  site: "kiosk-7" as Id,
  device: parseId("m-01"),
  versions: [2],
};

function initiate(overrides: Partial<ConstructorParameters<typeof Initiator>[1]> = {}): Initiator {
  return new Initiator(suite, {
    hello,
    staticKey: device,
    remoteStatic: gateway.publicKey,
    psk: zeroPsk,
    clock,
    ...overrides,
  });
}

function answer(message1: Uint8Array, psk = zeroPsk) {
  const frame = decodeFrame(message1);
  const opening = { ...decodeOpening(frame.body), session: frame.session };
  return respond(suite, opening, { staticKey: gateway, psk, clock });
}

function connect(): [Session, Session] {
  const initiator = initiate();
  const { message2, session } = answer(initiator.message1);
  return [initiator.finish(decodeFrame(message2)), session];
}

/** A pair over fixed keys, cheaper than a handshake. */
function pair(time = clock): [Session, Session] {
  const [a, b, hash] = [suite.randomBytes(32), suite.randomBytes(32), suite.randomBytes(32)];
  return [
    new Session(suite, { sendKey: a.slice(), receiveKey: b.slice(), hash }, time),
    new Session(suite, { sendKey: b.slice(), receiveKey: a.slice(), hash }, time),
  ];
}

Deno.test("Initiator and respond() end in one session that works both ways", () => {
  const [client, server] = connect();
  assert.deepEqual(client.id, server.id);
  assert.deepEqual(server.open(decodeFrame(client.seal(utf8("up")))).plaintext, utf8("up"));
  assert.deepEqual(client.open(decodeFrame(server.seal(utf8("down")))).plaintext, utf8("down"));
});

Deno.test("respond() learns the initiator's static key", () => {
  assert.deepEqual(answer(initiate().message1).remoteStatic, device.publicKey);
});

Deno.test("respond() refuses another psk, another responder key and an altered prologue", () => {
  const psk = pskFromCode(suite, suite.randomBytes(16), { site: "kiosk-7", device: "m-01" });
  assert.throws(() => answer(initiate({ psk }).message1), { code: "payload_forged" });
  const stranger = suite.x25519.keyPair().publicKey;
  assert.throws(() => answer(initiate({ remoteStatic: stranger }).message1), {
    code: "static_forged",
  });
  const frame = decodeFrame(initiate({ hello: { ...hello, versions: [3, 2] } }).message1);
  const { noiseMessage } = decodeOpening(frame.body);
  const stripped = encodeOpening(encodePrologue(hello), noiseMessage);
  assert.throws(() => answer(encodeFrame(FrameType.message1, frame.session, 0, stripped)), {
    code: "static_forged",
  });
});

Deno.test("respond() refuses a low-order ephemeral key", () => {
  const frame = decodeFrame(initiate().message1);
  const { prologue, noiseMessage } = decodeOpening(frame.body);
  const forged = noiseMessage.slice();
  forged.fill(0, 0, 32);
  const body = encodeOpening(prologue, forged);
  assert.throws(() => answer(encodeFrame(FrameType.message1, frame.session, 0, body)), {
    code: "low_order",
  });
});

Deno.test("Initiator refuses a substituted message 2", () => {
  const [mine, other] = [initiate(), initiate()];
  const { message2 } = answer(other.message1);
  assert.equal(mine.expects(decodeFrame(message2)), false);
  assert.throws(() => mine.finish(decodeFrame(message2)), { code: "payload_forged" });
});

Deno.test("Session.open() refuses every flipped bit of a frame", () => {
  const [a, b] = pair();
  const sealed = a.seal(utf8("reading"));
  for (let i = 2; i < sealed.length; i++) {
    const altered = sealed.slice();
    altered[i]! ^= 0x40;
    assert.throws(() => b.open(decodeFrame(altered)), `byte ${i}`);
  }
  assert.equal(b.open(decodeFrame(sealed)).duplicate, false);
});

Deno.test("Session.open() tells a duplicate from a replay", () => {
  const [a, b] = pair();
  const first = a.seal(utf8("first"));
  assert.equal(b.open(decodeFrame(first)).duplicate, false);
  assert.equal(b.open(decodeFrame(first)).duplicate, true);
  for (let i = 0; i < 64; i++) b.open(decodeFrame(a.seal(utf8(`${i}`))));
  assert.throws(() => b.open(decodeFrame(first)), { code: "replayed" });
});

Deno.test("Session.open() refuses a used number with other bytes", () => {
  const keys = () => ({ sendKey: new Uint8Array(32), receiveKey: new Uint8Array(32).fill(1) });
  const hash = suite.randomBytes(32);
  const [one, two] = [0, 1].map(() => new Session(suite, { ...keys(), hash }, clock));
  const receiver = new Session(suite, {
    sendKey: new Uint8Array(32).fill(1),
    receiveKey: new Uint8Array(32),
    hash,
  }, clock);
  receiver.open(decodeFrame(one!.seal(utf8("a"))));
  assert.throws(() => receiver.open(decodeFrame(two!.seal(utf8("b")))), { code: "replayed" });
});

Deno.test("Session rekeys by age and leaves old generations behind", () => {
  let now = 0;
  const [a, b] = pair(() => now);
  const day = 24 * 60 * 60 * 1000;
  const early = a.seal(utf8("generation 0"));
  now += day + 1;
  const [late, next] = [a.seal(utf8("generation 1")), a.seal(utf8("generation 1"))];
  assert.equal(a.nextSeq, 65_538);
  assert.equal(b.open(decodeFrame(next)).seq, 65_537);
  assert.equal(b.open(decodeFrame(late)).seq, 65_536);
  assert.throws(() => b.open(decodeFrame(early)), { code: "replayed" });
  for (const generation of [2, 3]) {
    now += day + 1;
    const frame = decodeFrame(a.seal(utf8(`${generation}`)));
    if (generation === 3) assert.throws(() => b.open(frame), { code: "out_of_generation" });
  }
  assert.equal(a.expired, false);
  now += 4 * day;
  assert.equal(a.expired, true);
});

Deno.test("Session opens late frames of the previous generation", () => {
  const [a, b] = pair();
  const frames: Uint8Array[] = [];
  for (let i = 0; i < 65_530; i++) {
    if (i === 0) a.seal(utf8(""));
    else a.seal(new Uint8Array(0));
  }
  for (let i = 0; i < 12; i++) frames.push(a.seal(utf8(`${i}`)));
  for (const i of [11, 0, 6, 5, 1]) {
    assert.deepEqual(b.open(decodeFrame(frames[i]!)).plaintext, utf8(`${i}`));
  }
});

Deno.test("Session delivers what a set model delivers, under any schedule", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ frame: fc.nat(200), flip: fc.option(fc.nat(400), { freq: 8 }) }), {
      maxLength: 400,
    }),
    (schedule) => {
      const [a, b] = pair();
      const frames = Array.from(
        { length: 201 },
        (_, i) => a.seal(fromHex(i.toString(16).padStart(4, "0"))),
      );
      const delivered = new Set<number>();
      let top = -1;
      for (const { frame: n, flip } of schedule) {
        const bytes = frames[n]!.slice();
        if (flip !== null) bytes[2 + (flip % (bytes.length - 2))]! ^= 1;
        try {
          const { seq, duplicate } = b.open(decodeFrame(bytes));
          assert.equal(flip, null, "a forged frame opened");
          assert.equal(seq, n);
          assert.equal(duplicate, delivered.has(n));
          assert.ok(n > top - 64);
          delivered.add(n);
          top = Math.max(top, n);
        } catch (error) {
          if (flip === null) assert.equal((error as { code?: string }).code, "replayed");
          if (flip === null) assert.ok(n <= top - 64);
        }
      }
    },
  ));
});

Deno.test("decodeFrame() and decodeOpening() throw only their own errors", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      for (const parse of [() => decodeFrame(bytes), () => decodeOpening(bytes)]) {
        try {
          parse();
        } catch (error) {
          assert.match((error as Error).name, /^(FrameError|HelloError)$/);
        }
      }
    }),
    { numRuns: 5_000 },
  );
});
