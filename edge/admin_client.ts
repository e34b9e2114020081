/** Talking to a running site on this machine, over the unix socket in its data directory. */
import { CodedError } from "../core/base/errors.ts";
import { socketPath } from "../core/host/site.ts";

/** Sends one request. @throws CodedError "not_running", or with the code that the site answered */
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
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    });
  } catch (error) {
    throw new CodedError("not_running", "Cannot reach the site: it does not run here", {
      hint: "start it with `edgeward run -c FILE`, and name the same FILE with -c",
      cause: error,
    });
  }
  const answer = await response.json();
  if (response.ok) return answer;
  throw new CodedError(String(answer.code), String(answer.detail), {
    ...(typeof answer.hint === "string" && { hint: answer.hint }),
  });
}
