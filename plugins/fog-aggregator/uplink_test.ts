/**
 * The uplink against a cloud that comes and goes: everything arrives once and in order, answers may be
 * lost, the cloud may be away or slow or busy, and what is new goes before what has piled up.
 */
import assert from "node:assert/strict";
import { decodeUplinkCall, encodeHead, encodeSummariesAnswer } from "../../core/wire/uplink.ts";
import type { Fate } from "./_fake_cloud.ts";
import { minute, openTestUplink, outboxState, type TestUplink } from "./_test_uplink.ts";
import { maxBytes } from "./backlog.ts";

const names = (n: number, epoch = 1) => Array.from({ length: n }, (_, i) => `${epoch}.${i + 1}`);
const types = ({ events }: TestUplink) => events.map(({ type, severity }) => `${type} ${severity}`);

Deno.test("the uplink carries summaries in order, each once, and settles them", async () => {
  await using test = await openTestUplink();
  await test.append(3);
  await test.deliver();
  await test.append(2);
  await test.deliver();
  assert.deepEqual(test.cloud.calls, [["1.1", "1.2", "1.3"], ["1.4", "1.5"]]);
  assert.deepEqual(test.cloud.names, names(5));
  assert.equal((await test.outbox.counts()).pending, 0);
  assert.deepEqual(types(test), ["fog.uplink_up info"]);
  assert.equal(test.troubles.at(-1), null);
  const { up, head } = test.uplink.status();
  assert.deepEqual({ up, head }, { up: true, head: { epoch: 1, seq: 5 } });
});

Deno.test("the uplink tells the clock the cloud's time, and how sure that is", async () => {
  await using test = await openTestUplink();
  test.fate = () => {
    test.clock.now += 200;
    return "answered";
  };
  await test.deliver();
  assert.deepEqual(test.learned, [[1_000_200, 100]]);
});

Deno.test("the uplink sends nothing twice when the answer was lost after the commit", async () => {
  await using test = await openTestUplink();
  await test.append(3);
  let calls = 0;
  test.fate = () => ++calls === 2 ? "unanswered" : "answered";
  test.start();
  await test.clock.pass(minute);
  assert.deepEqual(test.cloud.calls, [names(3)]);
  assert.equal((await test.outbox.counts()).acknowledged, 3);
});

Deno.test("a cloud that is away at the start is found when it comes", async () => {
  await using test = await openTestUplink();
  test.fate = () => "unheard";
  await test.append(2);
  test.start();
  await test.clock.pass(30_000);
  assert.deepEqual(types(test), ["fog.uplink_down warning"]);
  assert.equal(test.troubles.at(-1), "uplink: No way to the cloud");
  assert.equal(test.uplink.status().up, false);
  test.fate = () => "answered";
  await test.clock.pass(5 * minute);
  assert.deepEqual(test.cloud.names, names(2));
  assert.deepEqual(types(test), ["fog.uplink_down warning", "fog.uplink_up info"]);
  assert.equal(test.troubles.at(-1), null);
});

Deno.test("pauses after failures are random below a bound that doubles up to a minute", async () => {
  await using test = await openTestUplink();
  test.fate = () => "unheard";
  test.random = () => 1;
  test.start();
  await test.clock.pass(10 * minute);
  assert.deepEqual(test.clock.waits.slice(0, 9), [
    ...[500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000],
  ]);
  test.random = () => 0.1;
  await test.clock.pass(3 * minute);
  assert.equal(test.clock.waits.at(-1), 6_000);
});

Deno.test("a cloud that answers again, but only where it stands, is not left in peace", async () => {
  await using test = await openTestUplink();
  await test.append(1);
  let calls = 0;
  test.fate = () => ++calls % 2 === 1 ? "answered" : "busy";
  test.random = () => 1;
  test.start();
  await test.clock.pass(10 * minute);
  assert.equal(test.clock.waits.at(-1), minute, "the pauses do not grow");
  assert.deepEqual(types(test), ["fog.uplink_down warning"]);
  assert.equal(test.troubles.at(-1), "uplink: The other side refuses: overloaded");
});

