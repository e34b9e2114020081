/**
 * The roster of a group: who its gateways are, and the Feldman commitments that their shares must lie
 * on. Every member signs it, so no gateway can be put in or left out behind another's back. A device
 * pins the first one that it seals with, and from then on takes only what k members of the one that it
 * holds have signed, over the same group key C0 (protocols.md §5).
 *
 * Each signature is a statement of its own, `application/edgeward-roster+cbor`. On the wire and in files
 * the payload, which is the same in all of them, stands once:
 * `{payload, signatures: [[kid, signature], …]}`.
 */
import { concat, equalBytes, toHex } from "../../base/bytes.ts";
import { type Cbor, decodeCbor, encodeCbor, MapReader } from "../cbor.ts";
import { encodeSign1, splitSign1 } from "../cose_sign1.ts";
import type { Signer, Suite } from "../crypto.ts";
import { fingerprint } from "../fingerprint.ts";
import { signStatement, StatementVerifier } from "../statement.ts";
import {
  decodeRoster,
  encodeRoster,
  isSameGroup,
  maxRosterBytes,
  type Member,
  type Roster,
  rosterType,
} from "./_roster_payload.ts";
import { maxMembers, ShareError } from "./scheme.ts";

export { decodeRoster, encodeRoster, maxRosterBytes, rosterType } from "./_roster_payload.ts";
export type { Member, Roster } from "./_roster_payload.ts";

export interface SignedRoster {
  readonly roster: Roster;
  /** As it was signed. */
  readonly payload: Uint8Array;
  /** One per signer, all over these payload bytes. */
  readonly statements: readonly Uint8Array[];
}

/** All members of the new roster and of the one before it. */
const maxSigners = 2 * maxMembers;
const signatureLength = 64;
const maxBytes = maxRosterBytes + maxSigners * (32 + signatureLength + 8) + 64;

/** The protected header of each statement up to the kid, its last 32 bytes (protocols.md §2). */
const headerStart = encodeCbor(
  new Map<number, Cbor>([[1, -19], [3, rosterType], [4, new Uint8Array(32)]]),
).slice(0, -32);

/** A member's statement over a roster that it can read. @throws ShareError "malformed" */
export function signRoster(suite: Suite, signer: Signer, payload: Uint8Array): Uint8Array {
  decodeRoster(payload);
  return signStatement(suite, signer, rosterType, payload);
}

/** @throws ShareError "malformed" when a statement is none over this payload */
export function encodeSignedRoster({ payload, statements }: SignedRoster): Uint8Array {
  const signatures = statements.map((statement) => {
    const parts = splitSign1(statement);
    const kid = parts === null ? null : kidIn(parts.header);
    if (kid === null || !equalBytes(parts!.payload, payload)) {
      throw malformed("a statement is none of this roster");
    }
    return [kid, parts!.signature];
  });
  const bytes = encodeCbor({ payload, signatures });
  decodeSignedRoster(bytes);
  return bytes;
}

/** Reads it and checks no signature. @throws ShareError "malformed" */
export function decodeSignedRoster(bytes: Uint8Array): SignedRoster {
  if (bytes.length > maxBytes) throw malformed("it is too long");
  try {
    const map = new MapReader(decodeCbor(bytes));
    const payload = map.bytes("payload");
    const signers = new Set<string>();
    const statements = map.array("signatures", maxSigners).map((item) => {
      const [kid, signature, more] = Array.isArray(item) ? item : [];
      if (!isBytes(kid, 32) || !isBytes(signature, signatureLength) || more !== undefined) {
        throw malformed("a signature is not one");
      }
      signers.add(toHex(kid));
      return encodeSign1({ header: concat(headerStart, kid), payload, signature });
    });
    map.end();
    if (signers.size !== statements.length) throw malformed("somebody signed it twice");
    return { roster: decodeRoster(payload), payload, statements };
  } catch (error) {
    throw error instanceof ShareError ? error : malformed("it is not one", error);
  }
}

/** Throws unless every member signed it with its key in it. @throws ShareError "roster_unsigned" */
export function verifyRoster(suite: Suite, signed: SignedRoster): void {
  // Made by hand, the two could differ: what is signed would not be what is used.
  if (!equalBytes(encodeRoster(signed.roster), signed.payload)) {
    throw malformed("it is not what its payload says");
  }
  const signatures = new Signatures(suite, signed);
  for (const member of signed.roster.members) {
    if (signatures.include(member)) continue;
    throw new ShareError("roster_unsigned", `Cannot take the roster: ${member.id} did not sign it`);
  }
}

/**
 * Throws unless the next roster may take the place of the one that is held: the same group, a higher
 * epoch, signed by all of its members and by k members of the held one, with their keys as held.
 * @throws ShareError "roster_foreign", "roster_stale", "roster_unsigned"
 */
export function follows(suite: Suite, held: Roster, next: SignedRoster): void {
  if (!isSameGroup(held, next.roster)) {
    throw new ShareError("roster_foreign", "Cannot take the roster: it is of another group");
  }
  if (next.roster.epoch <= held.epoch) {
    const message = `Cannot take the roster: epoch ${next.roster.epoch} is not above ${held.epoch}`;
    throw new ShareError("roster_stale", message);
  }
  verifyRoster(suite, next);
  const signatures = new Signatures(suite, next);
  const endorsed = held.members.filter((member) => signatures.include(member)).length;
  if (endorsed >= held.k) return;
  const message = `Cannot take the roster: ${endorsed} members of epoch ${held.epoch} signed it, ` +
    `not ${held.k}`;
  throw new ShareError("roster_unsigned", message);
}

/** The statements by who they say signed them. */
class Signatures {
  readonly #suite: Suite;
  readonly #payload: Uint8Array;
  readonly #byKid = new Map<string, Uint8Array>();

  constructor(suite: Suite, { payload, statements }: SignedRoster) {
    this.#suite = suite;
    this.#payload = payload;
    for (const statement of statements) {
      const kid = kidIn(splitSign1(statement)?.header ?? new Uint8Array(0));
      if (kid !== null) this.#byKid.set(toHex(kid), statement);
    }
  }

  include({ signKey }: Member): boolean {
    const statement = this.#byKid.get(toHex(fingerprint(this.#suite, "Ed25519", signKey)));
    if (statement === undefined) return false;
    try {
      const verifier = new StatementVerifier(this.#suite, signKey, rosterType);
      return equalBytes(verifier.open(statement), this.#payload);
    } catch {
      return false; // a wrong signature, or a key under which every signature is worthless
    }
  }
}

/** The kid of a statement about rosters, or null for any other. */
function kidIn(header: Uint8Array): Uint8Array | null {
  const isOurs = header.length === headerStart.length + 32 &&
    equalBytes(header.subarray(0, headerStart.length), headerStart);
  return isOurs ? header.slice(headerStart.length) : null;
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}

function malformed(why: string, cause?: unknown): ShareError {
  return new ShareError("malformed", `Cannot read the signed roster: ${why}`, { cause });
}
