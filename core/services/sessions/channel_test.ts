/**
 * The calling side against a real responder, over a line that loses, repeats, delays and alters frames:
 * every call is answered with its own answer, and none runs twice in a session. Time is virtual.
 */
import assert from "node:assert/strict";
import { concat, toHex, utf8 } from "../../base/bytes.ts";
import type { Peer } from "../peers/mod.ts";
import { decodeFrame, encodeFrame, FrameType } from "../../trust/session/frame.ts";
import { type Channel, ChannelError, Refusal } from "./mod.ts";
import { device, directLine, FakeSite, LossyLine, suite } from "./_site.ts";
import { inVirtualTime } from "./_virtual_time.ts";

/** Counts how often each call ran, by session: a session has one peer object of its own. */
class Effects {
  readonly #perSession = new Map<Peer, Map<string, number>>();
  onCall: () => void = () => {};

  readonly handler = async (call: Uint8Array, peer: Peer): Promise<Uint8Array> => {
    const body = toHex(call);
    const session = this.#perSession.get(peer) ?? new Map<string, number>();
    this.#perSession.set(peer, session.set(body, (session.get(body) ?? 0) + 1));
    this.onCall();
    await new Promise((resolve) => setTimeout(resolve, 3));
    return concat(utf8("answer to "), call);
  };

  get sessions(): number {
    return this.#perSession.size;
  }

  /** The most that a call ran in one session. */
  get most(): number {
    return Math.max(...[...this.#perSession.values()].flatMap((calls) => [...calls.values()]));
  }

  /** How many different calls ran. */
  get different(): number {
    return new Set([...this.#perSession.values()].flatMap((calls) => [...calls.keys()])).size;
  }
}

const rough = { loss: 0.1, repeat: 0.15, corrupt: 0.04, delay: 400 };
const patient = { within: 600_000 };

for (const seed of [1, 2, 3, 4]) {
  Deno.test(`call() is answered over a rough line, and runs once a session, seed ${seed}`, () =>
    inVirtualTime(async (now, random) => {
      const effects = new Effects();
      const site = new FakeSite(effects.handler, now);
      const line = new LossyLine(site, { ...rough, random });
      await using channel = site.channel(line, site.enrol());
      await callAll(channel, { calls: 150, atOnce: 30 });
      assert.equal(effects.different, 150);
      assert.equal(effects.most, 1);
      assert.ok(line.sent.length > 160, "nothing had to be repeated");
      checkWindow(line);
    }, seed));

  Deno.test(`call() is answered although the site restarts in between, seed ${seed}`, () =>
    inVirtualTime(async (now, random) => {
      const effects = new Effects();
      const site = new FakeSite(effects.handler, now);
      const line = new LossyLine(site, { ...rough, random });
      await using channel = site.channel(line, site.enrol());
      const restarts = [20, 60, 100];
      effects.onCall = () => {
        if (effects.different < (restarts[0] ?? Infinity)) return;
        restarts.shift();
        site.restart();
      };
      await callAll(channel, { calls: 150, atOnce: 30 });
      assert.deepEqual(restarts, []);
      assert.equal(effects.different, 150);
      assert.equal(effects.most, 1);
      assert.ok(effects.sessions > 3, `${effects.sessions} sessions`);
    }, seed));
}

Deno.test("call() keeps what is under way inside the receiver's window", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(new Effects().handler, now);
    let held: (() => void) | undefined;
    const seqs: number[] = [];
    const line = directLine(site, async (frame, deliver) => {
      const { type, seq } = decodeFrame(frame);
      if (type === FrameType.data) seqs.push(seq);
      // the first call's frame is stuck while the others go on
      if (seq === 1) await new Promise<void>((resolve) => held = resolve);
      return await deliver();
    });
    await using channel = site.channel(line, site.enrol());
    const calls = Array.from({ length: 200 }, (_, i) => channel.call(utf8(`call ${i}`), patient));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.ok(Math.max(...seqs) <= 1 + 48, `call ${Math.max(...seqs)} is under way with call 1`);
    held!();
    await Promise.all(calls);
    assert.deepEqual(await site.refused(), {});
  }));

Deno.test("call() hears a repeated answer, however many others have come before it", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(new Effects().handler, now);
    const gate = Promise.withResolvers<void>();
    const held: number[] = [];
    const chosen: { unlucky?: number } = {};
    const arrived = Promise.withResolvers<void>();
    const line = directLine(site, async (frame, deliver) => {
      const { type, seq } = decodeFrame(frame);
      if (type !== FrameType.data || seq === 0) return await deliver();
      if (chosen.unlucky === undefined) {
        held.push(seq);
        await gate.promise;
        // the last of them overtakes the others, and its answer gets lost
        if (seq !== chosen.unlucky) await arrived.promise;
        else return (await deliver(), arrived.resolve(), null);
      }
      return await deliver();
    });
    await using channel = site.channel(line, site.enrol());
    const calls = Array.from({ length: 200 }, (_, i) => channel.call(utf8(`call ${i}`), patient));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    chosen.unlucky = Math.max(...held);
    gate.resolve();
    await Promise.all(calls);
  }));

