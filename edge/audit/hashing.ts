/**
 * SHA-256 for millions of short inputs. The runtime's own, and a new state of noble's for each, leave
 * memory outside the heap behind that is collected late; this one keeps one state and begins it anew.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Suite } from "../../core/trust/crypto.ts";

/** The suite with its SHA-256 replaced. */
export function forManyHashes(suite: Suite): Suite {
  const fresh = sha256.create();
  const state = sha256.create();
  const digest = new Uint8Array(sha256.outputLen);
  return {
    ...suite,
    sha256(...parts) {
      fresh._cloneInto(state);
      for (const part of parts) state.update(part);
      state.digestInto(digest);
      return digest.slice();
    },
  };
}
