/**
 * What a volume's gateways are asked, and what judges their answers: one request for all of them, as
 * the session tells a gateway who asks. It is anew for every roster.
 */
import type { Id } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { pieceCombiner } from "../../core/trust/share/pieces.ts";
import type { Roster } from "../../core/trust/share/roster.ts";
import type { Combiner } from "../../core/trust/share/scheme.ts";
import { volumeInput, voprfCombiner } from "../../core/trust/share/voprf.ts";
import { type Boot, encodeUnlockCall } from "../../core/wire/unlock.ts";
import type { PieceHeader } from "../../core/wire/volume.ts";

/** What the gateways are asked for. */
export interface Question {
  readonly volume: Uint8Array;
  readonly boot: Boot;
  /** The volume is being made. */
  readonly seal: boolean;
  /** Who is asked: the members of a group, or those who keep a piece. */
  readonly of: Roster | Pick<PieceHeader, "scheme" | "k" | "pieces">;
}

export interface Round {
  /** Null for pieces. */
  readonly roster: Roster | null;
  readonly indices: ReadonlyMap<Id, number>;
  readonly request: Uint8Array;
  readonly combiner: Combiner;
}

/** @throws ShareError "bad_commitments" when a header's pieces cannot be told apart */
export function roundOf(suite: Suite, question: Question & { readonly device: Id }): Round {
  const { volume, boot, seal, of, device } = question;
  const common = { call: "unlock", volume, boot, seal } as const;
  if (!("commitments" in of)) {
    const { scheme, k, pieces } = of;
    const commitments = pieces.map(({ commitment }) => commitment);
    return {
      roster: null,
      indices: new Map(pieces.map(({ gateway }, i) => [gateway, i + 1])),
      request: encodeUnlockCall({ ...common, scheme, group: null, epoch: 0, proof: false }),
      combiner: pieceCombiner(suite, { scheme, k, commitments }),
    };
  }
  const { epoch, commitments: [group], members } = of;
  const asked = { scheme: "voprf", group: group!, epoch, proof: true } as const;
  return {
    roster: of,
    indices: new Map(members.map(({ id, index }) => [id, index])),
    request: encodeUnlockCall({ ...common, ...asked }),
    combiner: voprfCombiner(suite, {
      ...{ roster: of, input: volumeInput(device, volume), proofs: "required" },
    }),
  };
}