Deno.test("the newest summaries go before the backlog, which follows in order", async () => {
  await using test = await openTestUplink();
  await test.append(300);
  test.start();
  let isFirst = true;
  test.fate = async (): Promise<Fate> => {
    if (test.cloud.calls.length === 2 && isFirst) {
      isFirst = false;
      await test.append(1);
    }
    return "answered";
  };
  await test.clock.rest();
  const [first, second, third, fourth] = test.cloud.calls;
  assert.deepEqual(first!.slice(0, 5), ["1.300", "1.299", "1.298", "1.297", "1.1"]);
  assert.equal(first!.length, 64);
  assert.equal(second![0], "1.61");
  assert.equal(third![0], "1.125");
  // the first was added while the third call was under way
  assert.deepEqual(fourth, ["1.301", ...names(251).slice(188)]);
  assert.deepEqual(test.cloud.names, names(301));
  const sent = test.cloud.calls.flat();
  assert.equal(sent.length, new Set(sent).size, "something was sent twice");
});

Deno.test("after a long outage the newest go at once and the backlog after a while", async () => {
  await using test = await openTestUplink();
  test.fate = () => "unheard";
  await test.append(10);
  test.start();
  await test.clock.pass(3 * minute);
  test.fate = () => "answered";
  test.random = () => 0.9;
  const before = test.clock.now;
  while (test.cloud.calls.length === 0) await test.clock.pass(1_000);
  const cameBack = test.clock.now;
  assert.ok(cameBack - before <= minute);
  assert.deepEqual(test.cloud.calls, [["1.10", "1.9", "1.8", "1.7"]]);
  await test.append(1);
  await test.deliver();
  assert.deepEqual(test.cloud.calls.slice(1), [["1.11"]]);
  await test.clock.pass(25_000);
  assert.equal(test.cloud.calls.length, 2);
  await test.clock.pass(3_000);
  assert.deepEqual(test.cloud.calls.slice(2), [names(6)]);
  assert.deepEqual(test.cloud.names, names(11));
});

Deno.test("a short outage delays nothing", async () => {
  await using test = await openTestUplink();
  await test.deliver();
  test.fate = () => "unheard";
  await test.append(10);
  await test.deliver();
  await test.clock.pass(1_000);
  test.fate = () => "answered";
  await test.clock.pass(5_000);
  assert.deepEqual(test.cloud.names, names(10));
});

Deno.test("a slow link is given smaller calls, and larger ones when it is faster", async () => {
  await using test = await openTestUplink();
  let limit = 20_000;
  const sizes: number[] = [];
  test.fate = (bytes) => {
    sizes.push(bytes.length);
    test.clock.now += bytes.length > limit ? 30_000 : 20;
    return bytes.length > limit ? "unheard" : "answered";
  };
  await test.append(60, { bytes: 6_000 });
  test.start();
  await test.clock.pass(30 * minute);
  assert.deepEqual(test.cloud.names, names(60));
  const tooLarge = sizes.filter((size) => size > 20_000).length;
  assert.ok(tooLarge >= 4, `${tooLarge} calls were too large`);
  limit = Infinity;
  await test.append(60, { bytes: 6_000 });
  await test.deliver();
  await test.append(60, { bytes: 6_000 });
  await test.deliver();
  assert.deepEqual(test.cloud.names, names(180));
  assert.equal(test.uplink.status().bytes_per_call, maxBytes);
});

Deno.test("a link on which one summary fits shares its calls between old and new", async () => {
  await using test = await openTestUplink();
  let news = 0;
  test.fate = async (bytes) => {
    if (bytes.length > 9_000) {
      test.clock.now += 30_000;
      return "unheard";
    }
    test.clock.now += 10_000;
    // every call takes as long as a new window
    if (news < 30) news += (await test.append(1, { bytes: 6_000 })).length;
    return "answered";
  };
  await test.append(20, { bytes: 6_000 });
  test.start();
  await test.clock.pass(60 * minute);
  assert.deepEqual(test.cloud.names, names(50));
  const old = test.cloud.calls.slice(0, 30).map(([name]) => Number(name!.slice(2)) <= 20);
  const ratio = old.filter((isOld) => isOld).length / old.length;
  assert.ok(ratio > 0.4 && ratio < 0.7, `a part of ${ratio} is old`);
});

