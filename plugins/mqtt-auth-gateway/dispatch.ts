/**
 * What becomes of a device's call, whichever profile it came by: may the device call now, and this;
 * then the gateway answers it, or it goes where the configuration says. What has an effect outside
 * happens once for one id, over restarts of either side, and is in the site's history: that it is to
 * happen before it does, and what came of it. A device has 10,000 such calls in a week, no more.
 */
import { fromHex, utf8 } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import type { Audit } from "../../core/services/audit.ts";
import type { Log } from "../../core/services/logging.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import type { Recorder, Sessions } from "../../core/services/sessions/mod.ts";
import type { Json } from "../../core/wire/json_rpc.ts";
import { rateLimit } from "../../core/services/token_bucket.ts";
import type { Calls } from "./calls.ts";
import type { Config, Route } from "./config.ts";
import { type Hook, hookOf } from "./hook.ts";
import type { Method } from "./methods.ts";
import { isAllowed, isMethod, matches } from "./permissions.ts";
import { RpcRefusal } from "./refusal.ts";
import type { Profile, Registry } from "./registry.ts";

/** A call of a device that has proved who it is. */
export interface DeviceCall {
  readonly peer: Peer;
  readonly profile: Profile;
  readonly method: string;
  readonly params: Json | undefined;
  /** 32 hexadecimal digits of an effect that is to happen once; null when it may happen again. */
  readonly once: string | null;
}

/** Gives the result. @throws CodedError with a sentence that the device may read */
export type Dispatch = (call: DeviceCall) => Promise<Json>;

export interface DispatchParts {
  readonly site: string;
  readonly config: Pick<Config, "allow" | "calls_per_second" | "routes" | "v1_hooks">;
  readonly sessions: Pick<Sessions, "once">;
  readonly registry: Pick<Registry, "find" | "called">;
  readonly methods: ReadonlyMap<string, Method>;
  readonly calls: Pick<Calls, "note" | "count">;
  readonly audit: Audit;
  readonly log: Log;
  /** Tells the site of a call that is an event. */
  readonly onEvent: (device: string, method: string, params: Json | null) => void;
  /** Milliseconds that never go backwards; the runtime's unless given. */
  readonly monotonic?: Clock;
}

/** Devices whose rates are remembered. */
const ratesKept = 10_000;
/** Bytes of an event's params. */
const eventLimit = 4_096;

export function dispatcher(parts: DispatchParts): Dispatch {
  const { config, registry, methods, calls, monotonic = () => performance.now() } = parts;
  const perSecond = config.calls_per_second;
  const mayCall = rateLimit({ perSecond, burst: Math.max(1, 10 * perSecond) }, { most: ratesKept });
  const hooks = new Map<Route, Hook>();
  for (const route of config.routes) {
    if (route.url !== undefined) {
      hooks.set(route, hookOf(route, { clock: monotonic, log: parts.log }));
    }
  }

  async function run(call: DeviceCall): Promise<Json> {
    const { peer: { id }, method } = call;
    const allow = registry.find(id)?.allow ?? config.allow;
    if (!isMethod(method) || !isAllowed(method, allow)) {
      throw new RpcRefusal(
        "not_allowed",
        "Cannot take the call: the method is not for this device",
      );
    }
    const own = methods.get(method);
    if (own !== undefined) return await once(call, () => own(id, call.params));
    const route = config.routes.find((route) => matches(route.method, method));
    if (route === undefined) {
      throw new RpcRefusal("method_not_found", "Cannot take the call: nobody answers this method");
    }
    const hook = hooks.get(route);
    if (hook === undefined) return await once(call, () => tell(call));
    return await ask(hook, call);
  }

  async function ask(hook: Hook, call: DeviceCall): Promise<Json> {
    const { peer: { id: device }, profile, method, params = null } = call;
    if (profile === "v1" && !config.v1_hooks.includes(method)) {
      throw new RpcRefusal("not_allowed", "Cannot take the call: it is not for devices of v1");
    }
    const id = call.once;
    if (id === null) {
      throw new RpcRefusal("once_required", 'Cannot take the call: it has no "once"', {
        hint: "32 hexadecimal digits, drawn at random, and the same for each attempt",
      });
    }
    // before anything is on record: whoever asks again later, with the same id, may have more luck
    hook.check();
    const { site, audit } = parts;
    const entry = { actor: device, subject: device };
    const detail = { method, once: id };
    return await once(call, () => hook.run({ site, device, method, params, once: id }), {
      began: (tx) => audit.append(tx, { ...entry, type: "device.hook_called", detail }),
      ended: (tx, outcome) =>
        audit.append(tx, { ...entry, type: "device.hook_ended", detail: { ...detail, outcome } }),
    });
  }

  /** Happens now, unless it has. */
  async function once(
    { peer, once }: DeviceCall,
    effect: () => Promise<Json>,
    recorder?: Recorder,
  ): Promise<Json> {
    if (once === null) return await effect();
    const result = await parts.sessions.once(peer, fromHex(once), async () => {
      return utf8(JSON.stringify(await effect()));
    }, recorder);
    return JSON.parse(new TextDecoder().decode(result));
  }

  function tell({ peer, method, params = null }: DeviceCall): Promise<Json> {
    if (JSON.stringify(params).length > eventLimit) {
      throw new RpcRefusal("invalid_params", "Cannot take the call: its params are too long");
    }
    parts.onEvent(peer.id, method, params);
    return Promise.resolve({});
  }

  return async (call) => {
    const { peer: { id: device }, method } = call;
    // the cheapest question first: this is what a device in a loop costs
    if (!mayCall(device, monotonic())) {
      calls.count("rate_limited");
      registry.called(device, { refused: true });
      throw new RpcRefusal("rate_limited", "Cannot take the call: there are too many");
    }
    let refused = true;
    try {
      const shown = isMethod(method) ? method : "(no name)";
      const noted = { device, method: shown, direction: "in" } as const;
      const result = await calls.note(noted, () => run(call));
      refused = false;
      return result;
    } finally {
      registry.called(device, { refused });
    }
  };
}
