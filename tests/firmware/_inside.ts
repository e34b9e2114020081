/**
 * The side of a check that is inside XS: takes its name and vectors as JSON, and answers with what the
 * check returned or with the error that it threw.
 */
import { utf8 } from "../../core/base/bytes.ts";
import { checks } from "../vectors/checks.ts";
import { plainSuite } from "../vectors/plain_suite.ts";

export interface Request {
  /** One of `checks`, or "modules": the files that the bundle holds. */
  readonly check: string;
  readonly vectors: unknown;
}

export type Answer = { readonly value: unknown } | { readonly error: string };

/** Makes the worker answer. @param modules every PURE module by its path, evaluated */
export function serve(modules: Readonly<Record<string, object>>): void {
  const host = globalThis as unknown as {
    handleCommand(request: ArrayBuffer): { result?: ArrayBuffer };
  };
  host.handleCommand = (request) => {
    // The worker answers when no job is left, with what is the result then.
    const reply: { result?: ArrayBuffer } = {};
    answer(modules, new TextDecoder().decode(request)).then((answer) => {
      reply.result = utf8(JSON.stringify(answer)).slice().buffer;
    });
    return reply;
  };
}

async function answer(
  modules: Readonly<Record<string, object>>,
  request: string,
): Promise<Answer> {
  try {
    const { check, vectors } = JSON.parse(request) as Request;
    if (check === "modules") return { value: Object.keys(modules) };
    return { value: await checks[check]!.run(plainSuite(), vectors) ?? null };
  } catch (error) {
    const { message, stack } = error as Error;
    return { error: `${message}\n${stack}` };
  }
}
