/**
 * Calls that people make to devices. Each is in the site's history before it is sent, by method and
 * never with its params; whichever profile the device speaks, the answer looks the same.
 */
import { toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { SiteAudit } from "../../core/services/audit.ts";
import type { Database } from "../../core/services/db/mod.ts";
import { ChannelError, Refusal, type Served } from "../../core/services/sessions/mod.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import {
  decodeRpc,
  encodeRpc,
  type Json,
  type RpcErrorObject,
  type RpcRequest,
} from "../../core/wire/json_rpc.ts";
import type { Calls } from "./calls.ts";
import { isAdmitted } from "./devices.ts";
import type { LegacyGateway } from "./legacy.ts";
import { RpcRefusal } from "./refusal.ts";
import type { Registry } from "./registry.ts";

export interface OperatorCall {
  readonly device: Id;
  readonly method: string;
  readonly params?: RpcRequest["params"];
  /** 32 hexadecimal digits of an effect that is to happen once, for devices of v2. */
  readonly once?: string;
  /** Milliseconds. */
  readonly within: number;
  /** Who makes it, for the audit. */
  readonly actor: string;
}

/** What the device answered: an error is an answer too. */
export type Answer = { readonly result: Json } | { readonly error: RpcErrorObject };

/**
 * @throws RpcRefusal "device_unknown", "not_connected", "no_answer", "outcome_unknown",
 * "rate_limited", "once_unsupported"; RpcError when it is nothing that can be sent
 */
export type CallDevice = (call: OperatorCall) => Promise<Answer>;

export interface OperateParts {
  readonly suite: Suite;
  readonly db: Database;
  readonly audit: SiteAudit;
  readonly registry: Pick<Registry, "find">;
  readonly served: Pick<Served, "call">;
  /** Null where v1 is not spoken. */
  readonly legacy: Pick<LegacyGateway, "call"> | null;
  readonly calls: Pick<Calls, "note">;
}

export function operatorCalls(parts: OperateParts): CallDevice {
  const { suite, db, audit, registry, served, legacy, calls } = parts;

  async function send(request: RpcRequest, { device, within }: OperatorCall): Promise<Answer> {
    const { id, method, params } = request;
    if (legacy !== null && registry.find(device)?.profile === "v1") {
      if (request.once !== undefined) {
        throw new RpcRefusal("once_unsupported", 'Cannot call the device: v1 has no "once"');
      }
      const call = { id, method, ...(params !== undefined && { params }) };
      const response = await legacy.call(device, call, { within });
      return "result" in response ? { result: response.result } : { error: response.error };
    }
    const response = decodeRpc(await served.call(device, encodeRpc(request), { within }));
    if (response.kind === "result") return { result: response.result };
    if (response.kind === "error") return { error: response.error };
    throw new Error("A device answered with a request");
  }

  return async (call) => {
    const { device, method, params, once, within, actor } = call;
    if (!isAdmitted(registry.find(device)?.device ?? null)) {
      throw new RpcRefusal(
        "device_unknown",
        `Cannot call the device "${device}": it is not let in`,
      );
    }
    const request: RpcRequest = {
      ...{ kind: "request", id: `call-${toHex(suite.randomBytes(8))}`, method },
      ...(params !== undefined && { params }),
      ...(once !== undefined && { once }),
    };
    encodeRpc(request); // what cannot be sent is not recorded
    const detail = { method, within_ms: within, ...(once !== undefined && { once }) };
    await db.write((tx) =>
      audit.append(tx, { type: "device.called", actor, subject: device, detail })
    );
    try {
      const noted = { device, method, direction: "out" } as const;
      return await calls.note(noted, () => send(request, call));
    } catch (error) {
      return asAnswer(error);
    }
  };
}

/** A refusal of the device's own is its answer. @throws everything else, in our words */
function asAnswer(error: unknown): Answer {
  if (error instanceof Refusal) {
    const { code } = error;
    return { error: { code: -32_000, message: `The device refuses: ${code}`, data: { code } } };
  }
  if (!(error instanceof ChannelError)) throw error;
  const { code, message, hint } = error;
  const known = code === "not_connected" || code === "no_answer" || code === "outcome_unknown"
    ? code
    : code === "too_many_calls"
    ? "rate_limited"
    : "not_connected";
  throw new RpcRefusal(known, message, { ...(hint !== undefined && { hint }), cause: error });
}
