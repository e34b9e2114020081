/**
 * Who may use which topic on the embedded broker (protocol §1 Bindings, §4).
 *
 * A peer is confined by its client id: it sends only as itself and hears only what is addressed to
 * it. The id is not proven here, so this is no authentication: sessions do that, end to end. It
 * keeps peers from reading each other's traffic and from posing as the site without any effort.
 */
import type { Id } from "../../base/id.ts";
import { covers, isFilter, isTopic, matches } from "./_topic.ts";
import type { User } from "./_users_file.ts";

/** Who is logged in: the site itself, someone from the users file, or a peer by its client id. */
export type Party =
  | { readonly kind: "site" }
  | { readonly kind: "user"; readonly user: User }
  | { readonly kind: "peer"; readonly id: Id };

const purposes = "unlock|rpc|meter|uplink|keychain|share|witness";
const upward = new RegExp(`^edgeward/(?:${purposes})/(?:connect|up)/([^/]+)$`);
const downward = new RegExp(`^edgeward/(?:${purposes})/down/([^/]+)$`);
/** More levels than any topic of ours has, and fewer than what matching them would notice. */
const maxLevels = 32;

export function mayPublish(party: Party, topic: string): boolean {
  if (!isTopic(topic) || isDeep(topic) || topic.startsWith("$SYS/")) return false;
  switch (party.kind) {
    case "site":
      return true;
    case "user":
      return party.user.write.some((filter) => matches(filter, topic));
    case "peer":
      return upward.exec(topic)?.[1] === party.id ||
        topic === "jrpc/connect/request" ||
        topic === "jrpc/gateway/rx" ||
        topic === `jrpc/v2/connect/${party.id}`;
  }
}

/** A peer's id holds no wildcard, so no filter with one passes. */
export function maySubscribe(party: Party, filter: string): boolean {
  if (!isFilter(filter) || isDeep(filter)) return false;
  switch (party.kind) {
    case "site":
      return true;
    case "user":
      return party.user.read.some((wide) => covers(wide, filter));
    case "peer":
      return downward.exec(filter)?.[1] === party.id || filter === `jrpc/devices/${party.id}/rx`;
  }
}

function isDeep(text: string): boolean {
  return text.split("/").length > maxLevels;
}
