/** Schemas of network addresses: where a listener binds, and where the broker is. */
import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { refuse } from "./_refuse.ts";

/** Where a listener binds. Port 0 asks the system for a free one. */
export interface ListenAddress {
  /** A host name or an address; IPv6 without brackets. */
  readonly hostname: string;
  readonly port: number;
}

/** Reads `"127.0.0.1:8080"`, `"[::1]:8080"` or `"localhost:0"`. */
export function listenAddress() {
  return z.string().transform((text, context): ListenAddress => {
    const [, v6, name, digits] = /^(?:\[([^\]]*)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
    const port = Number(digits);
    const hostname = v6 ?? name ?? "";
    const known = v6 === undefined ? isHostname(hostname) : isIPv6(v6);
    if (known && port <= 65_535) return { hostname, port };
    return refuse(
      context,
      "expected an address and a port",
      'write it as "127.0.0.1:8080", or "[::1]:8080" for IPv6',
    );
  });
}

/** Reads `"embedded"` or a broker's URL, which must not carry credentials: logs show it. */
export function mqttUrl() {
  return z.string().transform((text, context): string => {
    if (text === "embedded") return text;
    const url = URL.parse(text);
    if (!url || !/^(mqtts?|wss?):$/.test(url.protocol) || url.hostname === "") {
      return refuse(
        context,
        'expected "embedded" or the URL of a broker',
        "write the URL as mqtt://HOST, mqtts://HOST, ws://HOST/PATH or wss://HOST/PATH",
      );
    }
    if (url.hash !== "") {
      return refuse(
        context,
        "expected a URL without a fragment",
        'give the levels before all topics by the key "prefix"',
      );
    }
    if (url.username !== "" || url.password !== "") {
      return refuse(
        context,
        "expected a URL without user name and password",
        'give them by the keys "username" and "password_file"',
      );
    }
    return text;
  });
}

function isHostname(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return isIPv4(text);
  return /^(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(text);
}
