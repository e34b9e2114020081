/** The published consistency cases of a Merkle log, good and bad ones, against the verifier. */
import assert from "node:assert/strict";
import { fromBase64 } from "../../core/base/bytes.ts";
import { provesConsistency } from "../../core/trust/log/merkle.ts";
import { missing, readVectors } from "./_read.ts";
import { suites } from "./suites.ts";

interface Case {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

for (const suite of suites) {
  Deno.test({
    name: `provesConsistency() agrees with every published case (${suite.name})`,
    ignore: missing,
    fn() {
      const cases = Object.entries(readVectors<Record<string, Case>>("merkle/consistency.json"));
      assert.ok(cases.length > 90);
      for (const [name, { size1, size2, root1, root2, proof, wantErr }] of cases) {
        const proves = provesConsistency(suite, {
          old: size1,
          size: size2,
          oldRoot: fromBase64(root1),
          root: fromBase64(root2),
          proof: (proof ?? []).map(fromBase64),
        });
        assert.equal(proves, !wantErr, name);
      }
    },
  });
}
