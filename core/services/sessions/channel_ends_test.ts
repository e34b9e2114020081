/**
 * The calling side at its edges: a handshake that goes wrong, a deadline that comes first, and a channel
 * that is closed in the middle of something. Time is virtual.
 */
import assert from "node:assert/strict";
import { toHex, utf8 } from "../../base/bytes.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../trust/session/frame.ts";
import { ChannelError, Refusal } from "./mod.ts";
import { device, directLine, FakeSite, suite } from "./_site.ts";
import { inVirtualTime } from "./_virtual_time.ts";

const echo = (call: Uint8Array) => Promise.resolve(call);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("call() keeps two hundred calls at once within the receiver's window", () =>
  inVirtualTime(async (now, random) => {
    const site = new FakeSite(async (call) => {
      await new Promise((resolve) => setTimeout(resolve, random() * 5_000));
      return call;
    }, now);
    let top = -1;
    const waiting = new Set<number>();
    const line = directLine(site, async (frame, deliver) => {
      const { seq } = decodeFrame(frame);
      if (frame[1] === FrameType.data) {
        waiting.add(seq);
        top = Math.max(top, seq);
        assert.ok(top - Math.min(...waiting) < 64, `${[...waiting]}`);
      }
      const answer = await deliver();
      waiting.delete(seq);
      return answer;
    });
    await using channel = site.channel(line, site.enrol());
    const bodies = Array.from({ length: 200 }, (_, i) => `call ${i}`);
    const answers = await Promise.all(bodies.map((body) => channel.call(utf8(body))));
    assert.deepEqual(answers.map(text), bodies);
    assert.deepEqual(await site.refused(), {});
  }));

Deno.test("call() is answered although message 1 or 2 of its handshake was lost", () =>
  inVirtualTime(async (now) => {
    for (const lost of [FrameType.message1, FrameType.message2]) {
      const site = new FakeSite(echo, now);
      let losing = true;
      const line = directLine(site, async (frame, deliver) => {
        if (!losing || frame[1] !== FrameType.message1) return await deliver();
        losing = false;
        if (lost === FrameType.message2) await deliver();
        return null;
      });
      await using channel = site.channel(line, site.enrol());
      assert.equal(text(await channel.call(utf8("x"))), "x");
    }
  }));

Deno.test("call() is answered although someone forged a message 2", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(echo, now);
    let forging = true;
    const line = {
      ...directLine(site),
      async send(frame: Uint8Array, receive: (bytes: Uint8Array) => void) {
        const { session, type } = decodeFrame(frame);
        if (forging && type === FrameType.message1) {
          forging = false;
          receive(encodeFrame(FrameType.message2, session, 0, suite.randomBytes(48)));
        }
        const answer = await site.responder.receive(frame, device);
        if (answer !== null) receive(answer);
      },
    };
    await using channel = site.channel(line, site.enrol());
    assert.equal(text(await channel.call(utf8("x"))), "x");
  }));

Deno.test("call() fails with nothing but Refusal and ChannelError, whatever the line brings", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(echo, now);
    const line = {
      ...directLine(site),
      send(frame: Uint8Array, receive: (bytes: Uint8Array) => void) {
        const { session, type } = decodeFrame(frame);
        const answer = type === FrameType.message1 ? FrameType.message2 : FrameType.data;
        receive(encodeFrame(answer, session, 0, suite.randomBytes(48)));
        return Promise.resolve();
      },
    };
    await using channel = site.channel(line, site.enrol());
    const error = await channel.call(utf8("x"), { within: 20_000 }).catch((error) => error);
    assert.ok(error instanceof ChannelError || error instanceof Refusal, `${error}`);
  }));

