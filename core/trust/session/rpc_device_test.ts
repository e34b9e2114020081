/**
 * The device's side of an `rpc` session: what the site asks it, how its own calls find their answers,
 * and how it notices that nobody knows its session any more. Both sides at once, under any schedule of
 * faults, are in rpc_machines_test.ts.
 */
import assert from "node:assert/strict";
import { nativeSuite } from "../../services/crypto_native.ts";
import { encodeRefusal, readRpc } from "../../wire/json_rpc.ts";
import { encodeMessage } from "./call.ts";
import { decodeFrame, FrameType } from "./frame.ts";
import { request, result, RpcSite } from "./_test_rpc.ts";

const tools = { suite: nativeSuite(), readRpc };
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const isData = (frame: Uint8Array) => frame[1] === FrameType.data;

/** A device in its session; its first call is answered. */
function connected() {
  const site = new RpcSite(tools);
  const device = site.device();
  const { live, body } = site.hear(device.connect());
  device.machine.receive(site.respond(live, body));
  device.turn();
  assert.deepEqual(device.outcomes.splice(0).map((outcome) => "answer" in outcome), [true]);
  /** The site calls: the frame. */
  const ask = (id: number | string, within = 30_000) => {
    site.requests.ask(device.session, request(id), site.now + within);
    return site.turn().frames[0]!;
  };
  return { site, device, ask };
}

Deno.test("Caller hands out a request once, and answers each repetition with the same bytes", () => {
  const { site, device, ask } = connected();
  const frame = ask(1);
  device.machine.receive(frame);
  device.machine.receive(frame);
  assert.deepEqual(device.turn(), []);
  assert.deepEqual(device.requests.map(({ body }) => text(body)), [text(request(1))]);
  device.machine.answer(device.requests[0]!, result(1));
  const [answer, ...others] = device.turn();
  assert.deepEqual(others, []);
  assert.ok(site.answered(answer!));
  for (let i = 0; i < 3; i++) {
    device.machine.receive(frame);
    assert.deepEqual(device.turn(), [answer]);
  }
  assert.equal(device.requests.length, 1);
  device.machine.answer(device.requests[0]!, result("twice"));
  assert.deepEqual(device.turn(), []);
});

Deno.test("Caller keeps 64 answers, and refuses the requests before", () => {
  const { site, device } = connected();
  const { live } = { live: device.session };
  const frames = Array.from(
    { length: 65 },
    (_, i) => live.session.seal(encodeMessage({ kind: "rpc", body: request(i) })),
  );
  for (const [i, frame] of frames.entries()) {
    device.machine.receive(frame);
    device.turn();
    device.machine.answer(device.requests[i]!, result(i));
    site.hear(device.turn()[0]!);
  }
  device.machine.receive(frames[1]!);
  assert.equal(device.turn().length, 1);
  assert.throws(() => device.machine.receive(frames[0]!), { code: "replayed" });
});

Deno.test("Caller takes no more than 64 requests before it has answered one", () => {
  const { device } = connected();
  const { session } = device.session;
  const ask = (i: number) =>
    device.machine.receive(session.seal(encodeMessage({ kind: "rpc", body: request(i) })));
  for (let i = 0; i < 64; i++) ask(i);
  assert.throws(() => ask(64), { name: "CallError", code: "too_many_calls" });
  device.turn();
  assert.equal(device.requests.length, 64);
  device.machine.answer(device.requests[9]!, result(9));
  ask(65);
});

Deno.test("Caller acts on a request that overtakes the answer to its enrolment, but not before that", () => {
  const site = new RpcSite(tools);
  const device = site.device();
  device.call("first");
  device.machine.receive(site.greet(device.turn()[0]!)!);
  const joined = site.greet(device.turn()[0]!)!;
  site.requests.ask(device.session, request(1), site.now + 30_000);
  device.machine.receive(site.turn().frames[0]!);
  device.turn();
  assert.deepEqual(device.requests, []);
  device.machine.receive(joined);
  device.turn();
  device.machine.answer(device.requests[0]!, result(1));
  assert.ok(device.turn().some((frame) => site.answered(frame)));
});

