/**
 * What a roster says, as bytes: the payload of its statements, in one encoding and within bounds. Who
 * must have signed it is the business of `roster.ts`.
 */
import { equalBytes, toHex } from "../../base/bytes.ts";
import { type Id, isId } from "../../base/id.ts";
import { type Cbor, decodeCbor, encodeCbor, MapReader } from "../cbor.ts";
import { isElement } from "./_group.ts";
import { maxMembers, requireThreshold, ShareError } from "./scheme.ts";

export interface Member {
  /** From 1: where on the polynomial its share lies. */
  readonly index: number;
  readonly id: Id;
  /** Where devices reach it. */
  readonly url: string;
  /** X25519, what its sessions are under. */
  readonly noiseKey: Uint8Array;
  /** Ed25519, what its statements are under. */
  readonly signKey: Uint8Array;
}

export interface Roster {
  readonly group: Id;
  /** From 1; rises with every refresh and every change of members. */
  readonly epoch: number;
  readonly k: number;
  readonly n: number;
  /** By index, 1 to n. */
  readonly members: readonly Member[];
  /** C0 … C(k−1): the polynomial's coefficients times the generator. C0 is the group's key. */
  readonly commitments: readonly Uint8Array[];
  /** For each dealer SHA-256 over its commitments, one after the other. */
  readonly dealers: readonly Uint8Array[];
}

export const rosterType = "application/edgeward-roster+cbor";

/** Bytes of a roster at the most. */
export const maxRosterBytes = 16 * 1024;
const maxUrl = 256;
const maxEpoch = 2 ** 31;

/** The payload of a roster's statements. @throws ShareError "malformed" when none would read it */
export function encodeRoster(roster: Roster): Uint8Array {
  requireRoster(roster);
  const { group, epoch, k, n, members, commitments, dealers } = roster;
  // Within these bounds it is never longer than `maxRosterBytes`.
  return encodeCbor({
    ...{ group, epoch, k, n, commitments, dealers },
    members: members.map(({ index, id, url, noiseKey, signKey }) => {
      return { index, id, url, noise_key: noiseKey, sign_key: signKey };
    }),
  });
}

/** @throws ShareError "malformed" */
export function decodeRoster(payload: Uint8Array): Roster {
  if (payload.length > maxRosterBytes) throw malformed("it is too long");
  const roster = readRoster(payload);
  requireRoster(roster);
  return roster;
}

function readRoster(payload: Uint8Array): Roster {
  try {
    const map = new MapReader(decodeCbor(payload));
    const roster = {
      group: readId(map.value("group")),
      epoch: map.integer("epoch", 1, maxEpoch),
      k: map.integer("k", 1, maxMembers),
      n: map.integer("n", 1, maxMembers),
      members: map.array("members", maxMembers).map(readMember),
      commitments: map.array("commitments", maxMembers).map(readBytes),
      dealers: map.array("dealers", maxMembers).map(readBytes),
    };
    map.end();
    return roster;
  } catch (error) {
    throw error instanceof ShareError ? error : malformed("it is not one", error);
  }
}

function readMember(item: Cbor): Member {
  const map = new MapReader(item);
  const member = {
    index: map.integer("index", 1, maxMembers),
    id: readId(map.value("id")),
    url: map.text("url"),
    noiseKey: map.bytes("noise_key", 32),
    signKey: map.bytes("sign_key", 32),
  };
  map.end();
  return member;
}

function readId(value: Cbor): Id {
  if (isId(value)) return value;
  throw malformed("an identifier is not one");
}

function readBytes(value: Cbor): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw malformed("a byte string is not one");
}

/** What holds of every roster, whoever made it. */
function requireRoster({ group, epoch, k, n, members, commitments, dealers }: Roster): void {
  try {
    requireThreshold("voprf", { k, n });
  } catch (error) {
    throw malformed("its threshold is none", error);
  }
  if (!isId(group)) throw malformed("its group's name is no identifier");
  if (!Number.isInteger(epoch) || epoch < 1 || epoch > maxEpoch) throw malformed("its epoch");
  if (members.length !== n || !members.every(isMember)) throw malformed("its members");
  // A key in two seats would sign for both of them.
  for (const key of ["noiseKey", "signKey"] as const) {
    if (new Set(members.map((one) => toHex(one[key]))).size !== n) {
      throw malformed("two members have one key");
    }
  }
  if (new Set(members.map(({ id }) => id)).size !== n) throw malformed("two members have one id");
  if (commitments.length !== k || !commitments.every(isElement)) {
    throw malformed("its commitments are not k elements of the group");
  }
  if (dealers.length < 1 || dealers.length > maxMembers || dealers.some((d) => d.length !== 32)) {
    throw malformed("its dealers");
  }
}

function isMember({ index, id, url, noiseKey, signKey }: Member, place: number): boolean {
  return index === place + 1 && isId(id) && url.length <= maxUrl &&
    /^(https?|mqtts?|wss?):\/\/[\x21-\x7e]+$/.test(url) &&
    noiseKey.length === 32 && signKey.length === 32;
}

/** Whether two rosters are of one group: its name and its key. */
export function isSameGroup(a: Roster, b: Roster): boolean {
  return a.group === b.group && equalBytes(a.commitments[0]!, b.commitments[0]!);
}

function malformed(why: string, cause?: unknown): ShareError {
  return new ShareError("malformed", `Cannot read the roster: ${why}`, { cause });
}
