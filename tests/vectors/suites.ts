/** Every filling of `Suite` that this machine has: the same vectors run against each. */
import type { Suite } from "../../core/trust/crypto.ts";
import { nobleSuite } from "../../core/trust/crypto_noble.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";

export const suites: readonly Suite[] = [
  nativeSuite(),
  nobleSuite((length) => crypto.getRandomValues(new Uint8Array(length))),
];