Deno.test("a cloud that has lost everything gets it again", async () => {
  await using test = await openTestUplink();
  await test.append(70);
  await test.deliver();
  test.cloud.wipe();
  await test.append(1);
  await test.deliver();
  await test.clock.pass(2_000);
  assert.deepEqual(test.cloud.names, names(71));
  assert.deepEqual(test.cloud.lost, []);
  const again = test.events.filter(({ type, severity }) =>
    type === "fog.uplink_up" && severity === "warning"
  );
  assert.deepEqual(again.map(({ detail }) => detail.again), [70]);
});

Deno.test("a cloud that was restored to an earlier head is noticed within an hour", async () => {
  await using test = await openTestUplink();
  await test.append(5);
  await test.deliver();
  const restore = test.cloud.backup();
  await test.append(70);
  await test.deliver();
  restore();
  await test.clock.pass(61 * minute);
  assert.deepEqual(test.cloud.names, names(75));
  assert.deepEqual(test.cloud.lost, []);
  assert.deepEqual(test.cloud.conflicts, []);
  assert.equal((await test.outbox.counts()).pending, 0);
});

Deno.test("a cloud that forgets again and again is not called in a loop", async () => {
  await using test = await openTestUplink();
  await test.append(200);
  test.random = () => 1;
  const calls: number[] = [];
  test.fate = () => {
    calls.push(test.clock.now);
    if (calls.length > 5_000) throw new Error("a loop");
    if (test.cloud.calls.length % 2 === 1) test.cloud.wipe();
    return "answered";
  };
  test.start();
  await test.clock.pass(60 * minute);
  assert.ok(calls.length < 500, `${calls.length} calls in an hour`);
});

Deno.test("a cloud that says yes and acknowledges nothing is asked less and less often", async () => {
  await using test = await openTestUplink();
  await test.append(3);
  test.random = () => 1;
  const head = { ...test.cloud.head, t: 0 };
  let calls = 0;
  test.cloud.answer = (bytes) => {
    if (++calls > 1_000) throw new Error("a loop");
    const { call } = decodeUplinkCall(bytes);
    return call === "head" ? encodeHead(head) : encodeSummariesAnswer({ head, refused: [] });
  };
  test.start();
  await test.clock.pass(60 * minute);
  assert.ok(calls < 150, `${calls} calls in an hour`);
  assert.equal((await test.outbox.counts()).acknowledged, 0);
  assert.match(test.troubles.at(-1)!, /acknowledges nothing/);
});

Deno.test("a refused summary is set aside with the reason, and does not hold up the others", async () => {
  await using test = await openTestUplink();
  await test.append(6);
  const poison = new Set([3, 4]);
  test.cloud.refuses = ({ seq }) => poison.has(seq) ? "malformed" : null;
  await test.deliver();
  assert.deepEqual(test.cloud.names, ["1.1", "1.2", "1.5", "1.6"]);
  assert.deepEqual(test.cloud.lost, [
    { from: "1.2", upto: "1.3", reason: "refused: malformed" },
    { from: "1.3", upto: "1.4", reason: "refused: malformed" },
  ]);
  assert.deepEqual(await test.outbox.setAside(10), [
    { epoch: 1, seq: 4, window: 4 * minute, reason: "refused: malformed" },
    { epoch: 1, seq: 3, window: 3 * minute, reason: "refused: malformed" },
  ]);
  const alarms = test.events.filter(({ type }) => type === "fog.summary_set_aside");
  assert.deepEqual(alarms.map(({ severity, detail }) => [severity, detail]), [
    ["alarm", { epoch: 1, seq: 3, reason: "malformed" }],
    ["alarm", { epoch: 1, seq: 4, reason: "malformed" }],
  ]);
  assert.match(test.troubles.at(-1)!, /refuses 2 summaries: GET \/fog-aggregator\/outbox/);
  await test.append(1);
  await test.deliver();
  assert.equal(test.cloud.names.at(-1), "1.7");
  assert.match(test.troubles.at(-1)!, /refuses 2 summaries/);
});

