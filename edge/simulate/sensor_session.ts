/** A sensor that speaks profile v2: JSON-RPC in Noise sessions, both ways. */
import { fromBase64url, toHex } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import { type Caller, dial, Refusal, type Remote } from "../../core/services/sessions/mod.ts";
import { FrameType, frameVersion } from "../../core/trust/session/frame.ts";
import {
  decodeRpc,
  encodeRefusal,
  encodeRpc,
  type Json,
  type RpcRequest,
} from "../../core/wire/json_rpc.ts";
import type { MqttMessage } from "../../core/services/mqtt/mod.ts";
import { SensorConnection } from "./sensor_connection.ts";
import type { Tally } from "./sensor_counts.ts";
import type { LinkOptions, SensorLink } from "./sensor_link.ts";
import type { SensorMethods } from "./sensor_methods.ts";

/** Begins a life. Nothing is sent before the first call. */
export function sessionLink(options: LinkOptions): SensorLink {
  const { suite, flash, broker, log, frames, tally, methods, onWords, onUp } = options;
  const { id } = flash;
  let connection: SensorConnection | null = null;
  let calls = 0;

  const caller: Caller = {
    ...{ suite, device: id, purpose: "rpc" as const, log, onWords },
    ...{ staticKey: flash.noise, signKey: flash.signKey, isAdmitted: flash.state.authorized },
    onCall: (body: Uint8Array) => Promise.resolve(answer(methods, decodeRpc(body) as RpcRequest)),
  };
  const channel = dial(remoteOf(options), caller, {
    async connect() {
      connection = await SensorConnection.open({
        ...{ id, broker, log, frames, onUp, onMessage: sessionCounter(tally) },
      });
      return connection;
    },
  });
  return {
    async call({ method, params, once }, within) {
      const request: RpcRequest = {
        ...{ kind: "request", id: `s-${++calls}`, method },
        ...(params !== undefined && { params }),
        ...(once !== null && { once }),
      };
      const response = decodeRpc(await channel.call(encodeRpc(request), { within }));
      if (response.kind === "result") return response.result;
      throw new Refusal("error", `The site answers with an error: ${JSON.stringify(response)}`);
    },
    get connection() {
      return connection;
    },
    get pinned() {
      return channel.pinned;
    },
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

/** As much of its site as it knows. */
function remoteOf({ flash: { state }, broker: { url } }: LinkOptions): Remote {
  const { site = "", noise_key = null, code = null } = state.site ?? {};
  return {
    ...{ site: site === "" ? "" : parseId(site), url },
    ...(noise_key !== null && { noiseKey: fromBase64url(noise_key) }),
    ...(code !== null && { code: fromBase64url(code) }),
  };
}

function answer(methods: SensorMethods, request: RpcRequest): Uint8Array {
  const { id, method, params, once = null } = request;
  const outcome = methods.answer({ id, method, params: params as Json, once });
  if ("refused" in outcome) return encodeRefusal(id, outcome.refused, outcome.why);
  return encodeRpc({ kind: "result", id, result: outcome.result });
}

/** Each second message of a handshake is a session, however often it comes. */
function sessionCounter(tally: Tally): (message: MqttMessage) => void {
  let last = "";
  return ({ payload, retained }) => {
    if (retained || payload[0] !== frameVersion || payload[1] !== FrameType.message2) return;
    const session = toHex(payload.subarray(2, 10));
    if (session === last) return;
    last = session;
    tally.add("sessions");
  };
}
