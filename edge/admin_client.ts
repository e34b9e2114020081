/** Talking to a running site on this machine, over the unix socket in its data directory. */
import { CodedError, messageOf } from "../core/base/errors.ts";
import { socketPath } from "../core/host/data_dir.ts";

/** Milliseconds after which a site that does not answer is taken to hang. */
const patience = 30_000;

/**
 * Sends one request. @throws CodedError "not_running", "not_allowed", "no_answer", or with the code that
 * the site answered
 */
export async function askSite(
  dataDir: string,
  path: string,
  options: { method?: string; body?: unknown } = {},
): Promise<unknown> {
  using client = Deno.createHttpClient({
    proxy: { transport: "unix", path: socketPath(dataDir) },
  });
  let response: Response;
  try {
    response = await fetch(`http://edgeward${path}`, {
      client,
      method: options.method ?? "GET",
      signal: AbortSignal.timeout(patience),
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    });
  } catch (error) {
    throw whyNot(error);
  }
  const answer = await response.json();
  if (response.ok) return answer;
  throw new CodedError(String(answer.code), String(answer.detail), {
    ...(typeof answer.hint === "string" && { hint: answer.hint }),
  });
}

/** Why nothing answers. The runtime tells it in words only. */
function whyNot(cause: unknown): CodedError {
  if (cause instanceof DOMException && cause.name === "TimeoutError") {
    const hint = "look at its log; if it hangs, restart it";
    return new CodedError("no_answer", "The site runs, but it does not answer", { hint, cause });
  }
  if (/permission denied/i.test(messageOf(cause))) {
    const hint = "ask as root, or as that user";
    return new CodedError("not_allowed", "Cannot reach the site: only the user that runs it may", {
      hint,
      cause,
    });
  }
  return new CodedError("not_running", "Cannot reach the site: it does not run here", {
    hint: "start it with `edgeward run -c FILE`, and name the same FILE with -c",
    cause,
  });
}
