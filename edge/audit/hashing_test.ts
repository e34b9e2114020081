/** The hash that begins anew is the same function. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { forManyHashes } from "./hashing.ts";

Deno.test("forManyHashes() hashes what the suite hashes, however often and in however many parts", () => {
  const suite = nativeSuite();
  const { sha256 } = forManyHashes(suite);
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (parts) => {
      const digest = sha256(...parts);
      sha256(Uint8Array.of(1));
      assert.deepEqual(digest, suite.sha256(...parts));
    }),
    { numRuns: 500 },
  );
});
