/**
 * What gateways say in a `share` session while a group is founded (protocols.md §5). Whoever deals asks
 * the others who they are, offers each its share together with the roster, and gets that roster back
 * signed; once all have signed, it tells them to use it. Who calls, the session says. Each call but the
 * first bears the nonce of its deal, and saying one twice does no harm.
 */
import { CodedError } from "../base/errors.ts";
import { type Id, isId } from "../base/id.ts";
import { encodeCbor, MapReader, readMap } from "../trust/cbor.ts";
import { maxRosterBytes } from "../trust/share/roster.ts";

export type CeremonyCall =
  /** Who are you? Answered with `Hello`. */
  | { readonly call: "hello"; readonly nonce: Uint8Array }
  /**
   * Answered with the member's statement over the roster, once the share is on its disk.
   * @property roster the payload @property share 32 bytes
   */
  | {
    readonly call: "offer";
    readonly nonce: Uint8Array;
    readonly roster: Uint8Array;
    readonly share: Uint8Array;
  }
  /** All have signed: the member uses its share from now on. Answered with nothing. */
  | { readonly call: "commit"; readonly nonce: Uint8Array; readonly roster: Uint8Array }
  /** The deal has come to nothing: the share is erased. Answered with nothing. */
  | { readonly call: "abort"; readonly nonce: Uint8Array };

/** Who a gateway is. */
export interface Hello {
  /** The one of the question. */
  readonly nonce: Uint8Array;
  readonly id: Id;
  /** Where devices reach it. */
  readonly url: string;
  readonly noiseKey: Uint8Array;
  readonly signKey: Uint8Array;
  /** The group that it belongs to. */
  readonly group: GroupName | null;
}

export interface GroupName {
  readonly name: Id;
  readonly epoch: number;
  /** Its public key, 32 bytes. */
  readonly key: Uint8Array;
}

/** Why a member refuses: what a `Refusal` says. */
export const ceremonyRefusals = [
  "malformed",
  "not_a_member", // whoever deals is not in its own roster with the keys that are enrolled here
  "group_exists",
  "roster_wrong", // it says something else about this member than the member itself
  "share_wrong", // it does not lie on the committed polynomial
  "nonce_reused",
  "no_candidate", // no offer of this nonce with this roster has come
  "roster_unsigned",
  "too_many", // offers
] as const;
export type CeremonyRefusal = typeof ceremonyRefusals[number];

export class CeremonyMessageError extends CodedError<"malformed"> {
  override readonly name = "CeremonyMessageError";
}

export const nonceLength = 16;
const maxUrl = 256;
/** As rosters take them; nothing in it moves the cursor of whoever reads it. */
const urlForm = /^(https?|mqtts?|wss?):\/\/[\x21-\x7e]+$/;
const maxEpoch = 2 ** 31;
/** Of a roster with all its signatures: one frame takes it. */
const maxSignedRoster = maxRosterBytes + 8_192;
const maxStatement = maxRosterBytes + 512;

export function encodeCeremonyCall(call: CeremonyCall): Uint8Array {
  return encodeCbor({ ...call });
}

/** @throws CeremonyMessageError "malformed" */
export function decodeCeremonyCall(bytes: Uint8Array): CeremonyCall {
  return decoded(bytes, (map) => {
    const call = map.text("call");
    const nonce = map.bytes("nonce", nonceLength);
    switch (call) {
      case "hello":
      case "abort":
        return { call, nonce };
      case "offer": {
        const roster = bounded(map.bytes("roster"), maxRosterBytes);
        return { call, nonce, roster, share: map.bytes("share", 32) };
      }
      case "commit":
        return { call, nonce, roster: bounded(map.bytes("roster"), maxSignedRoster) };
      default:
        throw malformed();
    }
  });
}

export function encodeHello({ nonce, id, url, noiseKey, signKey, group }: Hello): Uint8Array {
  return encodeCbor({
    ...{ nonce, id, url, noise_key: noiseKey, sign_key: signKey },
    group: group && { name: group.name, epoch: group.epoch, key: group.key },
  });
}

/** @throws CeremonyMessageError "malformed" */
export function decodeHello(bytes: Uint8Array): Hello {
  return decoded(bytes, (map) => {
    const group = map.value("group");
    const url = map.text("url");
    if (url.length > maxUrl || !urlForm.test(url)) throw malformed();
    return {
      nonce: map.bytes("nonce", nonceLength),
      id: readId(map, "id"),
      url,
      noiseKey: map.bytes("noise_key", 32),
      signKey: map.bytes("sign_key", 32),
      group: group === null ? null : readGroup(new MapReader(group)),
    };
  });
}

/** What a member answers to an offer. */
export function encodeSigned(statement: Uint8Array): Uint8Array {
  return encodeCbor({ statement });
}

/** The statement. @throws CeremonyMessageError "malformed" */
export function decodeSigned(bytes: Uint8Array): Uint8Array {
  return decoded(bytes, (map) => bounded(map.bytes("statement"), maxStatement));
}

function readGroup(map: MapReader): GroupName {
  const group = {
    name: readId(map, "name"),
    epoch: map.integer("epoch", 1, maxEpoch),
    key: map.bytes("key", 32),
  };
  map.end();
  return group;
}

function readId(map: MapReader, key: string): Id {
  const id = map.text(key);
  if (!isId(id)) throw malformed();
  return id;
}

function bounded(bytes: Uint8Array, most: number): Uint8Array {
  if (bytes.length === 0 || bytes.length > most) throw malformed();
  return bytes;
}

function decoded<T>(bytes: Uint8Array, read: (map: MapReader) => T): T {
  return readMap(bytes, read, malformed);
}

function malformed(cause?: unknown): CeremonyMessageError {
  return new CeremonyMessageError("malformed", "Cannot read the message of the ceremony", {
    cause,
  });
}
