/**
 * What the two sides of profile v1 store, as deterministic CBOR. It holds keys, so it travels as a
 * `Secret`, and whoever stores it seals it.
 */
import type { Id } from "../../base/id.ts";
import { Secret } from "../../base/secret.ts";
import { type Cbor, CborError, decodeCbor, encodeCbor, MapReader } from "../cbor.ts";
import { malformed } from "./error.ts";
import type { AssociationRecord } from "./_association.ts";
import { type HmacKey, hmacLabels } from "./keys.ts";

const version = 1;
const last = 2 ** 32; // one more than the highest counter

/** The one that is confirmed, or null, and those that are not yet, oldest first. */
export interface State {
  readonly current: AssociationRecord | null;
  readonly candidates: readonly AssociationRecord[];
}

export function encodeState(device: Id, { current, candidates }: State): Secret {
  return new Secret(encodeCbor({
    version,
    device,
    current: current && recordToCbor(current),
    candidates: candidates.map(recordToCbor),
  }));
}

/** @throws LegacyError "malformed" when it is not what was stored for this device */
export function decodeState(device: Id, state: Secret): State {
  try {
    const reader = new MapReader(decodeCbor(state.reveal()));
    reader.integer("version", version, version);
    if (reader.text("device") !== device) throw malformed("state", "it is another device's");
    const current = reader.value("current");
    const candidates = reader.array("candidates", 16).map(recordFromCbor);
    reader.end();
    return { current: current === null ? null : recordFromCbor(current), candidates };
  } catch (error) {
    if (!(error instanceof CborError)) throw error;
    throw malformed("state", "it is not what was stored");
  }
}

function recordToCbor({ keys, peer, received, next, since }: AssociationRecord): Cbor {
  const hmac = hmacLabels.map((one) => keys.hmac.find(({ label }) => label === one)?.key ?? null);
  return { cipher: keys.cipher, hmac, peer, received, next, since };
}

function recordFromCbor(value: Cbor): AssociationRecord {
  const reader = new MapReader(value);
  const byLabel = reader.array("hmac", hmacLabels.length);
  const hmac = hmacLabels.flatMap((label, i): HmacKey[] => {
    const key = byLabel[i];
    if (key === null) return [];
    if (key instanceof Uint8Array && key.length === 32) return [{ label, key }];
    throw malformed("state", "a key is not what was stored");
  });
  const record = {
    keys: { cipher: reader.bytes("cipher", 32), hmac },
    peer: reader.bytes("peer", 32),
    received: reader.integer("received", 0, last),
    next: reader.integer("next", 1, last),
    since: reader.integer("since", 0, Number.MAX_SAFE_INTEGER),
  };
  reader.end();
  return record;
}
