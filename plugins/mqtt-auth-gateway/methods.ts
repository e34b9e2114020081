/** The methods that the gateway answers itself. */
import type { Clock } from "../../core/base/clock.ts";
import type { Json, JsonObject } from "../../core/wire/json_rpc.ts";
import type { Config } from "./config.ts";
import { RpcRefusal } from "./refusal.ts";
import { type Telemetry, type Values, valuesIn } from "./telemetry.ts";

/** Answers a call of a device that may make it. @throws RpcRefusal */
export type Method = (device: string, params: Json | undefined) => Promise<Json>;

export interface MethodParts {
  readonly config: Pick<Config, "config" | "devices">;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Tells the site what a device has reported, once it is kept. */
  readonly onTelemetry: (device: string, values: Values) => void;
}

/** By name. */
export function methodsOf(parts: MethodParts): ReadonlyMap<string, Method> {
  const { config, clock, telemetry, onTelemetry } = parts;
  return new Map<string, Method>([
    // Unix milliseconds: devices without a clock of their own set it by this
    ["time", () => Promise.resolve({ t: clock() })],
    ["echo", (_, params = null) => Promise.resolve(params)],
    ["config.get", (device, params) => Promise.resolve(settingsOf(config, device, params))],
    ["telemetry.push", async (device, params) => {
      const values = valuesIn(params);
      await telemetry.push(device, values);
      onTelemetry(device, values);
      return { stored: Object.keys(values).length };
    }],
  ]);
}

/** All settings of a device, its own over those of all; or the one that `{key}` names. */
function settingsOf(
  { config, devices }: MethodParts["config"],
  device: string,
  params: Json | undefined,
): Json {
  const own = Object.hasOwn(devices, device) ? devices[device]!.config : {};
  const settings = { ...config, ...own } as JsonObject;
  if (params === undefined) return settings;
  const key = Array.isArray(params) ? params[0] : (params as JsonObject)["key"];
  if (key === undefined) return settings;
  if (typeof key !== "string") {
    throw new RpcRefusal("invalid_params", "Cannot give the setting: key is no text");
  }
  return Object.hasOwn(settings, key) ? settings[key]! : null;
}
