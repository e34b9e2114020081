/**
 * Devices as a program that a test can kill: it plays them with what is in their directory, lets each
 * make calls with an effect one after the other, and writes a line to standard error for everything
 * that becomes of them. What it has written that a device heard, the device has heard.
 */
import { fromBase64url } from "../../core/base/bytes.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { pause } from "../../core/services/pause.ts";
import type { EnrolmentJson } from "../../core/wire/enrolment.ts";
import { Sensor, type SensorProfile } from "../../edge/simulate/sensor.ts";
import { openFlash } from "../../edge/simulate/sensor_flash.ts";

/** The program's one argument, as JSON. */
export interface Order {
  readonly dir: string;
  readonly broker: string;
  /** The method that each calls, and the milliseconds between two calls. */
  readonly method: string;
  readonly every: number;
  readonly devices: readonly DeviceOrder[];
}

export interface DeviceOrder {
  readonly id: string;
  readonly profile: SensorProfile;
  /** Of v2: what it knows of its site, without a code when it has none. */
  readonly site?: Pick<EnrolmentJson, "site" | "noise_key"> & { readonly code?: string };
  /** Of v1, in base64url. */
  readonly psk?: string;
}

/** A line of what it writes. */
export type Line =
  & { readonly id: string }
  & (
    | { readonly shows: string | null }
    | { readonly answered: number }
    | { readonly refused: number; readonly code: string }
    | { readonly failed: string }
  );

const suite = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };

if (import.meta.main) await play(JSON.parse(Deno.args[0]!));

async function play({ dir, broker, method, every, devices }: Order): Promise<void> {
  const stopping = new AbortController();
  Deno.addSignalListener("SIGTERM", () => stopping.abort());
  const { signal } = stopping;
  await Promise.all(devices.map(async (device) => {
    const id = parseId(device.id);
    await using sensor = new Sensor({
      ...{ suite, log, flash: await openFlash(suite, { dir, id }), profile: device.profile },
      broker: { url: broker },
      onApproval: (shown) => say({ id, shows: shown }),
      ...(device.site !== undefined && { site: siteOf(device.site) }),
      ...(device.psk !== undefined && { psk: fromBase64url(device.psk) }),
    });
    try {
      await sensor.start({ signal });
      while (!signal.aborted) {
        await act(sensor, { method, signal });
        await pause(every, signal);
      }
    } catch (error) {
      if (!signal.aborted) say({ id, failed: messageOf(error) });
    }
  }));
  Deno.exit(0);
}

async function act(
  sensor: Sensor,
  { method, signal }: { method: string; signal: AbortSignal },
): Promise<void> {
  const { id } = sensor;
  const n = sensor.acts + 1;
  try {
    await sensor.act(method, { device: id, n }, { signal });
    say({ id, answered: n });
  } catch (error) {
    if (!(error instanceof CodedError) || error.code === "stopped") throw error;
    say({ id, refused: n, code: error.code });
  }
}

function siteOf({ site, noise_key, code }: NonNullable<DeviceOrder["site"]>) {
  return {
    ...{ site: parseId(site), noiseKey: fromBase64url(noise_key) },
    ...(code !== undefined && { code: fromBase64url(code) }),
  };
}

function say(line: Line): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
}
