/**
 * Identifiers of devices, sites and gateways. The alphabet is the largest one that no broker treats
 * specially: anything else would let a sender publish a wildcard or into another device's topic.
 */
import { CodedError } from "./errors.ts";

declare const checked: unique symbol;
/** A string that matched `^[A-Za-z0-9_-]{1,64}$`. */
export type Id = string & { readonly [checked]: "Id" };

const pattern = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether the text is a valid identifier. */
export function isId(text: unknown): text is Id {
  return typeof text === "string" && pattern.test(text);
}

/** @throws CodedError "id_invalid" */
export function parseId(text: unknown): Id {
  if (isId(text)) return text;
  throw new CodedError("id_invalid", "Cannot accept the identifier: it is not a valid name", {
    hint: "use 1 to 64 letters, digits, hyphens and underscores",
  });
}
