/**
 * What a fog does not take: frames, handshakes and codes that are not what they should be, over HTTP
 * and over MQTT. Each is refused for its own reason, is counted under it, and leaves nothing behind.
 */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../core/trust/session/frame.ts";
import type { Hello } from "../../core/trust/session/hello.ts";
import { decodeReceipt } from "../../core/wire/reading.ts";
import { doors, httpDoor, mqttDoor } from "./_doors.ts";
import {
  batch,
  connectedMeter,
  handshake,
  type Meter,
  minute,
  newMeter,
  reading,
  readingRefusals,
  refusedAs,
  sessionRefusals,
  startFog,
  storedAt,
} from "./_fog.ts";
import { RawPeer, suite } from "./_raw_peer.ts";

/** When everything is measured. */
const began = Date.now();
const accepted = { accepted: 1, duplicates: 0, refused: [] };

for (const [name, openDoor] of doors) {
  Deno.test(`a fog refuses a frame that was altered on its way, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await connectedMeter(fog, "m-1", openDoor);
    await using door = meter.door;
    const frame = meter.session.call(batchOf(meter, 1));
    for (const at of [18, 19, frame.length - 17, frame.length - 16, frame.length - 1]) {
      await refusedAs(fog, "forged", () => door.refused(altered(frame, at)));
    }
    await refusedAs(fog, "forged", () => door.refused(frame.slice(0, -1)));
    await refusedAs(fog, "forged", () => door.refused(frame.slice(0, 18)));
    await refusedAs(fog, "malformed", () => door.refused(frame.slice(0, 17)));
    // forgeries have moved no window and used no number up
    assert.deepEqual(receiptOf(meter, await door.exchange(frame)), accepted);
  });

  Deno.test(`a fog refuses a replayed frame, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await connectedMeter(fog, "m-1", openDoor);
    await using door = meter.door;
    const { session } = meter;
    const other = batchOf(meter, 1_000);
    session.twinCall(other); // stands for the number that enrolment used up
    const first = session.call(batchOf(meter, 1));
    assert.deepEqual(receiptOf(meter, await door.exchange(first)), accepted);
    const sameNumber = session.twinCall(other);
    assert.equal(decodeFrame(sameNumber).seq, decodeFrame(first).seq);
    await refusedAs(fog, "replayed", () => door.refused(sameNumber));

    const late: Uint8Array[] = [];
    for (let seq = 2; seq <= 65; seq++) {
      const frame = session.call(batchOf(meter, seq));
      if (seq === 2) late.push(frame);
      else await door.exchange(frame);
    }
    // the window holds 64 numbers: the first call is one too old, the second just young enough
    await refusedAs(fog, "replayed", () => door.refused(first));
    assert.deepEqual(receiptOf(meter, await door.exchange(late[0]!)), accepted);
    assert.deepEqual(await fog.counts("edgeward_readings_accepted_total"), { "": 65 });
  });

  Deno.test(`a fog answers a repeated frame as before and runs it once, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await connectedMeter(fog, "m-1", openDoor);
    await using door = meter.door;
    const frame = meter.session.call(batchOf(meter, 1));
    const answer = await door.exchange(frame);
    const stored = await storedAt(fog);
    for (let i = 0; i < 3; i++) assert.deepEqual(await door.exchange(frame), answer);
    assert.deepEqual(receiptOf(meter, answer), accepted);
    assert.deepEqual(await storedAt(fog), stored);
    assert.deepEqual(await fog.counts("edgeward_readings_accepted_total"), { "": 1 });
    const { "": duplicates = 0 } = await fog.counts("edgeward_readings_duplicate_total");
    assert.equal(duplicates, 0);
    assert.deepEqual(await sessionRefusals(fog), {});
  });

  Deno.test(`a fog puts off a meter that it does not know and did not invite, over ${name}`, async () => {
    await using fog = await startFog();
    const enrolment = await fog.site.enrol("meter", "m-1", { ttl: minute });
    const id = parseId("m-9");
    await using door = await openDoor(fog, "meter", { id, url: enrolment.url });
    const { message1 } = new RawPeer(id, enrolment, { purpose: "meter" }).begin();
    await refusedAs(fog, "not_invited", () => door.deferred(message1));
  });

  Deno.test(`a fog refuses a handshake for another purpose or site, over ${name}`, async () => {
    await using fog = await startFog();
    const { id, peer, door: opened } = await newMeter(fog, "m-1", openDoor);
    await using door = opened;
    const cases: [string, Partial<Hello>][] = [
      ["wrong_purpose", { purpose: "uplink" }],
      ["wrong_purpose", { purpose: "rpc" }],
      ["wrong_site", { site: parseId("fog-2") }],
      ["wrong_site", { site: "" }],
      ["wrong_version", { versions: [1, 3] }],
    ];
    for (const [reason, hello] of cases) {
      const deviation = { hello };
      const astray = new RawPeer(id, peer.enrolment, { purpose: "meter", deviation });
      await refusedAs(fog, reason, () => door.refused(astray.begin().message1));
    }
    await handshake({ peer, door });
  });

  Deno.test(`a fog refuses a handshake with a wrong key or code, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await newMeter(fog, "m-1", openDoor);
    await using door = meter.door;
    const { id, peer: { enrolment, noise, signer } } = meter;
    const wrong = [
      ["payload_forged", { code: suite.randomBytes(16) }],
      ["static_forged", { remoteStatic: suite.x25519.keyPair().publicKey }],
    ] as const;
    for (const [reason, deviation] of wrong) {
      const peer = new RawPeer(id, enrolment, { purpose: "meter", noise, signer, deviation });
      await refusedAs(fog, reason, () => door.refused(peer.begin().message1));
    }
    const { message1, finish } = meter.peer.begin();
    await refusedAs(fog, "payload_forged", () => door.refused(altered(message1, -1)));
    const session = finish(await door.exchange(message1));
    await door.exchange(session.enrol());
    const thief = new RawPeer(id, enrolment, { purpose: "meter" });
    await refusedAs(fog, "wrong_key", () => door.refused(thief.begin().message1));
  });

  Deno.test(`a fog refuses a code that has expired, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await newMeter(fog, "m-1", openDoor);
    await using door = meter.door;
    fog.advance(minute + 1_000);
    const { message1 } = meter.peer.begin();
    await refusedAs(fog, "code_expired", () => door.refused(message1));
    // a new code for the same meter works, the old one does not any more
    const enrolment = await fog.site.enrol("meter", "m-1", { ttl: minute });
    await refusedAs(fog, "payload_forged", () => door.refused(meter.peer.begin().message1));
    await handshake({ peer: new RawPeer(meter.id, enrolment, { purpose: "meter" }), door });
  });

  Deno.test(`a fog refuses a used code with other keys, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await newMeter(fog, "m-1", openDoor);
    await using door = meter.door;
    const { enrolment, noise } = meter.peer;
    const thief = { ...meter, peer: new RawPeer(meter.id, enrolment, { purpose: "meter" }) };
    // both have shaken hands before the code was used
    const session = await handshake(meter);
    const thiefs = await handshake(thief);
    assert.equal(session.joined(await door.exchange(session.enrol())), "fog-1");
    // which has ended the other session, and there will be no other
    const stored = await storedAt(fog);
    const { type } = decodeFrame(await door.exchange(thiefs.enrol()));
    assert.equal(type, FrameType.unknown);
    assert.deepEqual(await storedAt(fog), stored);
    await refusedAs(fog, "wrong_key", () => door.refused(thief.peer.begin().message1));
    // the right static key, another statement key
    const again = await handshake({
      peer: new RawPeer(meter.id, enrolment, { purpose: "meter", noise }),
      door,
    });
    await refusedAs(fog, "already_enrolled", async () => {
      assert.equal(again.answer(await door.exchange(again.enrol())), "already_enrolled");
    });
    // the meter itself may say again who it is
    const repeated = await handshake(meter);
    assert.equal(repeated.joined(await door.exchange(repeated.enrol())), "fog-1");
  });

  Deno.test(`a fog takes no call before its peer has enrolled, over ${name}`, async () => {
    await using fog = await startFog();
    const meter = await newMeter(fog, "m-1", openDoor);
    await using door = meter.door;
    const session = await handshake(meter);
    await refusedAs(fog, "not_enrolled", async () => {
      assert.equal(
        session.answer(await door.exchange(session.call(batchOf(meter, 1)))),
        "not_enrolled",
      );
    });
  });
}

