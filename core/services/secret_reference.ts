/**
 * Where a secret is. The configuration never holds one: it names a file, or, as `env:NAME`, a variable
 * of the environment, which suits containers; other processes of the same user can read it there.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { CodedError, messageOf } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";

const form = /^env:([A-Za-z_][A-Za-z0-9_]*)$/;

/** Whether it names a variable, not a file. */
export function isEnvironmentReference(reference: string): boolean {
  return form.test(reference);
}

/** The secret, without the newline that editors add. @throws CodedError "secret_unreadable" */
export function readSecret(reference: string): Secret<string> {
  const [, name] = form.exec(reference) ?? [];
  if (name !== undefined) {
    const value = process.env[name];
    if (value !== undefined && value !== "") return new Secret(value);
    throw new CodedError("secret_unreadable", `Cannot read the secret: ${name} is not set`, {
      hint: "set the variable in the environment of the site, or name a file instead",
    });
  }
  try {
    return new Secret(readFileSync(reference, "utf8").replace(/\r?\n$/, ""));
  } catch (error) {
    throw new CodedError("secret_unreadable", `Cannot read the secret: ${messageOf(error)}`, {
      hint: "the file must exist and be readable by the user running edgeward",
    });
  }
}
