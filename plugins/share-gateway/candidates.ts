/**
 * Shares that were offered to this gateway and that no group uses yet. One that it has signed for is
 * never given up for another: whoever dealt it may have everybody's signature by now, and then it will
 * say so, however late. So of each gateway the last two offers are kept; only a group of its own, an
 * end that the dealer announces, or a third offer, takes them away.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Secrets } from "../../core/services/secrets.ts";
import type { Wrapper } from "./wrapping.ts";

export interface Candidate {
  readonly nonce: Uint8Array;
  /** The gateway that offered it. */
  readonly dealer: Id;
  /** The payload. */
  readonly roster: Uint8Array;
  readonly share: Uint8Array;
}

/** Each works within the caller's transaction. */
export interface Candidates {
  find(tx: Queries, nonce: Uint8Array): Promise<Candidate | null>;
  put(tx: Queries, candidate: Candidate): Promise<void>;
  /** Returns whether there was one of this dealer. */
  drop(tx: Queries, nonce: Uint8Array, dealer: Id): Promise<boolean>;
  clear(tx: Queries): Promise<void>;
}

/** Of one dealer. */
const kept = 2;

export function candidatesOf(
  { secrets, lock }: { secrets: Secrets; lock: Wrapper },
): Candidates {
  async function drop(tx: Queries, nonces: readonly string[]): Promise<void> {
    for (const nonce of nonces) {
      await tx.run(sql`DELETE FROM share_gateway_candidates WHERE nonce = ${nonce}`);
      await secrets.delete(tx, nameOf(nonce));
    }
  }

  return {
    async find(tx, bytes) {
      const nonce = toHex(bytes);
      const [row] = await tx.all<{ dealer: Id; roster: ArrayBuffer }>(
        sql`SELECT dealer, roster FROM share_gateway_candidates WHERE nonce = ${nonce}`,
      );
      const value = row && await secrets.get(tx, nameOf(nonce));
      if (row === undefined || !value) return null;
      const share = lock.unwrap(nameOf(nonce), value);
      value.fill(0);
      return { nonce: bytes, dealer: row.dealer, roster: new Uint8Array(row.roster), share };
    },

    async put(tx, { nonce: bytes, dealer, roster, share }) {
      const nonce = toHex(bytes);
      const others = await tx.all<{ nonce: string }>(
        sql`SELECT nonce FROM share_gateway_candidates WHERE dealer = ${dealer} ORDER BY id DESC`,
      );
      await drop(tx, others.slice(kept - 1).map(({ nonce }) => nonce));
      await tx.run(sql`INSERT INTO share_gateway_candidates (dealer, nonce, roster)
        VALUES (${dealer}, ${nonce}, ${roster})`);
      const value = lock.wrap(nameOf(nonce), share);
      await secrets.put(tx, nameOf(nonce), value);
      value.fill(0);
    },

    async drop(tx, nonce, dealer) {
      const found = await tx.all<{ nonce: string }>(
        sql`SELECT nonce FROM share_gateway_candidates
          WHERE nonce = ${toHex(nonce)} AND dealer = ${dealer}`,
      );
      await drop(tx, found.map(({ nonce }) => nonce));
      return found.length > 0;
    },

    async clear(tx) {
      const all = await tx.all<{ nonce: string }>(sql`SELECT nonce FROM share_gateway_candidates`);
      await drop(tx, all.map(({ nonce }) => nonce));
    },
  };
}

/** Under which its share is kept. */
function nameOf(nonce: string): string {
  return `candidate/${nonce}`;
}
