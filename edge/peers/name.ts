/** What a peer is called on the command line: `meter/m-1`, or just `m-1` where that says enough. */
import { CodedError } from "../../core/base/errors.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { isPeerKind, type PeerKind, peerKinds } from "../../core/wire/peer.ts";
import type { PeerStatus } from "../../core/wire/peer_status.ts";

export interface PeerName {
  readonly kind: PeerKind;
  readonly id: Id;
}

/** @throws CodedError "usage" when there is no such kind */
export function parseKind(text: string): PeerKind {
  if (isPeerKind(text)) return text;
  throw new CodedError("usage", `Cannot name a peer: there is no kind of peer "${text}"`, {
    hint: `kinds are ${peerKinds.join(", ")}`,
  });
}

/**
 * Reads a name. Whose kind it leaves out is looked for among the peers of the site.
 * @throws CodedError "usage" when several kinds have this id, "peer_unknown" when none has
 */
export async function parseName(
  text: string,
  peersOfSite: () => Promise<readonly PeerStatus[]>,
): Promise<PeerName> {
  const slash = text.indexOf("/");
  if (slash >= 0) {
    return { kind: parseKind(text.slice(0, slash)), id: parseId(text.slice(slash + 1)) };
  }
  const id = parseId(text);
  const namesakes = (await peersOfSite()).filter((peer) => peer.id === id);
  const [kind, ...others] = new Set(namesakes.map((peer) => peer.kind));
  if (kind === undefined) {
    throw new CodedError("peer_unknown", `Nobody is known as "${id}", and nobody waits as that`, {
      hint: "`edgeward peers list` shows who is known and who waits",
    });
  }
  if (others.length > 0) {
    throw new CodedError("usage", `Several peers are called "${id}"`, {
      hint: `write the kind too: ${[kind, ...others].map((kind) => `${kind}/${id}`).join(" or ")}`,
    });
  }
  return { kind, id };
}

/** The name in full. */
export function nameText({ kind, id }: { readonly kind: PeerKind; readonly id: string }): string {
  return `${kind}/${id}`;
}