Deno.test("call() does not send the same call as a new one when it is not sure of its fate", () =>
  inVirtualTime(async (now) => {
    const effects = new Effects();
    const site = new FakeSite(effects.handler, now);
    let lost = 0;
    const line = directLine(site, async (frame, deliver) => {
      const answer = await deliver();
      if (decodeFrame(frame).type !== FrameType.data || ++lost % 2 === 1) return answer;
      // the frame has arrived, its answer has not
      throw new ChannelError("unreachable", "the connection was reset");
    });
    await using channel = site.channel(line, site.enrol());
    await callAll(channel, { calls: 10, atOnce: 1 });
    assert.equal(effects.most, 1);
  }));

Deno.test("call() shakes hands anew when it hears that its session is unknown", () =>
  inVirtualTime(async (now) => {
    const effects = new Effects();
    const site = new FakeSite(effects.handler, now);
    const types: number[] = [];
    const line = directLine(site, (frame, deliver) => {
      types.push(frame[1]!);
      return deliver();
    });
    await using channel = site.channel(line, site.enrol());
    await channel.call(utf8("before"));
    site.restart();
    types.length = 0;
    assert.equal(text(await channel.call(utf8("after"))), "answer to after");
    const { data, message1 } = FrameType;
    // the call, which is unknown; the handshake with its enrolment; the call again
    assert.deepEqual(types, [data, message1, data, data]);
    assert.equal(effects.most, 1);
  }));

Deno.test("call() is not disturbed by forged words that its session is unknown", () =>
  inVirtualTime(async (now) => {
    const effects = new Effects();
    const site = new FakeSite(effects.handler, now);
    let forging = false;
    const line = {
      ...directLine(site),
      async send(frame: Uint8Array, receive: (bytes: Uint8Array) => void) {
        const { session, type } = decodeFrame(frame);
        if (forging && type === FrameType.data) {
          receive(encodeFrame(FrameType.unknown, session, 0, new Uint8Array()));
          receive(encodeFrame(FrameType.unknown, suite.randomBytes(8), 0, new Uint8Array()));
        }
        const answer = await site.responder.receive(frame, device);
        if (answer !== null) receive(answer);
      },
    };
    await using channel = site.channel(line, site.enrol());
    await channel.call(utf8("before"));
    forging = true;
    assert.equal(text(await channel.call(utf8("one"))), "answer to one");
    forging = false;
    assert.equal(text(await channel.call(utf8("two"))), "answer to two");
    assert.equal(effects.most, 1);
  }));

Deno.test("call() is refused with the code that the other side gave", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(() => Promise.reject(new Refusal("overloaded", "no")), now);
    await using channel = site.channel(directLine(site), site.enrol());
    await assert.rejects(channel.call(utf8("x")), { name: "Refusal", code: "overloaded" });
  }));

Deno.test("call() hides a fault of the other side behind one word", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(() => Promise.reject(new Error("the secret is hunter2")), now);
    await using channel = site.channel(directLine(site), site.enrol());
    await assert.rejects(channel.call(utf8("x")), (error: Error & { code: string }) => {
      return error.code === "unavailable" && !error.message.includes("hunter2");
    });
  }));

Deno.test("call() gives up when its time is over, and the channel lives on", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(new Effects().handler, now);
    let silent = false;
    const line = directLine(site, (_frame, deliver) => silent ? Promise.resolve(null) : deliver());
    await using channel = site.channel(line, site.enrol());
    await channel.call(utf8("before"));
    silent = true;
    const began = now();
    await assert.rejects(channel.call(utf8("x"), { within: 7_000 }), { code: "no_answer" });
    assert.equal(now() - began, 7_000);
    silent = false;
    assert.equal(text(await channel.call(utf8("after"))), "answer to after");
  }));

Deno.test("call() ends at once when the channel is closed, and nothing is sent any more", () =>
  inVirtualTime(async (now) => {
    const site = new FakeSite(new Effects().handler, now);
    const sent: Uint8Array[] = [];
    let silent = false;
    const line = directLine(site, (frame, deliver) => {
      sent.push(frame);
      return silent ? Promise.resolve(null) : deliver();
    });
    const channel = site.channel(line, site.enrol());
    await channel.call(utf8("before"));
    silent = true;
    const waiting = assert.rejects(channel.call(utf8("under way")), { code: "channel_closed" });
    await new Promise((resolve) => setTimeout(resolve, 10));
    sent.length = 0;
    const closing = channel[Symbol.asyncDispose]();
    const late = assert.rejects(channel.call(utf8("a secret")), { code: "channel_closed" });
    await Promise.all([closing, waiting, late]);
    await assert.rejects(channel.call(utf8("too late")), { code: "channel_closed" });
    // least of all under a key that has been wiped
    assert.deepEqual(sent, []);
  }));

async function callAll(
  channel: Channel,
  { calls, atOnce }: { calls: number; atOnce: number },
): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < calls) {
      const body = `call ${next++}`;
      assert.equal(text(await channel.call(utf8(body), patient)), `answer to ${body}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
}

/** A number is used for the first time only while the oldest that is repeated is in the window. */
function checkWindow(line: LossyLine): void {
  const top = new Map<string, number>();
  for (const { session, seq } of line.sent) {
    const highest = Math.max(seq, top.get(session) ?? 0);
    assert.ok(seq > highest - 64, `${seq} was sent when ${highest} had been`);
    top.set(session, highest);
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
