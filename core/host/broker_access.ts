/** How the site gets to its broker: the address and the credentials that the configuration names. */
import type { ConnectOptions } from "../services/mqtt/mod.ts";
import { readSecret } from "../services/secret_reference.ts";
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
