/** Evaluations on other threads, against `evaluate` itself and the proofs that devices check. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import { utf8 } from "../base/bytes.ts";
import { parseId } from "../base/id.ts";
import { deal, publicShare } from "../trust/share/dealing.ts";
import type { Roster } from "../trust/share/roster.ts";
import { type Answer, ShareError } from "../trust/share/scheme.ts";
import { evaluate, voprfCombiner } from "../trust/share/voprf.ts";
import {
  answerEvaluations,
  type EvaluationTask,
  packEvaluations,
  unpackAnswers,
  unpackEvaluations,
} from "./_evaluation_message.ts";
import { nativeSuite } from "./crypto_native.ts";
import { EvaluationPool } from "./evaluation.ts";

const suite = nativeSuite();
const { shares: [share], commitments } = deal(suite, { k: 1, n: 1 }) as ReturnType<typeof deal> & {
  shares: [Uint8Array];
};
const roster: Roster = {
  ...{ group: parseId("test"), epoch: 1, k: 1, n: 1, commitments, dealers: [] },
  members: [{
    ...{ index: 1, id: parseId("gw-1"), url: "http://gw-1" },
    ...{ noiseKey: new Uint8Array(32), signKey: new Uint8Array(32) },
  }],
};
const good = { share, publicShare: publicShare(commitments, 1) };

/** A pool, and what it complains of. */
function poolOf(options: { threads: number; program?: URL }) {
  const complaints: string[] = [];
  const error = (message: string) => void complaints.push(message);
  const log = { debug() {}, info() {}, warn() {}, error };
  const pool = new EvaluationPool({ log, suite, ...options });
  return { pool, complaints, [Symbol.dispose]: () => pool[Symbol.dispose]() };
}

function tasks(count: number): EvaluationTask[] {
  return Array.from({ length: count }, (_, i) => {
    return { ...good, input: utf8("x".repeat(i)), proof: i % 2 === 1 };
  });
}

/** Throws unless a device takes them. */
function requireRight(answers: readonly Answer[], of: readonly EvaluationTask[]): void {
  assert.equal(answers.length, of.length);
  answers.forEach((answer, i) => {
    const { input, proof } = of[i]!;
    assert.deepEqual(answer.answer, evaluate(suite, { ...good, input, proof: false }).answer);
    assert.equal(answer.proof !== null, proof);
    voprfCombiner(suite, { roster, input, proofs: proof ? "required" : "later" }).take(1, answer);
  });
}

function programOf(source: string): URL {
  return new URL(`data:application/javascript,${encodeURIComponent(source)}`);
}

for (const [threads, where] of [[0, "here"], [1, "on another thread"], [2, "on two threads"]]) {
  Deno.test(`an EvaluationPool answers as evaluate() does, ${where}`, async () => {
    using test = poolOf({ threads: threads as number });
    for (const count of [1, 2, 30, 1]) {
      const all = tasks(count);
      requireRight(await Promise.all(all.map((task) => test.pool.evaluate(task))), all);
    }
    assert.deepEqual(test.complaints, []);
    assert.notDeepEqual(share, new Uint8Array(32), "the caller's share is the caller's");
  });

  Deno.test(`an EvaluationPool throws what evaluate() throws, ${where}`, async () => {
    using test = poolOf({ threads: threads as number });
    const [task] = tasks(2).slice(1) as [EvaluationTask];
    const bad = [
      { ...task, share: new Uint8Array(32).fill(255) },
      { ...task, share: share.slice(1) },
      { ...task, publicShare: new Uint8Array(32) },
      { ...task, publicShare: new Uint8Array(33) },
      { ...task, input: new Uint8Array(65_536) },
    ];
    const results = await Promise.allSettled(
      [...bad, task, ...bad].map((task) => test.pool.evaluate(task)),
    );
    const [right] = results.splice(bad.length, 1);
    results.forEach((result, i) => {
      assert.ok(result.status === "rejected" && result.reason instanceof ShareError);
      const { code, message } = result.reason;
      assert.throws(() => evaluate(suite, bad[i % bad.length]!), { code, message });
    });
    assert.ok(right?.status === "fulfilled");
    requireRight([right.value], [task]);
    assert.deepEqual(test.complaints, []);
  });
}

Deno.test("an EvaluationPool starts threads for two, not for one, and then keeps to them", async () => {
  // they answer what is wrong, so that it shows where it was done: a point of zeros
  const program = programOf(`onmessage = ({ data }) => {
    const answers = new Uint8Array(97);
    answers[0] = 1;
    postMessage(answers.buffer);
  }`);
  using test = poolOf({ threads: 2, program });
  const [one, two] = tasks(3).filter(({ proof }) => !proof) as [EvaluationTask, EvaluationTask];
  const isHere = ({ answer }: Answer) => answer.some((byte) => byte !== 0);
  for (let i = 0; i < 3; i++) assert.ok(isHere(await test.pool.evaluate(one)));
  const both = await Promise.all([one, two].map((task) => test.pool.evaluate(task)));
  assert.deepEqual(both.map(isHere), [false, false]);
  assert.ok(!isHere(await test.pool.evaluate(one)));
});

