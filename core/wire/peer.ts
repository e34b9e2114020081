/** Kinds of peers, and which kind speaks for which purpose where. */
import { toHex } from "../base/bytes.ts";
import { type Id, isId } from "../base/id.ts";
import type { Purpose } from "../trust/session/hello.ts";

export const peerKinds = ["device", "meter", "fog", "gateway", "witness", "keychain"] as const;
export type PeerKind = typeof peerKinds[number];

export function isPeerKind(value: unknown): value is PeerKind {
  return (peerKinds as readonly unknown[]).includes(value);
}

/** Who opens sessions of a purpose. */
export const initiators: Readonly<Record<Purpose, PeerKind>> = {
  unlock: "device",
  rpc: "device",
  meter: "meter",
  uplink: "fog",
  keychain: "keychain",
  share: "gateway",
  witness: "witness",
};

/** The role that answers sessions of a purpose: over HTTP they go to `POST /<role>/session`. */
export const responders: Readonly<Record<Purpose, string>> = {
  unlock: "share-gateway",
  rpc: "mqtt-auth-gateway",
  meter: "fog-aggregator",
  uplink: "cloud-summary",
  keychain: "keychain-attestor",
  share: "share-gateway",
  witness: "witness",
};

/** Where frames of one device travel over MQTT. */
export interface SessionTopics {
  /** Handshakes of the device. */
  readonly connect: string;
  /** Its data frames. */
  readonly up: string;
  /** Everything that the site sends. */
  readonly down: string;
}

/**
 * The MQTT topics of a device's sessions; those of every device, as filters, for the device "+"
 * (protocols.md §1). Devices that speak `rpc` share one topic upwards (§4): the session in a frame
 * tells whose it is.
 */
export function sessionTopics(purpose: Purpose, device: string): SessionTopics {
  if (purpose === "rpc") {
    return {
      connect: `jrpc/v2/connect/${device}`,
      up: rpcTopic,
      down: `jrpc/devices/${device}/rx`,
    };
  }
  return {
    connect: `edgeward/${purpose}/connect/${device}`,
    up: `edgeward/${purpose}/up/${device}`,
    down: `edgeward/${purpose}/down/${device}`,
  };
}

const rpcTopic = "jrpc/gateway/rx";

/**
 * The device that a topic names, of those that a site listens to for a purpose: null on the topic that
 * all devices share, undefined when what it names is no device.
 */
export function deviceOf(purpose: Purpose, topic: string): Id | null | undefined {
  if (purpose === "rpc" && topic === rpcTopic) return null;
  const device = topic.slice(topic.lastIndexOf("/") + 1);
  return isId(device) ? device : undefined;
}

/** A fingerprint as people see it: its first 12 bytes as hexadecimal digits in groups of four. */
export function fingerprintText(fingerprint: Uint8Array): string {
  return toHex(fingerprint.subarray(0, 12)).match(/.{4}/g)!.join("-");
}
