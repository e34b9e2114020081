/**
 * Who may use which topic on the embedded broker (protocol §1 Bindings, §4).
 *
 * A peer is confined by its client id: it sends only as itself and hears only what is addressed to
 * it. The id is not proven here, so this is no authentication: sessions do that, end to end. It
 * keeps peers from reading each other's traffic and from posing as the site without any effort. Their
 * topics lie behind the site's prefix; those of the users file are written out there.
 */
import type { Id } from "../../base/id.ts";
import { withoutPrefix } from "../../wire/topic_prefix.ts";
import { covers, isFilter, isTopic, matches } from "./_topic.ts";
import type { User } from "./_users_file.ts";

/** Who is logged in: the site itself, someone from the users file, or a peer by its client id. */
export type Party =
  | { readonly kind: "site" }
  | { readonly kind: "user"; readonly user: User }
  | { readonly kind: "peer"; readonly id: Id };

/** `rpc` has topics of its own (§4). */
const purposes = "unlock|meter|uplink|keychain|share|witness";
const upward = new RegExp(`^edgeward/(?:${purposes})/(?:connect|up)/([^/]+)$`);
const downward = new RegExp(`^edgeward/(?:${purposes})/down/([^/]+)$`);
/** More levels than any topic of ours has, and fewer than what matching them would notice. */
const maxLevels = 32;

export function mayPublish(party: Party, topic: string, { prefix = "" } = {}): boolean {
  if (!isTopic(topic) || isDeep(topic) || topic.startsWith("$SYS/")) return false;
  switch (party.kind) {
    case "site":
      return true;
    case "user":
      return party.user.write.some((filter) => matches(filter, topic));
    case "peer": {
      const own = withoutPrefix(prefix, topic) ?? "";
      return upward.exec(own)?.[1] === party.id ||
        own === "jrpc/connect/request" ||
        own === "jrpc/gateway/rx" ||
        own === `jrpc/v2/connect/${party.id}`;
    }
  }
}

/** A peer's id holds no wildcard, so no filter with one passes. */
export function maySubscribe(party: Party, filter: string, { prefix = "" } = {}): boolean {
  if (!isFilter(filter) || isDeep(filter)) return false;
  switch (party.kind) {
    case "site":
      return true;
    case "user":
      return party.user.read.some((wide) => covers(wide, filter));
    case "peer": {
      const own = withoutPrefix(prefix, filter) ?? "";
      return downward.exec(own)?.[1] === party.id || own === `jrpc/devices/${party.id}/rx`;
    }
  }
}

function isDeep(text: string): boolean {
  return text.split("/").length > maxLevels;
}
