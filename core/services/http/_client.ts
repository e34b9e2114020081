/**
 * Who a client is, for limits: its address. Of an IPv6 address the /64 counts, since one household
 * has as many addresses in it as it likes. What a request says about its origin is believed only
 * when it comes from a proxy that the site trusts.
 */
import { BlockList, isIP, isIPv4 } from "node:net";

export interface Clients {
  /** @param from the address of the socket; `forwarded` is the request's X-Forwarded-For */
  of(from: string, forwarded?: string): string;
  isProxy(from: string): boolean;
}

/** @param trusted addresses and networks (`10.0.0.0/8`) of proxies, checked by the configuration */
export function clients(trusted: readonly string[] = []): Clients {
  const proxies = new BlockList();
  for (const entry of trusted) {
    const [network, bits] = entry.split("/") as [string, string?];
    const family = isIPv4(network) ? "ipv4" : "ipv6";
    if (bits === undefined) proxies.addAddress(network, family);
    else proxies.addSubnet(network, Number(bits), family);
  }
  const isProxy = (address: string) =>
    trusted.length > 0 && proxies.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  return {
    isProxy: (from) => isProxy(unmapped(from)),
    of(from, forwarded) {
      let client = unmapped(from);
      // the last proxy has written the last entry: whoever stands before the trusted ones is it
      for (const entry of (forwarded ?? "").split(",").reverse()) {
        const before = unmapped(entry.trim());
        if (!isProxy(client) || isIP(before) === 0) break;
        client = before;
      }
      return isIPv4(client) ? client : network64(client);
    },
  };
}

/** `::ffff:192.0.2.1` is an IPv4 address as a socket of both families has it. */
function unmapped(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

function network64(address: string): string {
  const [left, right] = address.replace(/%.*$/, "").split("::") as [string, string?];
  const groups = left === "" ? [] : left.split(":");
  if (right !== undefined) {
    const behind = right === "" ? 0 : right.split(":").length + (right.includes(".") ? 1 : 0);
    while (groups.length + behind < 8) groups.push("0");
    if (right !== "") groups.push(...right.split(":"));
  }
  return `${groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(":")}::/64`;
}
