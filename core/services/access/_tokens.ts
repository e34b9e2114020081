/**
 * API tokens: who may look (viewer), decide (operator) and configure (admin) over HTTP. A token is
 * 32 random bytes that are shown once; the database holds their SHA-256, which is enough for a secret
 * that nobody chose.
 */
import { sql } from "drizzle-orm";
import { fromBase64url, toBase64url, toHex, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Suite } from "../../trust/crypto.ts";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { Audit } from "../audit.ts";
import type { Database, Migration } from "../db/mod.ts";

/** From the least to the most; each may do what those before it may. */
export const apiRoles = ["viewer", "operator", "admin"] as const;
export type ApiRole = typeof apiRoles[number];

export function isApiRole(value: unknown): value is ApiRole {
  return (apiRoles as readonly unknown[]).includes(value);
}

/** Who makes a request. */
export interface Principal {
  /** Of the token, for the audit. */
  readonly id: string;
  readonly role: ApiRole;
}

/** A token as a list shows it. Times are Unix milliseconds. */
export interface TokenRow extends Principal {
  readonly note: string;
  readonly created: number;
  readonly expires: number | null;
  readonly revoked: number | null;
}

export class TokenError extends CodedError<"token_unknown" | "bad_note"> {
  override readonly name = "TokenError";
}

export interface Tokens {
  /** Makes a token. It is in the answer and nowhere else. @param options.ttl milliseconds */
  add(
    role: ApiRole,
    options?: { readonly note?: string; readonly ttl?: number; readonly actor?: string },
  ): Promise<{ readonly id: string; readonly token: string }>;
  list(): Promise<readonly TokenRow[]>;
  /** From now on it opens nothing. @throws TokenError "token_unknown" */
  revoke(id: string, actor?: string): Promise<void>;
  /** Whose token it is; null when it is nobody's, any more or at all. */
  check(token: string): Promise<Principal | null>;
}

export const tokenMigrations: readonly Migration[] = [{
  sql: `CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    note TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER
  ) STRICT, WITHOUT ROWID`,
}];

/** The form of a token; the prefix lets scanners of leaked secrets find it. */
const form = /^edgeward_([0-9a-f]{8})_([A-Za-z0-9_-]{43})$/;
const longestNote = 100;

export function openTokens(
  { db, suite, audit, clock }: { db: Database; suite: Suite; audit: Audit; clock: Clock },
): Tokens {
  return {
    async add(role, { note = "", ttl, actor = "site" } = {}) {
      if (note.length > longestNote || /\p{Cc}/u.test(note)) {
        throw new TokenError("bad_note", "Cannot take the note: too long, or not one line", {
          hint: `use at most ${longestNote} characters`,
        });
      }
      const id = toHex(suite.randomBytes(4)); // on a command line, a hyphen in front would be an option
      const secret = suite.randomBytes(32);
      const hash = suite.sha256(secret);
      const expires = ttl === undefined ? null : clock() + ttl;
      await db.write(async (tx) => {
        await tx.run(sql`INSERT INTO tokens (id, hash, role, note, created, expires)
          VALUES (${id}, ${hash}, ${role}, ${note}, ${clock()}, ${expires})`);
        await audit.append(tx, {
          ...{ type: "token.added", actor, subject: id },
          detail: { role, note, expires },
        });
      });
      return { id, token: `edgeward_${id}_${toBase64url(secret)}` };
    },

    list: () =>
      db.read((q) =>
        q.all<TokenRow>(sql`SELECT id, role, note, created, expires, revoked FROM tokens
          ORDER BY created, id`)
      ),

    async revoke(id, actor = "site") {
      await db.write(async (tx) => {
        const { rowsAffected } = await tx.run(sql`
          UPDATE tokens SET revoked = coalesce(revoked, ${clock()}) WHERE id = ${id}`);
        if (rowsAffected === 0) {
          throw new TokenError(
            "token_unknown",
            "Cannot revoke the token: there is none of this id",
            {
              hint: "`edgeward admin token list` shows them",
            },
          );
        }
        await audit.append(tx, { type: "token.revoked", actor, subject: id });
      });
    },

    async check(token) {
      const [, id, secret] = form.exec(token) ?? [];
      if (id === undefined || secret === undefined) return null;
      const [row] = await db.read((q) =>
        q.all<Row>(sql`SELECT hash, role, expires, revoked FROM tokens WHERE id = ${id}`)
      );
      // the same work whether the id is known or not
      const expected = row === undefined ? nobodys : new Uint8Array(row.hash);
      const same = timingSafeEqual(suite.sha256(secretOf(secret)), expected);
      if (!same || row === undefined || row.revoked !== null) return null;
      if (row.expires !== null && row.expires <= clock()) return null;
      return { id, role: row.role };
    },
  };
}

interface Row {
  readonly hash: ArrayBuffer;
  readonly role: ApiRole;
  readonly expires: number | null;
  readonly revoked: number | null;
}

const nobodys = new Uint8Array(32);

/** Its last digit may have stray bits: then it is somebody's typing error, and no token. */
function secretOf(text: string): Uint8Array {
  try {
    return fromBase64url(text);
  } catch {
    return utf8(text);
  }
}
