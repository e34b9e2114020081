/** Many sensors in one process, each with a connection of its own, and their names. */
import { toHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import type { Sensor } from "./sensor.ts";
import { countsOfAll, type SensorCounts, unanswered } from "./sensor_counts.ts";
import { type Flash, idsIn, memoryFlash, openFlash } from "./sensor_flash.ts";
import { playSensor, type Routine } from "./sensor_routine.ts";

export interface SensorNames {
  readonly count: number;
  /** Of the one device, or the beginning of their names; new ones each time unless given. */
  readonly id?: string;
  /** Where devices live; those that are there already come first. */
  readonly dir?: string;
}

export interface SensorFleet extends AsyncDisposable {
  readonly sensors: readonly Sensor[];
}

/** @param open makes a sensor, by its number from 0. @throws CodedError */
export async function openSensors(
  suite: Suite,
  { open, ...names }: SensorNames & {
    open: (flash: Flash, number: number) => Promise<Sensor>;
  },
): Promise<SensorFleet> {
  await using stack = new AsyncDisposableStack();
  const sensors: Sensor[] = [];
  for (const [number, id] of idsOf(suite, names).entries()) {
    const { dir } = names;
    const flash = dir === undefined
      ? memoryFlash(suite, { id })
      : await openFlash(suite, { dir, id });
    try {
      sensors.push(stack.use(await open(flash, number)));
    } catch (error) {
      flash[Symbol.dispose]();
      throw error;
    }
  }
  stack.move();
  return {
    sensors,
    async [Symbol.asyncDispose]() {
      await Promise.all(sensors.map((sensor) => sensor[Symbol.asyncDispose]()));
    },
  };
}

function idsOf(suite: Suite, { count, id, dir }: SensorNames): Id[] {
  const digits = String(count).length;
  const numbered = (name: string, n: number) =>
    parseId(`${name}-${String(n).padStart(digits, "0")}`);
  if (id !== undefined) {
    if (count === 1) return [parseId(id)];
    return Array.from({ length: count }, (_, i) => numbered(id, i + 1));
  }
  const known = dir === undefined ? [] : idsIn(dir).slice(0, count);
  const run = toHex(suite.randomBytes(3));
  const missing = Array.from({ length: count - known.length }, (_, i) => i + 1);
  return [...known, ...missing.map((n) => numbered(`sensor-${run}`, n))];
}

export interface FleetRoutine extends Pick<Routine, "seed" | "every" | "calls" | "stopping"> {
  readonly suite: Suite;
  /** Hears of each that is let in, once its first call is answered. */
  readonly onAuthorized?: (sensor: Sensor) => void;
}

/** How long the last calls may take, in milliseconds. */
const drainTime = 60_000;

/**
 * Plays all of them until they are to stop, and their last calls are answered or given up.
 * @throws CodedError of what no sensor should meet
 */
export async function playSensors(
  sensors: readonly Sensor[],
  { suite, onAuthorized, ...routine }: FleetRoutine,
): Promise<void> {
  const ending = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const drain = () => void (timer = setTimeout(() => ending.abort(), drainTime));
  if (routine.stopping.aborted) drain();
  else routine.stopping.addEventListener("abort", drain);
  try {
    await Promise.all(sensors.map(async (sensor, number) => {
      const neighbour = sensors.length > 1 ? sensors[(number + 1) % sensors.length]! : null;
      await playSensor(sensor, {
        ...{ ...routine, number, ending: ending.signal },
        pranks: { suite, neighbour },
        onAuthorized: () => onAuthorized?.(sensor),
      });
    }));
  } finally {
    ending.abort();
    clearTimeout(timer);
    routine.stopping.removeEventListener("abort", drain);
  }
}

export interface SensorTotals extends SensorCounts {
  readonly devices: number;
  readonly authorized: number;
  /** Calls of devices that have no answer. */
  readonly unanswered: number;
}

/** What all of them have done. */
export function totalsOf(sensors: readonly Sensor[]): SensorTotals {
  const counts = countsOfAll(sensors.map(({ counts }) => counts));
  return {
    devices: sensors.length,
    authorized: sensors.filter(({ isAuthorized }) => isAuthorized).length,
    ...counts,
    unanswered: unanswered(counts),
  };
}

/** @throws CodedError "incomplete", "duplicates_run" unless all is as it should be */
export function requireWell(
  { devices, authorized, unanswered, duplicates_run }: SensorTotals,
): void {
  if (authorized < devices) {
    throw new CodedError("incomplete", `${devices - authorized} of ${devices} were not let in`, {
      hint: "at the site: `edgeward peers list`, then `edgeward peers approve`",
    });
  }
  if (unanswered > 0) {
    throw new CodedError("incomplete", `${unanswered} calls have no answer`, {
      hint: "is the site running, and does it reach the broker? `edgeward doctor` looks",
    });
  }
  if (duplicates_run > 0) {
    throw new CodedError("duplicates_run", `${duplicates_run} calls of the site ran twice`, {
      hint: "this is a fault of edgeward: please report it",
    });
  }
}
