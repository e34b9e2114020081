/**
 * Contradictions in the chains of fogs, kept as evidence: another statement at a place that is taken,
 * or one that does not fit there. What is empty instead of a statement was told by its hash alone, or
 * lies among the summaries.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Link } from "../../core/wire/uplink.ts";

export interface Evidence extends Link {
  readonly statement: Uint8Array;
}

/** Pieces of evidence against one fog; whoever has made so many makes no more difference. */
export const maxEvidence = 100;

/** Writes down what is new, as long as there is room, and gives that. */
export async function writeEvidence(
  tx: Queries,
  fog: Id,
  { evidence, receivedAt }: { evidence: readonly Evidence[]; receivedAt: number },
): Promise<Link[]> {
  if (evidence.length === 0) return [];
  const rows = await tx.all<{ name: string }>(sql`
    SELECT epoch || '.' || seq || '.' || lower(hex(hash)) AS name
    FROM cloud_summary_conflicts WHERE fog_id = ${fog}`);
  const known = new Set(rows.map(({ name }) => name));
  const written: Link[] = [];
  for (const { epoch, seq, hash, statement } of evidence) {
    const name = `${epoch}.${seq}.${toHex(hash)}`;
    if (known.size >= maxEvidence || known.has(name)) continue;
    known.add(name);
    await tx.run(sql`INSERT INTO cloud_summary_conflicts
      VALUES (${fog}, ${epoch}, ${seq}, ${hash}, ${receivedAt}, ${statement})`);
    written.push({ epoch, seq, hash });
  }
  return written;
}