Deno.test("an EvaluationPool has a share of its own from the moment it is asked", async () => {
  using test = poolOf({ threads: 1 });
  for (const count of [1, 10]) {
    const all = tasks(count);
    const answers = all.map(async (task) => {
      const share = task.share.slice();
      const answer = test.pool.evaluate({ ...task, share });
      share.fill(0);
      return await answer;
    });
    requireRight(await Promise.all(answers), all);
  }
});

Deno.test("an EvaluationPool that ends answers what still waits", async () => {
  using test = poolOf({ threads: 1 });
  const all = tasks(60);
  const answers = all.map((task) => test.pool.evaluate(task));
  await answers[0];
  test.pool[Symbol.dispose]();
  requireRight(await Promise.all(answers), all);
  const [task] = all as [EvaluationTask];
  requireRight([await test.pool.evaluate(task)], [task]);
});

Deno.test("an EvaluationPool refuses when too many wait", async () => {
  // a thread that answers anything at once: this is not about what it answers
  const program = programOf(`onmessage = ({ data }) => {
    const answers = new Uint8Array(97 * 8);
    for (let at = 0; at < answers.length; at += 97) answers[at] = 1;
    postMessage(answers.buffer);
  }`);
  using test = poolOf({ threads: 1, program });
  const [task] = tasks(1) as [EvaluationTask];
  // four groups of eight are given to the thread, all others wait
  const few = Array.from({ length: 32 + 1_024 }, () => test.pool.evaluate(task));
  await assert.rejects(test.pool.evaluate(task), { code: "overloaded" });
  assert.equal((await Promise.all(few)).length, 32 + 1_024);
  await test.pool.evaluate(task);
});

Deno.test("an EvaluationPool whose threads fail evaluates all itself, and says so", async () => {
  using test = poolOf({
    threads: 2,
    program: programOf("onmessage = () => { throw new Error('no') }"),
  });
  for (const count of [50, 3]) {
    const all = tasks(count);
    requireRight(await Promise.all(all.map((task) => test.pool.evaluate(task))), all);
  }
  assert.deepEqual(test.complaints, ["evaluating on other threads failed"]);
});

Deno.test("an EvaluationPool whose threads fail lets others in between", async () => {
  using test = poolOf({ threads: 1, program: programOf("throw new Error('no')") });
  const order: string[] = [];
  const all = tasks(40).map(async (task, i) => {
    await test.pool.evaluate(task);
    order.push(`${i}`);
    if (i === 0) setImmediate(() => order.push("other"));
  });
  await Promise.all(all);
  assert.equal(order.at(-1), "39");
  assert.ok(order.includes("other"), order.join(" "));
});

Deno.test("a thread wipes the message that it was sent", async () => {
  const real = new URL("./_evaluation_thread.ts", import.meta.url);
  // it fails if anything is left: the pool would complain
  const program = programOf(`
    import ${JSON.stringify(real)};
    const real = self.onmessage;
    self.onmessage = (event) => {
      real(event);
      if (new Uint8Array(event.data).some((byte) => byte !== 0)) throw new Error("it is not wiped");
    };`);
  using test = poolOf({ threads: 1, program });
  const [task] = tasks(1) as [EvaluationTask];
  const bad = { ...task, share: new Uint8Array(32).fill(255) };
  const first = [test.pool.evaluate(task), test.pool.evaluate(bad)];
  assert.deepEqual((await Promise.allSettled(first)).map(({ status }) => status), [
    "fulfilled",
    "rejected",
  ]);
  // the complaint of the first would come before the second answer
  await test.pool.evaluate(task);
  assert.deepEqual(test.complaints, []);
});

Deno.test("messages are wiped once they are read", () => {
  const all = tasks(3);
  const message = packEvaluations(all);
  const answers = answerEvaluations(suite, message);
  requireRight(unpackAnswers(answers) as Answer[], all);
  const bad = packEvaluations([{ ...all[0]!, share: new Uint8Array(32).fill(255) }]);
  assert.deepEqual(unpackAnswers(answerEvaluations(suite, bad)), [null]);
  for (const buffer of [message, answers, bad]) {
    assert.deepEqual(new Uint8Array(buffer), new Uint8Array(buffer.byteLength));
  }
});

Deno.test("evaluations pass through a message as they are", () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const task = fc.record({
    share: bytes(32),
    publicShare: bytes(32),
    input: fc.uint8Array({ maxLength: 300 }),
    proof: fc.boolean(),
  }, { noNullPrototype: true });
  fc.assert(fc.property(fc.array(task), (all) => {
    const unpacked = unpackEvaluations(packEvaluations(all)).map((one) => ({
      share: one.share.slice(),
      publicShare: one.publicShare.slice(),
      input: one.input.slice(),
      proof: one.proof,
    }));
    assert.deepEqual(unpacked, all);
  }));
});
