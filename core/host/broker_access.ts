/** How the site gets to its broker: the address and the credentials that the configuration names. */
import type { ConnectOptions } from "../services/mqtt/mod.ts";
import { readSecret } from "../services/secret_reference.ts";
import type { SiteConfig } from "./config/mod.ts";

type MqttConfig = SiteConfig["mqtt"];

/** @throws CodedError "secret_unreadable" */
export function brokerAccess(
  { url, prefix, username, password_file, ca_file, cert_file, key_file }: MqttConfig,
): Pick<ConnectOptions, "url" | "username" | "password" | "tls"> {
  const tls = {
    ...(ca_file !== undefined && { caFile: ca_file }),
    ...(cert_file !== undefined && { certFile: cert_file }),
    ...(key_file !== undefined && { keyFile: key_file }),
  };
  return {
    url: url === "embedded" ? url : brokerAddress(url, { prefix }),
    tls,
    ...(username !== undefined && { username }),
    ...(password_file !== undefined && { password: readSecret(password_file) }),
  };
}

/** A broker's address for the site and its peers: with the prefix of the site's topics. */
export function brokerAddress(url: string, { prefix }: Pick<MqttConfig, "prefix">): string {
  return prefix === "" ? url : `${url}#${prefix}`;
}
