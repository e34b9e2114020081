/** What the site's own routes answer when something was wrong, as a problem with its code and next step. */
import { CodedError } from "../base/errors.ts";
import { DatabaseError } from "../services/db/mod.ts";
import { problem } from "../services/http/mod.ts";
import { PeerError } from "../services/peers/mod.ts";

/** @throws what is no error raised on purpose: that is for the log alone */
export function apiError(error: unknown): Response {
  if (!(error instanceof CodedError)) throw error;
  return problem(statusOf(error), error.code, error.message, {
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}

function statusOf(error: CodedError): number {
  if (error instanceof DatabaseError) return 503;
  if (error.code.endsWith("_unknown")) return 404;
  return error instanceof PeerError ? 409 : 400;
}
