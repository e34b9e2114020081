/** Schema of a network of addresses, or of one address. */
import { isIP } from "node:net";
import { z } from "zod";
import { refuse } from "./_refuse.ts";

/** Reads `"10.0.0.0/8"`, `"192.0.2.1"`, `"fd00::/8"` or `"::1"`. */
export function network() {
  return z.string().transform((text, context): string => {
    const [, address = "", bits] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const most = { 4: 32, 6: 128 }[isIP(address)] ?? -1;
    if (Number(bits ?? 0) <= most) return text;
    return refuse(
      context,
      "expected an address or a network",
      'write it as "192.0.2.1" or "10.0.0.0/8"',
    );
  });
}
