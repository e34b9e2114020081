/**
 * Who may use which topic on the embedded broker (protocol §1 Bindings, §4).
 *
 * A peer is confined by its client id: it sends only as itself and hears only what is addressed to
 * it. The id is not proven here, so this is no authentication: sessions do that, end to end. It
 * keeps peers from reading each other's traffic and from posing as the site without any effort.
 */
import type { Id } from "../../base/id.ts";

const purposes = "unlock|rpc|meter|uplink|keychain|share|witness";
const upward = new RegExp(`^edgeward/(?:${purposes})/(?:connect|up)/([^/]+)$`);
const downward = new RegExp(`^edgeward/(?:${purposes})/down/([^/]+)$`);

/** Whether a peer may publish to the topic. */
export function mayPublish(id: Id, topic: string): boolean {
  return upward.exec(topic)?.[1] === id ||
    topic === "jrpc/connect/request" ||
    topic === "jrpc/gateway/rx" ||
    topic === `jrpc/v2/connect/${id}`;
}

/** Whether a peer may subscribe to the filter. An id holds no wildcard, so no filter with one passes. */
export function maySubscribe(id: Id, filter: string): boolean {
  return downward.exec(filter)?.[1] === id || filter === `jrpc/devices/${id}/rx`;
}
