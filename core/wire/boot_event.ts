/**
 * What a device says about one of its starts: a statement `application/edgeward-boot+cbor`
 * `{event, device, volume, boot: [counter, id], t}` (protocols.md §5). The gateways check its signature,
 * keep it, and raise an alarm when a release is not followed by `MOUNT_OK`. Its time is the device's own
 * and says nothing more than what the device's clock showed.
 */
import { CodedError } from "../base/errors.ts";
import { type Id, isId } from "../base/id.ts";
import { decodeCbor, encodeCbor, MapReader } from "../trust/cbor.ts";
import { type Boot, bootItem, bootOf } from "./unlock.ts";

export const bootEventType = "application/edgeward-boot+cbor";

export const bootEvents = [
  "BOOT_LOCKED", // the device has started and cannot read its volume yet
  "AUTH_OK", // enough good answers have opened the volume
  "MOUNT_OK", // what the volume was opened for is done
  "MOUNT_FAIL",
] as const;
export type BootEventName = typeof bootEvents[number];

export interface BootEvent {
  readonly event: BootEventName;
  readonly device: Id;
  /** 16 bytes; null when the event is about no volume in particular. */
  readonly volume: Uint8Array | null;
  readonly boot: Boot;
  /** Unix milliseconds by the device's clock. */
  readonly t: number;
}

export class BootEventError extends CodedError<"malformed"> {
  override readonly name = "BootEventError";
}

export function isBootEvent(value: unknown): value is BootEventName {
  return (bootEvents as readonly unknown[]).includes(value);
}

/** The payload of the statement. */
export function encodeBootEvent({ event, device, volume, boot, t }: BootEvent): Uint8Array {
  return encodeCbor({ event, device, volume, boot: bootItem(boot), t });
}

/** @throws BootEventError "malformed" */
export function decodeBootEvent(payload: Uint8Array): BootEvent {
  try {
    const map = new MapReader(decodeCbor(payload));
    const event = map.value("event");
    const device = map.value("device");
    const volume = map.value("volume");
    const boot = bootOf(map.value("boot"));
    const t = map.integer("t", 0, 2 ** 48);
    map.end();
    const isVolume = volume === null || volume instanceof Uint8Array && volume.length === 16;
    if (isBootEvent(event) && isId(device) && isVolume) return { event, device, volume, boot, t };
  } catch (error) {
    throw malformed(error);
  }
  throw malformed();
}

function malformed(cause?: unknown): BootEventError {
  return new BootEventError("malformed", "Cannot read the boot event", { cause });
}
