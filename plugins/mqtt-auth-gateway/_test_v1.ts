/** A device of profile v1 for the tests of this folder, over a real broker. */
import { fromBase64url } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import type { MqttConnection } from "../../core/services/mqtt/mod.ts";
import type { KeyPair } from "../../core/trust/crypto.ts";
import { pskOfCode } from "../../core/trust/legacy/connect.ts";
import { DeviceSide } from "../../core/trust/legacy/device_side.ts";
import { decodeEnvelope } from "../../core/trust/legacy/message.ts";
import type { RpcRequest, RpcResponse } from "../../core/trust/legacy/rpc.ts";
import { suite, type TestGateway, until } from "./_test_gateway.ts";

export const connectTopic = "jrpc/connect/request";
export const messageTopic = "jrpc/gateway/rx";

export class V1Device {
  readonly id: Id;
  readonly keyPair: KeyPair;
  readonly side: DeviceSide;
  readonly #connection: MqttConnection;
  readonly #responses = new Map<string | number, RpcResponse>();
  /** Everything that came for it. */
  readonly received: Uint8Array[] = [];
  /** Calls of the gateway, as they were answered. */
  readonly asked: RpcRequest[] = [];
  onCall: (request: RpcRequest) => RpcResponse | null = ({ id }) => (
    { kind: "response", id, result: "done" }
  );
  /** So many messages do not reach it. */
  deaf = 0;
  #calls = 0;

  private constructor(id: Id, connection: MqttConnection, psk: string, keyPair: KeyPair) {
    this.id = id;
    this.#connection = connection;
    this.keyPair = keyPair;
    this.side = new DeviceSide(suite, {
      ...{ device: id, keyPair, clock: Date.now },
      psk: pskOfCode(suite, fromBase64url(psk)),
    });
  }

  /** @param options.psk as it is on the device, in base64url */
  static async open(
    gateway: TestGateway,
    text: string,
    { psk, keyPair = suite.x25519.keyPair() }: { psk: string; keyPair?: KeyPair },
  ): Promise<V1Device> {
    const id = parseId(text);
    const connection = await gateway.connection(id);
    const device = new V1Device(id, connection, psk, keyPair);
    await connection.subscribe(`jrpc/devices/${id}/rx`, ({ payload }) => device.#take(payload));
    return device;
  }

  get isConnected(): boolean {
    return this.#connection.connected;
  }

  async publish(topic: string, payload: Uint8Array): Promise<void> {
    await this.#connection.publish(topic, payload);
  }

  async connect(): Promise<void> {
    await this.publish(connectTopic, this.side.connect());
  }

  /** It is at the broker no more: its connection would be taken from whoever bears its name. */
  async hangUp(): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Connects until it has been approved. */
  async join(): Promise<void> {
    await this.connect();
    await until(`${this.id} is approved`, () => this.side.isApproved);
  }

  /** The bytes of a call, once. */
  sealed(method: string, params?: RpcRequest["params"], id = `c-${++this.#calls}`): Uint8Array {
    if (this.side.mustReserve) this.side.reserve().stored();
    return this.side.request({
      ...{ kind: "request", id, method },
      ...(params !== undefined && { params }),
    });
  }

  /** Calls, and gives the result or the code of the error. */
  async call(method: string, params?: RpcRequest["params"]): Promise<unknown> {
    const bytes = this.sealed(method, params);
    const id = `c-${this.#calls}`;
    await this.publish(messageTopic, bytes);
    await until(`${this.id} hears of ${method}`, () => this.#responses.has(id));
    const response = this.#responses.get(id)!;
    if ("error" in response) return `error ${(response.error.data as { code: string }).code}`;
    return JSON.parse(JSON.stringify(response.result));
  }

  hasAnswer(id: string): boolean {
    return this.#responses.has(id);
  }

  #take(payload: Uint8Array): void {
    this.received.push(payload);
    if (this.deaf-- > 0) return;
    if (payload[2] === "s".charCodeAt(0)) { // {"status": …
      if (!this.side.isApproved) this.side.approve(payload).stored();
      return;
    }
    const arrival = this.side.open(decodeEnvelope(payload));
    if (arrival.kind === "duplicate") {
      if (arrival.answer !== null) void this.publish(messageTopic, arrival.answer);
      return;
    }
    arrival.save.stored();
    const { rpc } = arrival;
    if (rpc.kind === "response") return void this.#responses.set(rpc.id, rpc);
    this.asked.push(rpc);
    const response = this.onCall(rpc);
    if (response !== null) void this.publish(messageTopic, arrival.answer(response));
  }
}

/** Enters a psk for a device, as an admin does, and gives it. */
export async function enterPsk(gateway: TestGateway, id: string, psk?: string): Promise<string> {
  const body = JSON.stringify(psk === undefined ? {} : { psk });
  const answer = await gateway.ask(`/devices/${id}/psk`, { method: "PUT", body });
  return psk ?? answer.body.psk;
}

/** A device of v1 that has been approved, and has its keys. */
export async function openV1Device(
  gateway: TestGateway,
  id: string,
  psk?: string,
): Promise<V1Device> {
  const device = await V1Device.open(gateway, id, { psk: await enterPsk(gateway, id, psk) });
  await device.connect();
  await until(`${id} waits`, () => gateway.peers.waiting().some((one) => one.device === id));
  const { fingerprint } = (await gateway.ask(`/devices/${id}`)).body;
  await gateway.peers.approve("device", id, { fingerprint });
  await until(`${id} is approved`, () => device.side.isApproved);
  return device;
}
