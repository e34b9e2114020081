/**
 * The checks that every engine must pass: what they run and need is plain ECMAScript, so that the same
 * cases run in Deno under every Suite and inside XS. A check throws where something differs; what it
 * returns must be the same everywhere.
 */
import type { Suite } from "../../core/trust/crypto.ts";
import { type CacophonyVector, replayCacophony } from "./cacophony.ts";
import { transcribeParsers } from "./parsers.ts";
import { runPrimitives } from "./primitives.ts";
import { same } from "./same.ts";
import { playSession, type SessionVector } from "./session_v2.ts";
import { playStatement, type StatementVector } from "./statement.ts";
import { type LegacyVector, playLegacy } from "./v1.ts";

export interface Check {
  /** The file of vectors that it is given: our own lies beside this one, the others in shared/vectors. */
  readonly file: string | null;
  readonly run: (suite: Suite, vectors: unknown) => unknown;
}

/** By a sentence for the names of tests. */
export const checks: Readonly<Record<string, Check>> = {
  "Handshake reproduces the cacophony vectors": check<{ vectors: CacophonyVector[] }>(
    "noise/cacophony.json",
    (suite, { vectors }) => {
      same(vectors.length, 18, "how many there are");
      for (const vector of vectors) replayCacophony(suite, vector);
    },
  ),
  "sessions are those of session_v2.json": check<{ sessions: SessionVector[] }>(
    "session_v2.json",
    (suite, { sessions }) => {
      for (const session of sessions) {
        same(playSession(suite, session, { walk: 100 }), session, session.name);
      }
    },
  ),
  "profile v1 is that of v1.json": check<{ associations: LegacyVector[] }>(
    "v1.json",
    (suite, { associations }) => {
      same(associations.length, 3, "how many there are");
      for (const vector of associations) same(playLegacy(suite, vector), vector, vector.name);
    },
  ),
  "statements are those of statement.json": check<{ statements: StatementVector[] }>(
    "statement.json",
    async (suite, { statements }) => {
      for (const [i, statement] of statements.entries()) {
        const name = `${i}, ${statement.algorithm}`;
        same(await playStatement(suite, statement), statement, name);
      }
    },
  ),
  "a Suite's primitives fit together": check(null, runPrimitives),
  "parsers take and refuse the same bytes everywhere": check(null, transcribeParsers),
};

function check<V>(file: string | null, run: (suite: Suite, vectors: V) => unknown): Check {
  return { file, run: (suite, vectors) => run(suite, vectors as V) };
}
