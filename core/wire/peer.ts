/** Kinds of peers, and which kind speaks for which purpose where. */
import { toHex } from "../base/bytes.ts";
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

/** The MQTT topics of one device's session (protocols.md §1). */
export function sessionTopics(purpose: Purpose, device: string) {
  return {
    connect: `edgeward/${purpose}/connect/${device}`,
    up: `edgeward/${purpose}/up/${device}`,
    down: `edgeward/${purpose}/down/${device}`,
  };
}

/** A fingerprint as people see it: its first 12 bytes as hexadecimal digits in groups of four. */
export function fingerprintText(fingerprint: Uint8Array): string {
  return toHex(fingerprint.subarray(0, 12)).match(/.{4}/g)!.join("-");
}
