/**
 * What the writer's thread runs: it does what it is told, one thing after the other, and answers each.
 * An error leaves as what it means, without the values that the driver puts into it.
 */
import { DatabaseError, withoutValues } from "./_errors.ts";
import type { StatementResult, WriterAnswer, WriterOrder } from "./_writer.ts";
import { WriterConnection } from "./_writer_connection.ts";

/** What of a thread's own scope is used here. */
interface Thread {
  onmessage: (event: MessageEvent<readonly WriterOrder[]>) => void;
  postMessage(answers: readonly WriterAnswer[]): void;
}

const thread = self as unknown as Thread;
const connection = new WriterConnection();
let last = Promise.resolve();

thread.onmessage = ({ data }) => {
  last = last.then(async () => {
    const answers: WriterAnswer[] = [];
    for (const order of data) answers.push(await answerTo(order));
    thread.postMessage(answers);
  });
};

async function answerTo(order: WriterOrder): Promise<WriterAnswer> {
  try {
    return { result: await obey(order) };
  } catch (thrown) {
    const error = withoutValues(thrown);
    if (!(error instanceof DatabaseError)) return { error: { message: "a statement failed" } };
    const { code, message, hint } = error;
    return { error: { code, message, ...(hint !== undefined && { hint }) } };
  }
}

async function obey(order: WriterOrder): Promise<StatementResult | undefined> {
  switch (order.do) {
    case "open":
      await connection.open(order.url);
      return;
    case "execute":
      return await connection.execute(order.statement);
    default:
      await connection[order.do]();
      return;
  }
}
