/** `/revoke`: a peer is shut out by its name, once it is clear which. */
import { CodedError } from "../../core/base/errors.ts";
import { isId } from "../../core/base/id.ts";
import type { RolePeers } from "../../core/services/peers/mod.ts";
import { isPeerKind } from "../../core/wire/peer.ts";
import { bold, fitted, type Html, markup, text } from "./markup.ts";

class RevokeError extends CodedError<"peer_unnamed" | "peer_unknown"> {
  override readonly name = "RevokeError";
}

/** @param args `pump-7`, `meter/pump-7` or `meter pump-7` */
export async function revoke(
  peers: Pick<RolePeers, "list" | "revoke">,
  args: string,
  actor: string,
): Promise<Html> {
  const parts = args.split(/[\s/]+/).filter((part) => part !== "");
  const [id, kind] = parts.toReversed();
  const isNamed = isId(id) && (kind === undefined || isPeerKind(kind)) && parts.length <= 2;
  if (!isNamed) {
    throw new RevokeError("peer_unnamed", "Cannot revoke: it is not clear whom", {
      hint: "write /revoke ID, or /revoke KIND/ID; /devices lists them",
    });
  }
  const known = (await peers.list()).filter((peer) =>
    peer.id === id && (kind === undefined || peer.kind === kind)
  );
  const [only, ...others] = known;
  if (only === undefined) {
    throw new RevokeError("peer_unknown", `Cannot revoke: nobody here is called "${id}"`, {
      hint: "/devices lists them; who waits is not known yet: /pending, /deny",
    });
  }
  if (others.length > 0) {
    const lines = known.map((peer) => text(`/revoke ${peer.kind}/${peer.id}`));
    return fitted(
      [text("There are several of this name. Write one of these:"), ...lines],
      () => null,
    );
  }
  if (only.state === "revoked") {
    return markup`${bold(only.id)} was revoked before.`;
  }
  await peers.revoke(only.kind, only.id, actor);
  return markup`${bold(only.id)} (${text(only.kind)}) is revoked: it is refused from now on.`;
}
