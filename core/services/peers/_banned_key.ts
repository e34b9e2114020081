/** Which key is meant when people say that the key of a peer is banned. */
import { equalBytes } from "../../base/bytes.ts";
import { isFingerprint, isProven, type Waiting } from "./_applicants.ts";
import type { BanOptions } from "./_contract.ts";
import { type Name, PeerError, text } from "./_states.ts";

/**
 * Of the peer's own key and those that wait under its name.
 * @param options.shown gives a key as people see it
 * @throws PeerError "key_unknown", "key_ambiguous", "applicant_unproven"
 */
export function keyToBan(
  { name, by, bound, waiting, shown }: {
    name: Name;
    by: NonNullable<BanOptions["key"]>;
    bound: Uint8Array | null;
    waiting: readonly Waiting[];
    shown: (key: Uint8Array) => string;
  },
): Uint8Array {
  const isMeant = (key: Uint8Array) => by === true || isFingerprint(by.fingerprint, shown(key));
  const keys = bound !== null && isMeant(bound) ? [bound] : [];
  const others = waiting.filter(({ key }) => isMeant(key));
  for (const { key } of others.filter(isProven)) {
    if (!keys.some((one) => equalBytes(one, key))) keys.push(key);
  }
  const [key, ...more] = keys;
  if (key !== undefined && more.length === 0) return key;
  if (more.length > 0) {
    throw new PeerError(
      "key_ambiguous",
      `Several keys come as ${text(name)}: which one is meant?`,
      {
        hint:
          `name it: --key FINGERPRINT, as \`edgeward peers show ${name.kind}/${name.id}\` has it`,
      },
    );
  }
  if (others.length > 0) {
    // anybody can claim another's key: that would ban who has done nothing
    throw new PeerError("applicant_unproven", "Cannot ban the key: nothing shows whose it is", {
      hint: "ban the name: the same command without --key",
    });
  }
  throw new PeerError("key_unknown", `Cannot ban the key: none is known of ${text(name)}`, {
    hint: "ban the name: the same command without --key",
  });
}
