/**
 * The keys of a site's log and of its witness. The log signs with the site's statement key, each
 * generation under a name of its own; the witness has a key of its own, because what a cosigner signs
 * does not name it.
 */
import { toHex } from "../../base/bytes.ts";
import { hkdf } from "../../trust/hkdf.ts";
import { type NoteKey, noteKey, NoteKind } from "../../trust/log/note.ts";
import type { Signer, Suite } from "../../trust/crypto.ts";
import type { Identity } from "../identity.ts";

/** Whose keys. */
export interface KeyHolder {
  readonly suite: Suite;
  readonly site: string;
  readonly identity: Pick<Identity, "signer" | "fingerprint">;
}

export interface WitnessKey {
  readonly key: NoteKey;
  readonly signer: Signer;
}

/** What a generation of the site's log signs with; its name is the log's origin. */
export function logKey(holder: KeyHolder, generation: number): NoteKey {
  const { suite, site, identity: { signer: { publicKey }, fingerprint } } = holder;
  const name = `edgeward/${site}/${toHex(fingerprint).slice(0, 8)}/${generation}`;
  return noteKey(suite, { name, kind: NoteKind.ed25519, publicKey });
}

/** What the site cosigns the logs of others with. */
export function witnessKey({ suite, site, identity }: KeyHolder): WitnessKey {
  const ikm = identity.signer.seed;
  const signer = suite.ed25519.signer(hkdf(suite, { ikm, salt: "", info: "edgeward/witness/v1" }));
  const { publicKey } = signer;
  const name = `edgeward/${site}/witness`;
  return { key: noteKey(suite, { name, kind: NoteKind.cosignature, publicKey }), signer };
}

/** An origin without its generation, which names the log through all its generations. */
export function splitOrigin(origin: string): { log: string; generation: number } {
  const [, log, generation] = /^(edgeward\/[^/]+\/[0-9a-f]{8})\/([1-9]\d{0,8})$/.exec(origin) ?? [];
  return log === undefined
    ? { log: origin, generation: 0 }
    : { log, generation: Number(generation) };
}
