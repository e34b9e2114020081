/** Both sides of profile v1 for tests: approved, and with every state stored at once. */
import { utf8 } from "../../base/bytes.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { Suite } from "../crypto.ts";
import type { Arrival, Fresh } from "./arrival.ts";
import { decodeConnect, pskOfCode } from "./connect.ts";
import { DeviceSide } from "./device_side.ts";
import { GatewaySide, type GatewaySideOptions } from "./gateway_side.ts";
import type { HmacLabel } from "./keys.ts";
import { decodeEnvelope } from "./message.ts";
import type { RpcRequest } from "./rpc.ts";

export const device: Id = parseId("esp32_a");

export interface Pair {
  readonly gateway: GatewaySide;
  readonly device: DeviceSide;
}

/** The device has connected and taken the approve, and has sent nothing. */
export function pairOf(
  suite: Suite,
  options: { label?: HmacLabel; gateway?: Partial<GatewaySideOptions> } = {},
): Pair {
  const { label = "esp32-dashboard-hmac-key" } = options;
  const psk = pskOfCode(suite, codeOfTests);
  const pair = {
    gateway: new GatewaySide(suite, { device, clock: () => 0, ...options.gateway }),
    device: new DeviceSide(suite, { device, psk, clock: () => 0, label }),
  };
  approve(suite, pair);
  return pair;
}

export const codeOfTests = utf8("sixteen bytes of");

/** Connects once more. */
export function approve(suite: Suite, pair: Pair): void {
  const connect = decodeConnect(pair.device.connect());
  const approved = pair.gateway.approve(connect, pskOfCode(suite, codeOfTests));
  approved.save.stored();
  pair.device.approve(approved.approve).stored();
}

/** A request of the side whose counters are reserved as needed. */
export function call(
  side: GatewaySide | DeviceSide,
  id: string,
  params?: RpcRequest["params"],
): Uint8Array {
  if (side.mustReserve) side.reserve().stored();
  const request = { kind: "request", method: "ping", id } as const;
  return side.request(params === undefined ? request : { ...request, params });
}

export function open(side: GatewaySide | DeviceSide, message: Uint8Array): Arrival {
  return side.open(decodeEnvelope(message));
}

/** Opens what must be new, and stores. @throws Error when it is a duplicate */
export function take(side: GatewaySide | DeviceSide, message: Uint8Array): Fresh {
  const arrival = open(side, message);
  if (arrival.kind !== "fresh") throw new Error("The message is a duplicate");
  arrival.save.stored();
  return arrival;
}
