/**
 * Evaluations on their way to another thread: one buffer for many, which changes hands without a copy,
 * so that the shares in it are in one place at a time and can be wiped there. Each is
 * `length(2) proof(1) share(32) public share(32) input`; each answer is `state(1) point(32) proof(64)`.
 */
import type { Suite } from "../trust/crypto.ts";
import type { Answer } from "../trust/share/scheme.ts";
import { evaluate } from "../trust/share/voprf.ts";

/** What `evaluate` of core/trust/share takes. */
export interface EvaluationTask {
  /** 32 bytes, secret. */
  readonly share: Uint8Array;
  /** 32 bytes. */
  readonly publicShare: Uint8Array;
  readonly input: Uint8Array;
  /** Whether the answer is to be proven. */
  readonly proof: boolean;
}

const fixed = 2 + 1 + 32 + 32;
const answerSize = 1 + 32 + 64;
const states = ["failed", "plain", "proven"] as const;

/** Whether it can travel. What cannot is wrong in one way or another: `evaluate` knows in which. */
export function isSendable({ share, publicShare, input }: EvaluationTask): boolean {
  return share.length === 32 && publicShare.length === 32 && input.length <= 0xffff;
}

export function packEvaluations(tasks: readonly EvaluationTask[]): ArrayBuffer {
  let size = 0;
  for (const { input } of tasks) size += fixed + input.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { share, publicShare, input, proof } of tasks) {
    view.setUint16(at, input.length);
    view.setUint8(at + 2, proof ? 1 : 0);
    bytes.set(share, at + 3);
    bytes.set(publicShare, at + 35);
    bytes.set(input, at + fixed);
    at += fixed + input.length;
  }
  return bytes.buffer;
}

/** Views into the buffer. */
export function unpackEvaluations(buffer: ArrayBuffer): EvaluationTask[] {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const tasks: EvaluationTask[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + fixed + view.getUint16(at);
    tasks.push({
      proof: view.getUint8(at + 2) === 1,
      share: bytes.subarray(at + 3, at + 35),
      publicShare: bytes.subarray(at + 35, at + fixed),
      input: bytes.subarray(at + fixed, end),
    });
    at = end;
  }
  return tasks;
}

/** Does what a message asks for, and wipes the message. */
export function answerEvaluations(suite: Suite, message: ArrayBuffer): ArrayBuffer {
  try {
    const tasks = unpackEvaluations(message);
    const answers = new Uint8Array(tasks.length * answerSize);
    tasks.forEach((task, i) => {
      try {
        const { answer, proof } = evaluate(suite, task);
        const at = i * answerSize;
        answers[at] = states.indexOf(proof === null ? "plain" : "proven");
        answers.set(answer, at + 1);
        if (proof !== null) answers.set(proof, at + 33);
        answer.fill(0);
      } catch { /* who asked finds out why: it stays "failed" */ }
    });
    return answers.buffer;
  } finally {
    new Uint8Array(message).fill(0);
  }
}

/** One answer for each task, null for what failed; wipes the message, for an answer opens volumes. */
export function unpackAnswers(message: ArrayBuffer): (Answer | null)[] {
  const bytes = new Uint8Array(message);
  const answers: (Answer | null)[] = [];
  for (let at = 0; at < bytes.length; at += answerSize) {
    const state = states[bytes[at]!];
    const answer = bytes.slice(at + 1, at + 33);
    const proof = state === "proven" ? bytes.slice(at + 33, at + answerSize) : null;
    answers.push(state === "failed" ? null : { answer, proof });
  }
  bytes.fill(0);
  return answers;
}
