/** What the role says of devices at the desk: whether one is there, and when it was heard. */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import { SiteDesk } from "../../core/services/desk.ts";
import { offerPresence } from "./desk.ts";
import type { Device } from "./devices.ts";
import type { Entry, Profile } from "./registry.ts";

const none = () => {};
const log = { debug: none, info: none, warn: none, error: none };

Deno.test("a device is online while it is heard, and offline with the time of its last word", async () => {
  const entry = (id: string, profile: Profile | null, device: Device) =>
    ({ id: parseId(id), profile, device }) as Entry & { readonly device: Device };
  const entries = [
    entry("d-1", "v2", { state: "AUTHORIZED", heard: 55_000 }),
    entry("d-2", "v1", { state: "OFFLINE", heard: 0 }),
    entry("d-3", null, { state: "APPROVED", heard: null }),
  ];
  const desk = new SiteDesk({ log }).scoped(none);
  offerPresence({ clock: () => 60_000, desk }, { entries: () => entries });
  const { kind, all } = desk.remarks()[0]!;
  assert.equal(kind, "device");
  assert.deepEqual(Object.fromEntries(await all()), {
    "d-1": [["gateway", "online, heard 5 s ago (v2)"]],
    "d-2": [["gateway", "offline, heard 1 min ago (v1)"]],
    "d-3": [["gateway", "offline, never heard"]],
  });
});
