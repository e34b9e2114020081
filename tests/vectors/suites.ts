/** Every filling of `Suite` that this machine has: the same vectors run against each. */
import type { Primitive, Suite } from "../../core/trust/crypto.ts";
import { nobleSuite } from "../../core/trust/crypto_noble.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";

export const suites: readonly Suite[] = [
  nativeSuite(),
  nobleSuite((length) => crypto.getRandomValues(new Uint8Array(length))),
];

/** The Suite's name for the title of a test, which also says when noble stands in for the runtime. */
export function fillingOf(suite: Suite, primitive: Primitive): string {
  const standsIn = suite.name === "native" && !suite.native.includes(primitive);
  return standsIn ? "native, which lacks it: noble stands in" : suite.name;
}
