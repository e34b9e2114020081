/**
 * A method's way out of the gateway: its calls are posted as JSON to an address of the operator's, whose
 * answer is the call's result. Nothing is tried twice and no redirect is followed; size, time and number
 * of calls under way are bounded, and an address that fails again and again is left in peace for a while.
 *
 * Of a call that was sent and not answered nobody knows whether it took effect, and that is said so.
 */
import { utf8 } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import { messageOf } from "../../core/base/errors.ts";
import type { Secret } from "../../core/base/secret.ts";
import type { Log } from "../../core/services/logging.ts";
import { readSecret } from "../../core/services/secret_reference.ts";
import { decodeRpc, type Json } from "../../core/wire/json_rpc.ts";
import type { Route } from "./config.ts";
import { RpcRefusal } from "./refusal.ts";

/** What an address is told. */
export interface HookCall {
  readonly site: string;
  readonly device: string;
  readonly method: string;
  readonly params: Json | null;
  /** 32 hexadecimal digits: two calls with the same are one. */
  readonly once: string;
}

export interface Hook {
  /** @throws RpcRefusal "hook_busy", "hook_down": nothing would be sent now */
  check(): void;
  /** @throws RpcRefusal "hook_…", "outcome_unknown" */
  run(call: HookCall): Promise<Json>;
}

/** Bytes of an answer, at the most. */
const answerLimit = 32_768;
const underWay = 16;
/** After so many failures in a row an address has so many milliseconds of rest. */
const failuresInRow = 5;
const rest = 30_000;

/** @param options.clock milliseconds that never go backwards */
export function hookOf(
  route: Pick<Route, "url" | "token_file" | "timeout">,
  { clock, log }: { clock: Clock; log: Log },
): Hook {
  let running = 0;
  let failures = 0;
  let restsUntil = -Infinity;

  function succeeded(): void {
    failures = 0;
  }

  function failed(): void {
    // one call at a time finds out whether the rest has helped
    if (++failures >= failuresInRow) restsUntil = clock() + rest;
  }

  function check(): void {
    if (running >= underWay) {
      throw new RpcRefusal("hook_busy", "Cannot call: too many calls are under way");
    }
    const isTrial = failures >= failuresInRow;
    if (isTrial && (clock() < restsUntil || running > 0)) {
      throw new RpcRefusal("hook_down", "Cannot call: the address has failed again and again");
    }
  }

  /** Read each time: whoever changes the token need not restart the site. */
  function tokenNow(): Secret<string> | null {
    if (route.token_file === undefined) return null;
    try {
      return readSecret(route.token_file);
    } catch (cause) {
      // where the file should be is not the device's business
      log.warn("the token of a hook cannot be read", { error: cause });
      throw new RpcRefusal("hook_unreachable", "Cannot reach the address", { cause });
    }
  }

  async function post(call: HookCall): Promise<Json> {
    const token = tokenNow();
    const signal = AbortSignal.timeout(route.timeout);
    let response: Response;
    try {
      response = await fetch(route.url!, {
        method: "POST",
        headers: {
          "idempotency-key": call.once,
          ...(token !== null && { authorization: `Bearer ${token.reveal()}` }),
        },
        // the runtime sends text a second time by itself when a connection breaks off, a blob it does not
        body: new Blob([JSON.stringify(call)], { type: "application/json" }),
        redirect: "manual",
        signal,
      });
    } catch (error) {
      failed();
      throw trouble(error);
    }
    const { status } = response;
    try {
      if (status >= 200 && status < 300) {
        const result = resultOf(await textOf(response));
        succeeded();
        return result;
      }
      await response.body?.cancel();
    } catch (error) {
      failed();
      throw error instanceof RpcRefusal ? error : unknownOutcome(error);
    }
    if (status >= 400 && status < 500) {
      succeeded(); // it works, and says no
      throw new RpcRefusal("hook_refused", `The call was refused with status ${status}`);
    }
    failed();
    throw new RpcRefusal("hook_failed", `The call failed with status ${status}`);
  }

  return {
    check,
    async run(call) {
      check();
      running++;
      try {
        return await post(call);
      } finally {
        running--;
      }
    },
  };
}

/** Reads no further than an answer may be long. */
async function textOf({ body }: Response): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > answerLimit) {
      throw new RpcRefusal("hook_answer", `The answer is longer than ${answerLimit} bytes`);
    }
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

/** What a device could be told as it is. No body is a result too: nothing to say. */
function resultOf(text: string): Json {
  if (text.trim() === "") return null;
  try {
    // read as strictly as if a device had sent it; what ends the value early has unknown members
    const message = decodeRpc(utf8(`{"jsonrpc":"2.0","id":0,"result":${text}}`));
    if (message.kind === "result") return message.result;
  } catch { /* said below */ }
  throw new RpcRefusal("hook_answer", "The answer is no JSON that can be passed on");
}

/** Only where no connection came to be is it certain that nothing was sent. */
function trouble(error: unknown): RpcRefusal {
  if (messageOf(error).includes("client error (Connect)")) {
    return new RpcRefusal("hook_unreachable", "Cannot reach the address", { cause: error });
  }
  return unknownOutcome(error);
}

function unknownOutcome(cause: unknown): RpcRefusal {
  return new RpcRefusal("outcome_unknown", "The call was sent, and no answer came", { cause });
}
