/** An embedded broker on a free port, and what the tests of it read from packets and counters. */
import assert from "node:assert/strict";
import type { Log } from "../logging.ts";
import { MetricsRegistry } from "../metrics.ts";
import { type Broker, type BrokerOptions, startBroker } from "./_broker.ts";
import type { Reason } from "./_limits.ts";
import { type Packet, RawPeer, subscribePacket } from "./_raw_peer.ts";

export const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
export const operator = { username: "operator", password: "of this run" };

export interface TestBroker extends Broker {
  /** How many clients there are, the site's own not counted. */
  clients(): Promise<number>;
  /** How often something was refused for a reason. */
  refused(reason: Reason): Promise<number>;
}

export async function open(options: Partial<BrokerOptions> = {}): Promise<TestBroker> {
  const registry = new MetricsRegistry();
  const metrics = registry.scoped("host");
  const broker = await startBroker({
    ...{ hostname: "127.0.0.1", port: 0, operator, log, metrics },
    ...options,
  });
  const value = async (name: string, label = "") => {
    const line = new RegExp(`^${name}{[^}]*${label}[^}]*} (\\d+)$`, "m");
    return Number(line.exec(await registry.text())?.[1] ?? 0);
  };
  return {
    ...broker,
    clients: () => value("edgeward_mqtt_clients"),
    refused: (reason) => value("edgeward_mqtt_refused_total", `reason="${reason}"`),
  };
}

/** The operator, subscribed to everything. */
export async function listener(broker: Broker): Promise<RawPeer> {
  const peer = await RawPeer.login(broker.port, "edgeward-site", operator);
  await peer.send(subscribePacket(1, ["#"]));
  assert.equal((await peer.receive())?.type, 9);
  return peer;
}

/** Topic and payload of a PUBLISH. */
export function message(packet: Packet | undefined): [topic: string, payload: string] {
  assert.equal(packet?.type, 3);
  const body = packet!.body;
  const end = 2 + (body[0]! << 8 | body[1]!);
  const decoder = new TextDecoder();
  const start = (packet!.flags & 0x06) === 0 ? end : end + 2;
  return [decoder.decode(body.subarray(2, end)), decoder.decode(body.subarray(start))];
}
