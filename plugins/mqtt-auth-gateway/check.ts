/** What `edgeward doctor` finds out about the gateway: are the tokens of its hooks there? */
import { messageOf } from "../../core/base/errors.ts";
import type { Finding } from "../../core/host/plugin.ts";
import { readSecret } from "../../core/services/secret_reference.ts";
import type { Config } from "./config.ts";

export async function* check({ routes, profiles }: Config): AsyncIterable<Finding> {
  if (profiles.includes("v1")) {
    yield {
      state: "degraded",
      what: "profiles: v1 is spoken, whose keys a broker could exchange and which keeps no secrets",
      hint: 'move devices to v2, and remove "v1" when the last one has',
    };
  }
  for (const { method, token_file } of routes) {
    if (token_file === undefined) continue;
    try {
      readSecret(token_file).wipe();
    } catch (error) {
      yield {
        state: "degraded",
        what: `routes: the token for ${method} is not there: ${messageOf(error)}`,
        hint: "its calls fail until the file can be read by the user running edgeward",
      };
    }
  }
}