Deno.test("a refused summary is no trouble once a correction of its window has come", async () => {
  await using test = await openTestUplink();
  await test.append(3);
  test.cloud.refuses = ({ seq }) => seq === 2 ? "malformed" : null;
  await test.deliver();
  assert.notEqual(test.troubles.at(-1), null);
  await test.append(1);
  await test.dirty(2);
  await test.closeDirty();
  await test.deliver();
  assert.equal(test.troubles.at(-1), null);
});

Deno.test("a poison at the end of the chain, or alone, is set aside as well", async () => {
  await using test = await openTestUplink();
  test.cloud.refuses = ({ seq }) => seq === 1 || seq === 3 ? "malformed" : null;
  await test.append(1);
  await test.deliver();
  await test.append(2);
  await test.deliver();
  assert.deepEqual(await outboxState(test), {
    ...{ "1.1": "refused: malformed", "1.2": "at the cloud", "1.3": "refused: malformed" },
  });
});

Deno.test("what was sent ahead and refused is judged when it is its turn", async () => {
  await using test = await openTestUplink();
  await test.append(200);
  test.cloud.refuses = ({ seq }) => seq === 200 ? "malformed" : null;
  await test.deliver();
  assert.equal((await outboxState(test))["1.200"], "refused: malformed");
  assert.deepEqual(test.cloud.names, names(199));
});

Deno.test("a cloud that keeps nothing ahead of its head gets all of it in order", async () => {
  await using test = await openTestUplink();
  test.cloud.maxAhead = 0;
  await test.append(200);
  await test.deliver();
  assert.deepEqual(test.cloud.names, names(200));
});

Deno.test("a hole in the outbox is named, and the chain goes on behind it", async () => {
  await using test = await openTestUplink();
  await test.append(8);
  await test.remove(["1.1", "1.2", "1.5"]);
  await test.deliver();
  assert.deepEqual(test.cloud.names, ["1.3", "1.4", "1.6", "1.7", "1.8"]);
  const reason = "not held by the fog any more";
  assert.deepEqual(test.cloud.lost, [
    { from: "0.0", upto: "1.2", reason },
    { from: "1.4", upto: "1.5", reason },
  ]);
  assert.deepEqual(test.cloud.conflicts, []);
  assert.equal((await test.outbox.counts()).pending, 0);
});

Deno.test("a cloud that lost more than the outbox holds learns what is missing", async () => {
  await using test = await openTestUplink();
  await test.append(2);
  await test.deliver();
  const restore = test.cloud.backup();
  await test.append(6);
  await test.deliver();
  await test.remove(["1.1", "1.2", "1.3", "1.4"]);
  restore();
  await test.append(1);
  await test.deliver();
  await test.clock.pass(2_000);
  assert.deepEqual(test.cloud.names, ["1.1", "1.2", "1.5", "1.6", "1.7", "1.8", "1.9"]);
  assert.deepEqual(test.cloud.lost.map(({ from, upto }) => [from, upto]), [["1.2", "1.4"]]);
  assert.deepEqual(test.events.filter(({ type }) => type === "fog.rolled_back"), []);
});

Deno.test("a cloud that loses all it has is not told that more is lost than is", async () => {
  await using test = await openTestUplink();
  await test.append(6);
  test.cloud.refuses = ({ seq }) => seq === 4 ? "malformed" : null;
  let isWhole = true;
  test.fate = () => {
    if (isWhole && test.cloud.calls.length === 1) {
      isWhole = false;
      test.cloud.wipe();
    }
    return "answered";
  };
  test.start();
  await test.clock.pass(minute);
  assert.deepEqual(test.cloud.names, ["1.1", "1.2", "1.3", "1.5", "1.6"]);
  assert.deepEqual(test.cloud.lost.map(({ from, upto }) => [from, upto]), [["1.3", "1.4"]]);
});

Deno.test("stopping ends a call that is under way, and the loop", async () => {
  await using test = await openTestUplink();
  const begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<"unheard">();
  test.fate = () => {
    begun.resolve();
    return end.promise;
  };
  test.start();
  await begun.promise;
  const stopped = test.stop();
  end.resolve("unheard");
  await stopped;
  assert.deepEqual(test.events, []);
});
