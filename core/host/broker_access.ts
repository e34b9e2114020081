/** How the site gets to its broker: the address and the credentials that the configuration names. */
import { readFileSync } from "node:fs";
import { CodedError, messageOf } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";
import type { ConnectOptions } from "../services/mqtt/mod.ts";
import type { SiteConfig } from "./config/mod.ts";

/** @throws CodedError "secret_unreadable" */
export function brokerAccess(
  { url, username, password_file, ca_file, cert_file, key_file }: SiteConfig["mqtt"],
): Pick<ConnectOptions, "url" | "username" | "password" | "tls"> {
  const tls = {
    ...(ca_file !== undefined && { caFile: ca_file }),
    ...(cert_file !== undefined && { certFile: cert_file }),
    ...(key_file !== undefined && { keyFile: key_file }),
  };
  return {
    url,
    tls,
    ...(username !== undefined && { username }),
    ...(password_file !== undefined && { password: readSecret(password_file) }),
  };
}

/** A secret from a file, without the newline that editors add. */
function readSecret(file: string): Secret<string> {
  try {
    return new Secret(readFileSync(file, "utf8").replace(/\r?\n$/, ""));
  } catch (error) {
    throw new CodedError("secret_unreadable", `Cannot read the secret: ${messageOf(error)}`, {
      hint: "the file must exist and be readable by the user running edgeward",
    });
  }
}