Deno.test("Caller has no use for the answer to a request of a session that has ended", () => {
  const { site, device, ask } = connected();
  device.machine.receive(ask(1));
  device.turn();
  site.now += 7 * 24 * 60 * 60 * 1000 + 1;
  device.connect("second");
  device.machine.answer(device.requests[0]!, result(1));
  assert.deepEqual(device.turn(), []);
});

Deno.test("Caller matches answers by their id: in any order, text is no number, nobody's are ignored", () => {
  const { site, device } = connected();
  const calls = [7, "7", "b"].map((id) => device.call(id));
  const heard = device.turn().map((frame) => site.hear(frame));
  const [seven, text7, b] = heard.map(({ live, body }) => site.respond(live, body));
  const { live } = heard[0]!;
  const seal = (body: Uint8Array) => live.session.seal(encodeMessage({ kind: "rpc", body }));
  device.machine.receive(seal(result(8)));
  device.machine.receive(text7!);
  device.machine.receive(seal(encodeRefusal("b", "no_such_relay", "There is none")));
  device.machine.receive(b!);
  device.machine.receive(seven!);
  device.turn();
  assert.deepEqual(device.outcomes, [
    { call: calls[1], answer: result("7") },
    { call: calls[2], refusal: "no_such_relay" },
    { call: calls[0], answer: result(7) },
  ]);
});

Deno.test("Caller takes no answer to a call that it has not made yet", () => {
  const { site, device } = connected();
  for (let i = 0; i < 49; i++) device.call(i);
  assert.equal(device.turn().length, 48);
  const { session } = device.session;
  device.machine.receive(session.seal(encodeMessage({ kind: "rpc", body: result(48) })));
  device.turn();
  assert.deepEqual(device.outcomes, []);
  assert.equal(site.requests.size, 0);
});

Deno.test("Caller gives no id to two calls, as long as the first may be answered in its session", () => {
  const { site, device } = connected();
  const inUse = { name: "CallError", code: "id_in_use" };
  device.call(1, 1_000);
  const { live, body } = site.hear(device.turn()[0]!);
  assert.throws(() => device.call(1), inUse);
  site.now += 1_000;
  device.turn();
  assert.deepEqual(device.outcomes.map((outcome) => "failure" in outcome), [true]);
  assert.throws(() => device.call(1), inUse);
  device.machine.receive(site.respond(live, body));
  device.call(1);
  assert.throws(() => device.machine.call(result(2), Infinity), { code: "malformed" });
  assert.throws(() => device.machine.call(new Uint8Array(3), Infinity), { name: "RpcError" });
});

Deno.test("Caller gives an id again whose call was given up in a session that has ended", () => {
  const { site, device } = connected();
  device.call(1, 1_000);
  device.run(1_000);
  assert.throws(() => device.call(1), { code: "id_in_use" });
  site.now += 7 * 24 * 60 * 60 * 1000;
  device.connect("second");
  device.call(1);
});

Deno.test("Caller makes other calls, and answers, while a slow one is under way, and hears its answer", () => {
  const { site, device, ask } = connected();
  const slow = device.call("slow", 300_000);
  const { live, body } = site.hear(device.turn()[0]!);
  let [answered, repeated, waited] = [0, 0, 0];
  for (let i = 0; i < 200; i++) {
    device.machine.receive(ask(i));
    const first = device.turn();
    device.machine.answer(device.requests.at(-1)!, result(i));
    device.call(`own-${i}`, 300_000);
    const before = device.outcomes.length;
    for (let sent = [...first, ...device.turn()]; sent.length > 0; sent = device.turn()) {
      for (const frame of sent) {
        const step = site.answerer.take(frame);
        if (step.step === "again") {
          repeated++;
          continue;
        }
        assert.ok(step.step === "message");
        const head = readRpc(step.plaintext);
        if (head.kind === "request") {
          device.machine.receive(site.respond(step.live, step.plaintext));
        } else {
          const { id } = head;
          if (site.requests.responded(step.live, id, { answer: step.plaintext })) answered++;
        }
      }
    }
    if (device.outcomes.length === before) waited++;
    site.now += 200;
  }
  // one that was sent three times is slow, and not worth the window of the others
  assert.deepEqual([answered, repeated, device.outcomes.length], [200, 2, 200]);
  assert.ok(waited > 0 && waited < 10, `${waited} calls had to wait`);
  device.machine.receive(site.respond(live, body));
  device.turn();
  assert.deepEqual(device.outcomes.at(-1), { call: slow, answer: result("slow") });
});

