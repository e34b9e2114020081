/**
 * What a device is to the gateway, as one function from what it was to what it is. A device here is a
 * name together with a key: a second key under a name is another device, in conflict, and touches the
 * first one in nothing. `null` is a key that the gateway does not know.
 *
 * PENDING waits for a person; APPROVED has been let in and has not spoken; AUTHORIZED has proved with a
 * valid frame that it holds its key, and is heard; OFFLINE has been silent for too long; REVOKED stays
 * out until it is removed; CONFLICT waits under a name that belongs to another key.
 */

export const states = [
  "PENDING",
  "CONFLICT",
  "APPROVED",
  "AUTHORIZED",
  "OFFLINE",
  "REVOKED",
] as const;
export type State = typeof states[number];

export interface Device {
  readonly state: State;
  /** When it was last heard, in Unix milliseconds; null when it has never sent a valid frame. */
  readonly heard: number | null;
}

export type Happening =
  /** The key came under a name that is free, or under one that is another's. */
  | { readonly type: "applied" | "conflicting" }
  /** A person, or its code, has let the key in under the name. */
  | { readonly type: "approved" }
  /** A frame of it opened: nobody else holds its key. */
  | { readonly type: "frame"; readonly at: number }
  /** Time passes; `silence` is how long it may say nothing. */
  | { readonly type: "time"; readonly at: number; readonly silence: number }
  /** `replaced`: the name has gone to another key. */
  | { readonly type: "revoked" | "removed" | "replaced" }
  /** The gateway has begun anew: who waits is forgotten, who was heard has to be heard again. */
  | { readonly type: "restarted" };

/** What a device is after something has happened. What cannot happen to it changes nothing. */
export function after(device: Device | null, what: Happening): Device | null {
  switch (what.type) {
    case "applied":
      return waits(device) ? { state: "PENDING", heard: null } : device;
    case "conflicting":
      return waits(device) ? { state: "CONFLICT", heard: null } : device;
    case "approved":
      return waits(device) ? { state: "APPROVED", heard: null } : device;
    case "frame":
      return isAdmitted(device) ? { state: "AUTHORIZED", heard: what.at } : device;
    case "time": {
      if (device?.state !== "AUTHORIZED") return device;
      // when the clock was set back, the silence counts from now
      if (what.at < device.heard!) return { ...device, heard: what.at };
      return what.at - device.heard! >= what.silence ? { ...device, state: "OFFLINE" } : device;
    }
    case "revoked":
      return isAdmitted(device) ? { ...device, state: "REVOKED" } : device;
    case "removed":
    case "replaced":
      return null;
    case "restarted":
      if (waits(device)) return null;
      return device?.state === "AUTHORIZED" ? { ...device, state: "OFFLINE" } : device;
  }
}

/** Whether the device may speak: nothing that it sends is acted on otherwise. */
export function isAdmitted(device: Device | null): device is Device {
  const state = device?.state;
  return state === "APPROVED" || state === "AUTHORIZED" || state === "OFFLINE";
}

function waits(device: Device | null): boolean {
  return device === null || device.state === "PENDING" || device.state === "CONFLICT";
}
