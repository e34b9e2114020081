/** The bot's token, from where the configuration says that it is. */
import { CodedError } from "../../core/base/errors.ts";
import type { Secret } from "../../core/base/secret.ts";
import { readSecret } from "../../core/services/secret_reference.ts";

/** @throws CodedError "secret_unreadable", "token_malformed" */
export function readToken(reference: string): Secret<string> {
  const token = readSecret(reference);
  if (/^\d{1,20}:[\w-]{20,100}$/.test(token.reveal())) return token;
  token.wipe();
  throw new CodedError("token_malformed", "Cannot use the token: it has not the form of one", {
    hint: "it is what BotFather shows: a number, a colon, and some 35 letters and digits",
  });
}