Deno.test("Caller seals an answer anew that has fallen behind the window of the site, and no other", () => {
  const { site, device, ask } = connected();
  const frame = ask("lost", 300_000);
  device.machine.receive(frame);
  device.turn();
  device.machine.answer(device.requests[0]!, result("lost"));
  const [lost] = device.turn();
  const chat = (i: number) => {
    device.machine.receive(ask(i));
    device.turn();
    device.machine.answer(device.requests.at(-1)!, result(i));
    assert.ok(site.answered(device.turn()[0]!));
  };
  for (let i = 0; i < 20; i++) chat(i);
  for (let i = 0; i < 43; i++) {
    device.call(`own-${i}`);
    site.hear(device.turn()[0]!);
  }
  device.machine.receive(frame);
  assert.deepEqual(device.turn(), [lost]);
  chat(20);
  device.machine.receive(frame);
  const [again] = device.turn();
  assert.notDeepEqual(again, lost);
  assert.throws(() => site.answerer.take(lost!), { code: "replayed" });
  assert.ok(site.answered(again!));
  device.machine.receive(frame);
  assert.deepEqual(device.turn(), [again]);
});

Deno.test("Caller asks a silent site whether it is there after 6 s, and begins anew after 14", () => {
  const { site, device } = connected();
  device.call(1, 60_000);
  const sent = device.run(15_000);
  const times = sent.map(({ frame, after }) => [after, decodeFrame(frame).type]);
  const { data, message1 } = FrameType;
  // the call and its repetitions, between them from 6 s on the question; after 14.5 s the handshake
  assert.deepEqual(times, [
    ...[[0, data], [2_000, data], [6_000, data], [6_000, data], [8_000, data], [12_000, data]],
    ...[[14_000, data], [14_500, message1]],
  ]);
  const [call, again, question] = sent.map(({ frame }) => frame);
  assert.deepEqual(call, again);
  assert.equal(decodeFrame(question!).seq, decodeFrame(call!).seq + 1);
  assert.notEqual(site.greet(question!), null);
});

Deno.test("Caller does not take it for silence of the site that it cannot reach it", () => {
  const { device } = connected();
  device.call(1, 60_000);
  for (let i = 0; i < 60; i++) {
    for (const { frame } of device.run(1_000)) {
      assert.ok(isData(frame));
      device.machine.failed(frame, "unreachable");
    }
  }
  device.call(2, 60_000);
  assert.ok(device.run(8_000).every(({ frame }) => isData(frame)));
  assert.ok(device.run(8_000).some(({ frame }) => !isData(frame)));
});

Deno.test("Caller does not end the session in which a call takes long", () => {
  const { site, device } = connected();
  const slow = device.call("slow", 300_000);
  const { live, body } = site.hear(device.turn()[0]!);
  for (let i = 0; i < 240; i++) {
    for (const { frame } of device.run(1_000)) {
      assert.ok(isData(frame));
      const step = site.answerer.take(frame);
      if (step.step === "again") continue;
      assert.ok(step.step === "message");
      const { seq } = step;
      const answer = { kind: "answer", to: seq, body: new Uint8Array(1) } as const;
      device.machine.receive(live.session.seal(encodeMessage(answer)));
    }
  }
  device.machine.receive(site.respond(live, body));
  device.turn();
  assert.deepEqual(device.outcomes, [{ call: slow, answer: result("slow") }]);
});

Deno.test("Caller begins anew although each of its calls is given up before 6 s are over", () => {
  const { device } = connected();
  const types: number[] = [];
  for (let i = 0; i < 4; i++) {
    device.call(i, 3_000);
    types.push(...device.run(20_000).map(({ frame }) => decodeFrame(frame).type));
  }
  assert.ok(types.includes(FrameType.message1), `${types}`);
});
