/** Which cloud a fog belongs to, from the enrolment code that the cloud gave out. */
import { toBase64url } from "../../core/base/bytes.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { readSecret } from "../../core/services/secret_reference.ts";
import { type Enrolment, enrolmentFromJson } from "../../core/wire/enrolment.ts";
import type { Config } from "./config.ts";

/** Null when the fog has none. @throws CodedError when `code_file` is of no use */
export function cloudOf({ code_file, cloud, cloud_key }: Config): Enrolment | null {
  if (code_file === undefined) {
    if (cloud === undefined) return null;
    throw new CodedError("code_missing", "Cannot reach the cloud: code_file is not set", {
      hint: "write what `edgeward admin enrol fog ID --json` prints at the cloud into a file",
    });
  }
  let text: string;
  try {
    text = readSecret(code_file).reveal();
  } catch (error) {
    throw new CodedError("code_missing", `Cannot read code_file: ${messageOf(error)}`, {
      hint: "write what `edgeward admin enrol fog ID --json` prints at the cloud into that file",
    });
  }
  const enrolment = enrolmentFromJson(text);
  if (cloud_key !== undefined && cloud_key !== toBase64url(enrolment.noiseKey)) {
    throw new CodedError("cloud_key_differs", "Cannot reach the cloud: cloud_key is not its key", {
      hint: "remove cloud_key, or ask the cloud for a new code",
    });
  }
  return { ...enrolment, url: cloud ?? enrolment.url };
}
