/**
 * The built-in household: what a simulated meter measures when there is no file to replay. A base
 * load, people who get up, come home and go to bed, a fridge that cycles, a kettle, an oven, and mains
 * that sag when much is drawn. Pure: the load follows from (seed, meter, step) alone, to the bit, since
 * nothing but exact or correctly rounded arithmetic is used (no sine, no exponential).
 */
import { draw } from "./_draw.ts";
import type { Load, Source } from "./source.ts";

const day = 24 * 60;
/** The time of day of step 0: early evening, when a household is worth watching. */
const firstMinute = 18 * 60;

/** What a random number is for, so that no two things share theirs. */
const Topic = {
  home: 1,
  lighting: 2,
  kettle: 3,
  oven: 4,
  mains: 5,
  noise: 6,
} as const;

/** Minutes, watts and volts of one home, drawn once from the seed. */
interface Home {
  readonly random: (...keys: number[]) => number;
  readonly base: number;
  /** How much more than others these people switch on. */
  readonly size: number;
  /** How much later than others they do everything. */
  readonly shift: number;
  readonly fridge: { readonly period: number; readonly on: number; readonly power: number };
  readonly mains: number;
}

/** The load model of a seed; one step is one minute. Below 12 kW, and between 215 and 250 V. */
export function loadModel(seed: number): Source {
  return (meter, step): Load => {
    const home = homeOf((...keys) => draw(seed, meter, ...keys));
    const minute = firstMinute + step;
    const activity = activityAt(minute - home.shift);
    const noise = home.random(Topic.noise, step) - 0.5;
    const power = (1 + 0.06 * noise) * (
      home.base + lighting(home, minute, activity) + fridge(home, minute) +
      kettle(home, minute, activity) + oven(home, minute)
    );
    return {
      power_W: Math.round(power),
      voltage_mV: Math.round(
        1000 * (mains(home, minute) - 2 * activity - sag(power)) + 500 * noise,
      ),
    };
  };
}

function homeOf(random: Home["random"]): Home {
  const between = (key: number, min: number, max: number) =>
    min + (max - min) * random(Topic.home, key);
  return {
    random,
    base: between(0, 50, 160),
    size: between(1, 0.6, 1.5),
    shift: Math.round(between(2, -45, 45)),
    fridge: {
      period: Math.round(between(3, 38, 56)),
      on: Math.round(between(4, 14, 22)),
      power: between(5, 80, 140),
    },
    mains: between(6, 229, 234),
  };
}

/** How much goes on at home, about 0.1 at night and 1.1 in the evening. */
function activityAt(minute: number): number {
  return 0.1 + 0.5 * bump(minute, { around: 7 * 60 + 20, width: 100 }) +
    0.3 * bump(minute, { around: 13 * 60, width: 150 }) +
    bump(minute, { around: 20 * 60, width: 210 });
}

/** 1 at its middle, 0 a width away from it, every day again. */
function bump(minute: number, { around, width }: { around: number; width: number }): number {
  const away = modulo(minute - around + day / 2, day) - day / 2;
  const x = Math.min(1, Math.abs(away) / width);
  return (1 - x * x) * (1 - x * x);
}

/** Lamps, screens, the computer: what changes every ten minutes or so. */
function lighting({ random, size }: Home, minute: number, activity: number): number {
  return 450 * size * activity * (0.7 + 0.6 * random(Topic.lighting, Math.floor(minute / 10)));
}

function fridge({ random, fridge: { period, on, power } }: Home, minute: number): number {
  const phase = Math.floor(period * random(Topic.home, 7));
  return (minute + phase) % period < on ? power : 0;
}

/** Three minutes at some time of some slots of forty, the more the more goes on. */
function kettle({ random }: Home, minute: number, activity: number): number {
  const slot = Math.floor(minute / 40);
  const at = Math.floor(random(Topic.kettle, slot, 0) * 37);
  const isOn = minute % 40 >= at && minute % 40 < at + 3;
  return isOn && random(Topic.kettle, slot, 1) < 0.7 * activity ? 2_000 : 0;
}

/** On most evenings for about an hour: it heats up, then its thermostat switches. */
function oven({ random }: Home, minute: number): number {
  const today = Math.floor(minute / day);
  const began = 17 * 60 + 30 + Math.floor(150 * random(Topic.oven, today, 0));
  const ran = (minute % day) - began;
  const length = 35 + 30 * random(Topic.oven, today, 1);
  if (ran < 0 || ran >= length || random(Topic.oven, today, 2) > 0.6) return 0;
  return ran < 12 || ran % 9 < 4 ? 2_400 : 0;
}

/** The voltage at the street, in V: it wanders from one quarter of an hour to the next. */
function mains({ random, mains }: Home, minute: number): number {
  const quarter = Math.floor(minute / 15);
  const from = random(Topic.mains, quarter), to = random(Topic.mains, quarter + 1);
  return mains - 1.5 + 3 * (from + (to - from) * (minute % 15) / 15);
}

/** What is lost on the way to the house, in V: 0.3 ohm and the current at 230 V. */
function sag(power: number): number {
  return 0.3 * power / 230;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