Deno.test("call() tries a failed enrolment again", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(echo, now);
    let full = true;
    const line = directLine(site);
    const { bind } = site.peers;
    site.peers.bind = (...args) => {
      if (full) return Promise.reject(new Error("no room"));
      return bind.apply(site.peers, args);
    };
    await using channel = site.channel(line, site.enrol());
    await assert.rejects(channel.call(utf8("1")), { name: "Refusal", code: "unavailable" });
    await assert.rejects(channel.call(utf8("2")), { name: "Refusal", code: "unavailable" });
    full = false;
    assert.equal(text(await channel.call(utf8("3"))), "3");
  }));

Deno.test("call() gives up in time when nobody answers its handshake", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(echo, now);
    await using channel = site.channel(directLine(site, () => Promise.resolve(null)), site.enrol());
    const began = now();
    await assert.rejects(channel.call(utf8("x"), { within: 1_000 }), { code: "no_answer" });
    assert.equal(now() - began, 1_000);
  }));

Deno.test("call() gives up in time when there is no room for it", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(echo, now);
    let silent = false;
    const line = directLine(site, (_frame, deliver) => silent ? Promise.resolve(null) : deliver());
    await using channel = site.channel(line, site.enrol());
    await channel.call(utf8("before"));
    silent = true;
    const slow = Array.from({ length: 48 }, (_, i) => channel.call(utf8(`${i}`)).catch(() => {}));
    const began = now();
    await assert.rejects(channel.call(utf8("x"), { within: 1_000 }), { code: "no_answer" });
    assert.equal(now() - began, 1_000);
    await Promise.all(slow);
  }));

Deno.test("call() loses no call that is under way when its session reaches its age", () =>
  inVirtualTime(async (now) => {
    let days = 0;
    const day = 24 * 60 * 60 * 1000;
    const site = new FakeSite(echo, () => now() + days * day);
    let silent = false;
    const line = directLine(site, (_frame, deliver) => silent ? Promise.resolve(null) : deliver());
    await using channel = site.channel(line, site.enrol());
    await channel.call(utf8("before"));
    silent = true;
    const waiting = channel.call(utf8("under way"), { within: 9 * day });
    await new Promise((resolve) => setTimeout(resolve, 10));
    [silent, days] = [false, 8];
    assert.equal(text(await channel.call(utf8("a week later"))), "a week later");
    assert.equal(text(await waiting), "under way");
  }));

Deno.test("a channel that is closed twice, or unused, or during its handshake, does no harm", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(echo, now);
    const unused = site.channel(directLine(site), site.enrol());
    await Promise.all([unused[Symbol.asyncDispose](), unused[Symbol.asyncDispose]()]);
    await assert.rejects(unused.call(utf8("x")), { name: "ChannelError", code: "channel_closed" });

    const mute = directLine(site, () => Promise.resolve(null));
    const shaking = site.channel(mute, site.enrol());
    const call = assert.rejects(shaking.call(utf8("x")), { code: "channel_closed" });
    await new Promise((resolve) => setTimeout(resolve, 10));
    await shaking[Symbol.asyncDispose]();
    await shaking[Symbol.asyncDispose]();
    await call;
  }));

Deno.test("a channel that is closed while it starts over sends nothing more, and does not linger", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(echo, now);
    const sent: string[] = [];
    let hear: (bytes: Uint8Array) => void = () => {};
    let session = new Uint8Array(8);
    const line = {
      ...directLine(site),
      async send(frame: Uint8Array, receive: (bytes: Uint8Array) => void) {
        hear = receive;
        sent.push(toHex(frame));
        if (frame[1] === FrameType.data) session = frame.slice(2, 10);
        const answer = await site.responder.receive(frame, device);
        if (answer !== null) receive(answer);
      },
    };
    const channel = site.channel(line, site.enrol());
    await channel.call(utf8("before"));
    sent.length = 0;
    hear(encodeFrame(FrameType.unknown, session, 0, new Uint8Array()));
    const began = now();
    await channel[Symbol.asyncDispose]();
    assert.deepEqual(sent, []);
    assert.equal(now() - began, 0);
  }));