Deno.test("a fog refuses every altered byte of a frame, or does not know its session", async () => {
  await using fog = await startFog();
  const meter = await connectedMeter(fog, "m-1", httpDoor);
  await using door = meter.door;
  const frame = meter.session.call(batchOf(meter, 1));
  const stored = await storedAt(fog);
  for (let at = 0; at < frame.length; at++) {
    if (at < 2 || at >= 10) await door.refused(altered(frame, at));
    else assert.equal(decodeFrame(await door.exchange(altered(frame, at))).type, FrameType.unknown);
  }
  const counts = await sessionRefusals(fog);
  assert.deepEqual(Object.keys(counts).sort(), [
    "meter forged",
    "meter malformed", // another type, or a sequence number beyond 2^53
    "meter out_of_generation",
    "meter wrong_version",
  ]);
  assert.equal(sum(counts), frame.length - 8);
  assert.deepEqual(await storedAt(fog), stored);
});

Deno.test("a fog refuses frames that only it may send", async () => {
  await using fog = await startFog();
  const meter = await connectedMeter(fog, "m-1", httpDoor);
  await using door = meter.door;
  for (const type of [FrameType.message2, FrameType.message3, FrameType.unknown]) {
    const frame = encodeFrame(type, suite.randomBytes(8), 0, suite.randomBytes(64));
    await refusedAs(fog, "unexpected_frame", () => door.refused(frame));
  }
});

Deno.test("a fog holds a meter to the topic of its own name", async () => {
  await using fog = await startFog();
  const meter = await connectedMeter(fog, "m-1", mqttDoor);
  await using door = meter.door;
  const other = await connectedMeter(fog, "m-2", mqttDoor);
  await using otherDoor = other.door;
  await refusedAs(fog, "wrong_device", () => door.refused(other.peer.begin().message1));
  const frame = other.session.call(batchOf(other, 1));
  await refusedAs(fog, "wrong_device", () => door.refused(frame));
  // which cost the other nothing
  assert.deepEqual(receiptOf(other, await otherDoor.exchange(frame)), accepted);
  assert.deepEqual(await readingRefusals(fog), {});
});

/** The frame with one bit turned; a negative place counts from the end. */
function altered(frame: Uint8Array, at: number): Uint8Array {
  const copy = frame.slice();
  copy[at < 0 ? frame.length + at : at]! ^= 1;
  return copy;
}

function batchOf({ id, peer }: Pick<Meter, "id" | "peer">, seq: number): Uint8Array {
  return batch(id, [reading(seq, began)], peer.signer);
}

function receiptOf({ session }: Meter, frame: Uint8Array) {
  const answer = session.answer(frame);
  if (typeof answer === "string") throw new Error(`Expected a receipt, got a refusal: ${answer}`);
  return decodeReceipt(answer);
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
