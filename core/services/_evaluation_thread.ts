/** What a thread of `evaluation.ts` runs: it answers each message, in their order. */
import { answerEvaluations } from "./_evaluation_message.ts";
import { nativeSuite } from "./crypto_native.ts";

/** What of a thread's own scope is used here. */
interface Thread {
  onmessage: (event: MessageEvent<ArrayBuffer>) => void;
  postMessage(message: ArrayBuffer, transfer: ArrayBuffer[]): void;
}

const suite = nativeSuite();
const thread = self as unknown as Thread;

thread.onmessage = ({ data }) => {
  const answers = answerEvaluations(suite, data);
  thread.postMessage(answers, [answers]);
};
