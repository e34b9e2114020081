/** What `edgeward doctor` asks of a gateway: are its files there, and may volumes be opened now? */
import { messageOf } from "../../core/base/errors.ts";
import type { Finding } from "../../core/host/plugin.ts";
import { isOpen, wallClock } from "../../core/services/hours.ts";
import { readSecret } from "../../core/services/secret_reference.ts";
import { enrolmentFromJson } from "../../core/wire/enrolment.ts";
import type { Config } from "./config.ts";
import { readSealKey } from "./wrapping.ts";

/** Reads files, and shows nothing of what is in them. */
export function* findings(config: Config, now: number): Generator<Finding> {
  const { hours, timezone, seal_key_file, gateways, faces } = config;
  if (hours.length > 0) {
    const open = isOpen(hours, wallClock(timezone)(now));
    const what = `hours: volumes may ${
      open ? "" : "not "
    }be opened now, by the clock of ${timezone}`;
    yield { state: "ok", what };
  }
  if (seal_key_file !== undefined) {
    yield attempt("seal_key_file", "failed", () => {
      readSealKey(seal_key_file)?.wipe();
      return "it can be read";
    });
  }
  for (const { code_file: file } of gateways) {
    yield attempt(`gateways: ${file}`, "degraded", () => {
      return `a code of the gateway "${enrolmentFromJson(readSecret(file).reveal()).site}"`;
    });
  }
  const files = [
    faces.fragment_token_file,
    ...Object.values(faces.devices).map(({ secret_file }) => secret_file),
  ];
  for (const file of files) {
    if (file === undefined) continue;
    yield attempt(`faces: ${file}`, "failed", () => {
      readSecret(file);
      return "it can be read";
    });
  }
}

export async function* check(config: Config): AsyncGenerator<Finding> {
  yield* findings(config, Date.now());
}

function attempt(what: string, state: Finding["state"], look: () => string): Finding {
  try {
    return { state: "ok", what: `${what}: ${look()}` };
  } catch (error) {
    const hint = (error as { hint?: string }).hint;
    return { state, what: `${what}: ${messageOf(error)}`, ...(hint !== undefined && { hint }) };
  }
}
