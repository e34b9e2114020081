/**
 * How simulated sensors misbehave, drawn as `mischief.ts` says. None of it may make a call happen twice
 * or keep a device that behaves from its site: what the report says in the end shows whether that holds.
 */
import { drawnMischief, type Kinds, type MischiefOf, type MisdeedsOf } from "./mischief.ts";

export type SensorMisbehaviour =
  | "duplicate"
  | "replay"
  | "reorder"
  | "reboot"
  | "flood"
  | "garbage"
  | "spoof"
  | "retain";

export const sensorKinds: Kinds<SensorMisbehaviour> = {
  duplicate: {
    does: "sends every frame twice",
    ...{ chance: 1, topic: 201, counted: "frames sent a second time" },
  },
  replay: {
    does: "sends an old frame again, of whatever session",
    ...{ chance: 1 / 4, topic: 202, counted: "old frames sent again" },
  },
  reorder: {
    does: "holds a frame back, till the next is sent",
    ...{ chance: 1 / 5, topic: 203, counted: "frames held back" },
  },
  reboot: {
    does: "loses its power, or just its connection",
    ...{ chance: 1 / 4, topic: 204, counted: "reboots and lost connections" },
  },
  flood: {
    does: "makes 120 calls at once",
    ...{ chance: 1 / 5, topic: 205, counted: "calls too many" },
  },
  garbage: {
    does: "sends what is no frame, or no JSON",
    ...{ chance: 1 / 2, topic: 206, counted: "messages without sense" },
  },
  spoof: {
    does: "sends frames under another device's id",
    ...{ chance: 1 / 2, topic: 207, counted: "frames in another's name" },
  },
  retain: {
    does: "has its broker keep a handshake, if it does",
    ...{ chance: 1 / 4, topic: 208, counted: "handshakes left at the broker" },
  },
};

export type SensorMischief = MischiefOf<SensorMisbehaviour>;
export type SensorMisdeeds = MisdeedsOf<SensorMisbehaviour>;

/** Counts misdeeds. */
export type OnMisdeed = (kind: SensorMisbehaviour, count?: number) => void;

/** The mischief of a sensor that does as it should. */
export const harmless: SensorMischief = () => null;

/** The mischief of a sensor, by its number in the fleet. */
export function sensorMischief(
  told: Iterable<SensorMisbehaviour>,
  who: { readonly seed: number; readonly device: number },
): SensorMischief {
  return drawnMischief(sensorKinds, told, who);
}
