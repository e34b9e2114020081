/**
 * The site's side of an `rpc` session: how it calls a device, what becomes of a call whose session
 * ends, whom it can call at all, and that nobody else's answer is taken for the device's.
 */
import assert from "node:assert/strict";
import { nativeSuite } from "../../services/crypto_native.ts";
import { readRpc } from "../../wire/json_rpc.ts";
import { encodeMessage } from "./call.ts";
import { request, result, type RpcDevice, RpcSite } from "./_test_rpc.ts";

const tools = { suite: nativeSuite(), readRpc };
const day = 24 * 60 * 60 * 1000;

/** A device in a session that its first frame has confirmed. */
function connected(site = new RpcSite(tools), name = "d-1") {
  const device = site.device(name);
  device.connect();
  const ask = (id: number | string, within = 30_000) =>
    site.requests.ask(device.session, request(id), site.now + within);
  return { site, device, ask };
}

/** The device's answer to a frame. */
function answerTo(device: RpcDevice, frame: Uint8Array, id: number | string): Uint8Array {
  device.machine.receive(frame);
  device.turn();
  device.machine.answer(device.requests.at(-1)!, result(id));
  return device.turn().at(-1)!;
}

/** Lets time pass; gives when frames were sent. */
function run(site: RpcSite, milliseconds: number) {
  const [begin, end] = [site.now, site.now + milliseconds];
  const sent: Uint8Array[] = [], times: number[] = [], outcomes: unknown[] = [];
  for (;;) {
    const turn = site.turn();
    for (const frame of turn.frames) {
      sent.push(frame);
      times.push(site.now - begin);
    }
    outcomes.push(...turn.outcomes);
    if (turn.due > end) break;
    site.now = turn.due;
  }
  site.now = end;
  return { sent, times, outcomes };
}

Deno.test("Requests repeats a frame byte for byte after 2, 4, 8, 10 s, until it is answered", () => {
  const { site, device, ask } = connected();
  const call = ask(1, 60_000);
  const { sent, times } = run(site, 30_000);
  assert.deepEqual(times, [0, 2_000, 6_000, 14_000, 24_000]);
  for (const frame of sent) assert.deepEqual(frame, sent[0]);
  const answer = answerTo(device, sent[3]!, 1);
  assert.ok(site.answered(answer));
  assert.deepEqual(site.answerer.take(answer), { step: "again", answer: undefined });
  assert.deepEqual(run(site, 60_000).outcomes, [{ call, answer: result(1) }]);
  assert.equal(site.turn().due, Infinity);
  assert.equal(site.requests.size, 0);
});

Deno.test("Requests gives a call up at its deadline, and ignores what comes late", () => {
  const { site, device, ask } = connected();
  const call = ask(1, 5_000);
  const { sent, outcomes } = run(site, 4_999);
  assert.deepEqual(outcomes, []);
  assert.deepEqual(run(site, 1).outcomes, [{ call, failure: "no_answer" }]);
  assert.throws(() => ask(1), { code: "id_in_use" });
  assert.equal(site.answered(answerTo(device, sent[0]!, 1)), false);
  ask(1);
});

Deno.test("Requests makes no call again when its session is replaced: what became of it is unknown", () => {
  const { site, device, ask } = connected();
  const [lost, answered] = [ask("lost"), ask("answered")];
  const [, frame] = run(site, 0).sent;
  const answer = answerTo(device, frame!, "answered");
  assert.ok(site.answered(answer));
  // the device has forgotten everything, and comes back with its key
  const old = device.session;
  site.now += 1_000;
  const rebooted = device.rebooted();
  rebooted.connect("again");
  assert.notEqual(rebooted.session, old);
  assert.deepEqual(run(site, 60_000), {
    ...{ sent: [], times: [] },
    outcomes: [{ call: answered, answer: result("answered") }, {
      call: lost,
      failure: "outcome_unknown",
    }],
  });
});

