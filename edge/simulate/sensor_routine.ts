/**
 * What a sensor does all day: it reports what it measures, asks for the time and its settings now and
 * then, has an answer repeated to it, and makes the calls with an effect that it was told to make.
 */
import { CodedError } from "../../core/base/errors.ts";
import { pause } from "../../core/services/pause.ts";
import { Refusal } from "../../core/services/sessions/mod.ts";
import { draw } from "./_draw.ts";
import { type Sensor, SensorError } from "./sensor.ts";
import { misbehave, type Pranks, tidy } from "./sensor_pranks.ts";

export interface Routine {
  /** Its number in the fleet, and the seed of what it measures. */
  readonly number: number;
  readonly seed: number;
  /** Milliseconds between two rounds. */
  readonly every: number;
  /** Methods with an effect, called in each round with `{device, n}`. */
  readonly calls: readonly string[];
  /** Begins no round when it has aborted. */
  readonly stopping: AbortSignal;
  /** Gives up what has no answer yet; later than the other. */
  readonly ending: AbortSignal;
  readonly pranks?: Omit<Pranks, "sensor" | "signal">;
  /** Hears when it has been let in. */
  readonly onAuthorized?: () => void;
}

/** Plays a sensor until it is to stop. @throws CodedError of what no sensor should meet */
export async function playSensor(sensor: Sensor, routine: Routine): Promise<void> {
  const { every, seed, number, stopping, ending } = routine;
  const pranks = routine.pranks && { ...routine.pranks, sensor, signal: ending };
  try {
    await start(sensor, routine);
    routine.onAuthorized?.();
    // not all at once
    let due = performance.now() + every * draw(seed, number, phaseTopic);
    for (let round = 0; !stopping.aborted; round++) {
      await pause(Math.max(0, due - performance.now()), stopping);
      if (stopping.aborted) break;
      // a round that takes longer than its time delays the others
      due = Math.max(due + every, performance.now());
      if (pranks !== undefined) await misbehave(pranks, round);
      await oneRound(sensor, routine, round);
    }
  } catch (error) {
    if (!(error instanceof SensorError && error.code === "stopped")) throw error;
  } finally {
    if (pranks !== undefined) await tidy(pranks);
  }
}

const phaseTopic = 210;
const valueTopic = 211;

/** Whoever waits for a person waits until the end, and no longer. */
async function start(sensor: Sensor, { stopping, ending }: Routine): Promise<void> {
  const giveUp = new AbortController();
  const stop = () => {
    if (ending.aborted || stopping.aborted && sensor.needsApproval) giveUp.abort();
  };
  for (const signal of [stopping, ending]) signal.addEventListener("abort", stop);
  stop();
  try {
    await sensor.start({ signal: giveUp.signal });
  } finally {
    for (const signal of [stopping, ending]) signal.removeEventListener("abort", stop);
  }
}

async function oneRound(sensor: Sensor, routine: Routine, round: number): Promise<void> {
  const { calls, ending: signal } = routine;
  const make = async (call: Promise<unknown>) => {
    await call.catch((error) => {
      if (!(error instanceof Refusal)) throw error;
    });
  };
  await make(sensor.call("telemetry.push", { values: valuesAt(routine, round) }, { signal }));
  if (round % 2 === 0) await make(echo(sensor, { round }, signal));
  if (round % 5 === 0) await make(sensor.call("time", undefined, { signal }));
  if (round % 10 === 0) await make(sensor.call("config.get", undefined, { signal }));
  for (const method of calls) {
    const params = { device: sensor.id, n: sensor.acts + 1 };
    await make(sensor.act(method, params, { signal }));
  }
}

async function echo(sensor: Sensor, params: { round: number }, signal: AbortSignal): Promise<void> {
  const answer = await sensor.call("echo", params, { signal });
  if (JSON.stringify(answer) === JSON.stringify(params)) return;
  throw new CodedError("wrong_answer", `The site gave "${sensor.id}" the answer to another call`);
}

/** A room with a day of ten minutes. */
function valuesAt({ number, seed }: Routine, round: number) {
  const noise = (what: number) => draw(seed, number, valueTopic, what, round) - 0.5;
  const phase = draw(seed, number, valueTopic);
  const day = Math.sin(2 * Math.PI * (round / 120 + phase));
  return {
    temperature: rounded(21 + 4 * day + 0.4 * noise(1), 2),
    humidity: rounded(45 - 10 * day + 2 * noise(2), 1),
    battery: rounded(3.7 + 0.02 * noise(3), 3),
    uptime: round,
  };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
