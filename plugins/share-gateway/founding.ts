/** What whoever deals and whoever is dealt to have in common: what a first roster is, and what is told. */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { Signer, Suite } from "../../core/trust/crypto.ts";
import { type Roster, type SignedRoster, signRoster } from "../../core/trust/share/roster.ts";

/** How a roster names whoever dealt these commitments: SHA-256 of C0 | … | C(k−1). */
export function dealerOf(suite: Suite, commitments: readonly Uint8Array[]): Uint8Array {
  return suite.sha256(...commitments);
}

/** Whether it is the first roster of a group, of one dealer, who committed to just these. */
export function isFirst(suite: Suite, { epoch, dealers, commitments }: Roster): boolean {
  return epoch === 1 && dealers.length === 1 &&
    equalBytes(dealers[0]!, dealerOf(suite, commitments));
}

/** What the log has of a roster. */
export function detailOf({ epoch, k, n, members }: Roster): Readonly<Record<string, unknown>> {
  return { epoch, k, n, members: members.map(({ id }) => id) };
}

/** The hash of one's own statement over a roster: signing again gives the same bytes (RFC 8032). */
export function ownStatement(suite: Suite, signer: Signer, { payload }: SignedRoster): Uint8Array {
  return suite.sha256(signRoster(suite, signer, payload));
}

/** Says that this gateway answers under a roster from now on. */
export function tellGroup({ bus, site }: Pick<Host, "bus" | "site">, roster: Roster): void {
  const { group, epoch, k, n } = roster;
  bus.emit({
    ...{ type: "share.refreshed", severity: "info", subject: site },
    detail: { group, epoch, k, n },
  });
}