Deno.test("Requests knows of a call that was never sent that it was not", () => {
  const { site, device, ask } = connected();
  ask("slow", day);
  run(site, 0);
  const live = device.session;
  for (let i = 0; i < 47; i++) {
    ask(i);
    const [frame] = site.turn().frames;
    site.answered(answerTo(device, frame!, i));
  }
  site.turn();
  const waits = ask("waits");
  assert.deepEqual(site.turn().frames, []);
  site.answerer.update(device.id, null);
  assert.deepEqual(site.turn().outcomes.map((outcome) => "failure" in outcome && outcome), [
    { call: 1, failure: "outcome_unknown" },
    { call: waits, failure: "not_connected" },
  ]);
  assert.throws(() => live.session.seal(new Uint8Array(1)), { code: "ended" });
});

Deno.test("Requests takes no answer from another device, and none from another session", () => {
  const site = new RpcSite(tools);
  const [one, two] = [connected(site, "d-1"), connected(site, "d-2")];
  const calls = [one.ask(1), two.ask(1)];
  const [toOne, toTwo] = run(site, 0).sent;
  const answers = [answerTo(one.device, toOne!, 1), answerTo(two.device, toTwo!, 1)];
  assert.ok(site.answered(answers[1]!));
  assert.deepEqual(site.turn().outcomes, [{ call: calls[1], answer: result(1) }]);
  // the frame of one says nothing in the name of two
  assert.throws(() => site.answerer.take(answers[0]!, two.device.id), { code: "wrong_device" });
  assert.ok(site.answered(answers[0]!));
  assert.deepEqual(site.turn().outcomes, [{ call: calls[0], answer: result(1) }]);
});

Deno.test("Requests has 16 calls of a device under way, and 1,024 in all", () => {
  const site = new RpcSite(tools);
  const tooMany = { name: "CallError", code: "too_many_calls" };
  for (let i = 0; i < 64; i++) {
    const { ask } = connected(site, `d-${i}`);
    for (let k = 0; k < 16; k++) ask(k);
    assert.throws(() => ask(16), tooMany);
  }
  const { ask } = connected(site, "d-64");
  assert.throws(() => ask(0), tooMany);
  site.now += 30_000;
  site.turn();
  ask(0);
});

Deno.test("Requests repeats nothing that the device would refuse as too old, and hears its answer", () => {
  const { site, device, ask } = connected();
  const call = ask("slow", 60_000);
  const [frame] = site.turn().frames;
  const answer = answerTo(device, frame!, "slow");
  const live = device.session;
  for (let i = 0; i < 64; i++) {
    live.session.seal(encodeMessage({ kind: "rpc", body: result(i) }));
  }
  assert.deepEqual(run(site, 30_000).sent, []);
  assert.ok(site.answered(answer));
  assert.deepEqual(site.turn().outcomes, [{ call, answer: result("slow") }]);
});

Deno.test("Answerer names the session of a device once it was used, and of approved devices only", () => {
  const site = new RpcSite(tools);
  const device = site.device();
  assert.equal(site.answerer.confirmed(device.id), undefined);
  device.call("first");
  device.machine.receive(site.greet(device.turn()[0]!)!);
  assert.equal(site.answerer.confirmed(device.id), undefined);
  const [enrolment] = device.turn();
  assert.equal(site.answerer.ownerOf(enrolment!), device.id);
  site.greet(enrolment!);
  const live = site.answerer.confirmed(device.id)!;
  assert.equal(live.device, device.id);
  live.peer = { ...live.peer!, state: "enrolled" };
  assert.equal(site.answerer.confirmed(device.id), undefined);
  live.peer = null;
  assert.equal(site.answerer.confirmed(device.id), undefined);
  const strange = enrolment!.slice();
  strange[3]! ^= 1;
  assert.equal(site.answerer.ownerOf(strange), null);
  assert.throws(() => site.answerer.ownerOf(new Uint8Array(5)), { name: "FrameError" });
});

Deno.test("Answerer tells of each session that ends: replaced, of age, or of a device that may not", () => {
  const { site, device } = connected();
  const first = device.session;
  const rebooted = device.rebooted();
  rebooted.connect("again");
  assert.deepEqual(site.ended, [first]);
  const second = device.session;
  site.now += 7 * day + 1;
  assert.equal(site.answerer.confirmed(device.id), undefined);
  assert.deepEqual(site.ended, [first, second]);
  const { device: other } = connected(site, "d-2");
  const third = other.session;
  site.answerer.update(other.id, null);
  assert.deepEqual(site.ended, [first, second, third]);
  connected(site, "d-3");
  site.answerer.close();
  assert.equal(site.ended.length, 3);
});
