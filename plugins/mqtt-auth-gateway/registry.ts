/**
 * Who is known to the gateway and how they are: one entry for each device that has been let in, in
 * memory, and on disk what has to outlive a restart. What a device becomes is decided in `devices.ts`;
 * here it hears of the site's decisions, of frames and of time, and tells what has changed.
 *
 * When a device was last heard, and how often, is written every few seconds: what a crash takes of it
 * is heard again. That it has spoken v2 is known for certain before that, by the key that it has bound.
 */
import type { Clock } from "../../core/base/clock.ts";
import { fromHex, toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Log } from "../../core/services/logging.ts";
import type { Database } from "../../core/services/db/mod.ts";
import type { Peer, PeerRow, RolePeers } from "../../core/services/peers/mod.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import { fingerprintText } from "../../core/wire/peer.ts";
import { after, type Device, type Happening, isAdmitted } from "./devices.ts";
import type { Emit } from "./events.ts";
import {
  deleteDevice,
  type DeviceRow,
  readDevices,
  type StoredDevice,
  writeDevices,
} from "./store.ts";

export type Profile = "v1" | "v2";

/** One device that has been let in at some time. Instants are Unix milliseconds. */
export interface Entry extends StoredDevice {
  readonly id: Id;
  /** Null while its name waits for new hardware. */
  device: Device | null;
  /** Of its key, as people see it. */
  fingerprint: string;
  /** What people call it. */
  name: string | null;
}

export type Ending = "revoked" | "removed" | "replaced";

/** What the registry tells of a device. */
export interface Listener {
  /** What lists show of it is another now; null when it is gone. */
  changed?(id: Id, entry: Entry | null): void;
  /** Its key has been let in, or let in again after a ban. */
  approved?(id: Id, peer: Peer): void;
  /** Its key is worth nothing from now on. */
  ended?(id: Id, why: Ending): void;
}

export interface RegistryOptions {
  readonly db: Database;
  readonly peers: Pick<RolePeers, "list" | "watch">;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly log: Log;
  readonly emit: Emit;
  /** How long a device may say nothing. */
  readonly silence: (id: string) => number;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #entries = new Map<string, Entry>();
  /** Those that are AUTHORIZED: only they can fall silent. */
  readonly #online = new Set<Entry>();
  readonly #dirty = new Set<Entry>();
  readonly #listeners: Listener[] = [];
  /** What was decided before anybody listens; null afterwards. */
  #early: [Id, Peer | null][] | null = [];
  #namesAt = -Infinity;
  #names: Promise<void> | undefined;

  private constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Reads who is known. Nothing is told before `begin`. */
  static async open(options: RegistryOptions): Promise<Registry> {
    const registry = new Registry(options);
    options.peers.watch((kind, id, peer) => {
      if (kind === "device") registry.#decided(id, peer);
    });
    const stored = await options.db.read(readDevices);
    for (const row of await options.peers.list()) {
      if (row.kind !== "device") continue;
      registry.#restore(row, stored.get(row.id));
      stored.delete(row.id);
    }
    // they were removed, and that was not written here any more
    for (const id of stored.keys()) registry.#forget(id);
    return registry;
  }

  listen(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** Tells what has been decided meanwhile, and from now on. */
  begin(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const [id, peer] of early) this.#decided(id, peer);
  }

  find(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  /** Everybody who has been let in, the revoked too. */
  *entries(): Iterable<Entry & { readonly device: Device }> {
    for (const entry of this.#entries.values()) {
      if (entry.device !== null) yield entry as Entry & { readonly device: Device };
    }
  }

  /** A valid frame of the device has come. */
  heard(id: string, profile: Profile): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || !isAdmitted(entry.device)) return;
    const isNews = entry.profile !== profile;
    entry.profile = profile;
    entry.pinned ||= profile === "v2";
    this.#happens(entry, { type: "frame", at: this.#options.clock() });
    this.#dirty.add(entry);
    if (isNews) void this.flush();
  }

  /** Counts a call of the device. */
  called(id: string, { refused }: { refused: boolean }): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.calls++;
    if (refused) entry.refused++;
    this.#dirty.add(entry);
  }

  /** Whether the device has ever spoken v2: then it is never taken for one of v1 again. */
  isPinned(id: string, peer: Peer | null): boolean {
    return this.#entries.get(id)?.pinned === true || peer !== null && peer.signKey !== null;
  }

  /** What the device may call, once that is on disk. */
  setAllow(id: string, allow: readonly string[] | null): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.allow = allow;
    this.#tell(entry);
  }

  /** Time has passed. */
  sweep(): void {
    const at = this.#options.clock();
    for (const entry of [...this.#online]) {
      this.#happens(entry, { type: "time", at, silence: this.#options.silence(entry.id) });
    }
  }

  /** Reads again what people call the devices; what was read a second ago will do. */
  async refreshNames(): Promise<void> {
    const now = this.#options.clock();
    if (this.#names === undefined && Math.abs(now - this.#namesAt) < 1_000) return;
    this.#names ??= (async () => {
      try {
        for (const { kind, id, name } of await this.#options.peers.list()) {
          const entry = kind === "device" ? this.#entries.get(id) : undefined;
          if (entry !== undefined) entry.name = name;
        }
        this.#namesAt = now;
      } finally {
        this.#names = undefined;
      }
    })();
    await this.#names;
  }

  /** Writes what has changed since the last time. What cannot be written now is written next time. */
  async flush(): Promise<void> {
    const entries = [...this.#dirty];
    if (entries.length === 0) return;
    this.#dirty.clear();
    try {
      await this.#options.db.write(async (tx) => {
        // one that was removed meanwhile has been deleted before this
        const rows = entries.filter((entry) => this.#entries.get(entry.id) === entry);
        await writeDevices(tx, rows.map(rowOf));
      });
    } catch (error) {
      for (const entry of entries) this.#dirty.add(entry);
      this.#options.log.warn("what devices did was not written, and will be", { error });
    }
  }

  /** The site has decided something about a device. */
  #decided(id: Id, peer: Peer | null): void {
    if (this.#early !== null) this.#early.push([id, peer]);
    else if (peer === null) this.#remove(id);
    else if (peer.state === "enrolled") this.#replace(id, null);
    else if (peer.state === "approved") this.#approve(id, peer);
    else {
      this.#revokedOrBanned(id).catch((error) => {
        this.#options.log.error("a decision was not understood", { device: id, error });
      });
    }
  }

  /** Whoever is banned looks as if revoked to all who let devices in, and is what it was afterwards. */
  async #revokedOrBanned(id: Id): Promise<void> {
    const rows = await this.#options.peers.list();
    const row = rows.find((row) => row.kind === "device" && row.id === id);
    if (row?.state !== "revoked") return;
    const entry = this.#entries.get(id);
    if (entry !== undefined) this.#happens(entry, { type: "revoked" });
    this.#end(id, "revoked");
  }

  #approve(id: Id, peer: Peer): void {
    const key = this.#keyOf(peer.noiseKey!);
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      entry = this.#entryOf({ id, key, name: null, firstSeen: this.#options.clock() });
      this.#entries.set(id, entry);
    } else if (entry.key !== key) {
      this.#replace(id, key);
    }
    this.#happens(entry, { type: "approved" });
    this.#dirty.add(entry);
    for (const listener of this.#listeners) listener.approved?.(id, peer);
  }

  /** The name goes to another key, or waits for one. What hangs on the name stays. */
  #replace(id: Id, key: string | null): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#happens(entry, { type: "replaced" });
    entry.profile = null;
    if (key !== null) Object.assign(entry, { key, fingerprint: shown(key) });
    this.#dirty.add(entry);
    this.#end(id, "replaced");
  }

  #remove(id: Id): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) {
      this.#entries.delete(id);
      this.#online.delete(entry);
      this.#dirty.delete(entry);
      for (const listener of this.#listeners) listener.changed?.(id, null);
    }
    this.#end(id, "removed");
    this.#forget(id);
  }

  #restore({ id, state, noiseKey, name, boundAt }: PeerRow, stored?: DeviceRow): void {
    if (noiseKey === null && stored === undefined) return;
    const key = noiseKey === null ? stored!.key : this.#keyOf(noiseKey);
    const isSame = stored !== undefined && stored.key === key;
    const firstSeen = stored?.firstSeen ?? boundAt ?? this.#options.clock();
    const entry = this.#entryOf({ firstSeen, ...stored, id, key, name });
    if (!isSame) entry.profile = null;
    this.#entries.set(id, entry);
    if (noiseKey === null) return;
    const past: Happening[] = [
      { type: "approved" },
      ...(isSame && stored.lastSeen !== null
        ? [{ type: "frame", at: stored.lastSeen } as const]
        : []),
      ...(state === "revoked" ? [{ type: "revoked" } as const] : []),
      { type: "restarted" },
    ];
    for (const one of past) entry.device = after(entry.device, one);
    if (!isSame) this.#dirty.add(entry);
  }

  #entryOf(
    facts: Pick<Entry, "id" | "key" | "name" | "firstSeen"> & Partial<StoredDevice>,
  ): Entry {
    const { id, key, name, firstSeen, profile = null, pinned = false, allow = null } = facts;
    const { calls = 0, refused = 0 } = facts;
    return {
      ...{ id, key, name, firstSeen, profile, pinned, allow, calls, refused },
      ...{ fingerprint: shown(key), device: null },
    };
  }

  #happens(entry: Entry, what: Happening): void {
    const before = entry.device;
    const now = entry.device = after(before, what);
    if (now?.state === before?.state) return;
    if (now?.state === "AUTHORIZED") this.#online.add(entry);
    else this.#online.delete(entry);
    const { id, profile } = entry;
    if (now?.state === "AUTHORIZED") this.#options.emit("device.authorized", id, { profile });
    if (now?.state === "OFFLINE") {
      this.#options.emit("device.offline", id, { profile, last_seen: now.heard });
    }
    this.#tell(entry);
  }

  #tell(entry: Entry): void {
    for (const listener of this.#listeners) listener.changed?.(entry.id, entry);
  }

  #end(id: Id, why: Ending): void {
    for (const listener of this.#listeners) listener.ended?.(id, why);
  }

  #forget(id: string): void {
    this.#options.db.write((tx) => deleteDevice(tx, id)).catch((error) => {
      this.#options.log.warn("a removed device is forgotten at the next start", { error });
    });
  }

  #keyOf(noiseKey: Uint8Array): string {
    return toHex(fingerprint(this.#options.suite, "X25519", noiseKey));
  }
}

function rowOf(entry: Entry): DeviceRow {
  return { ...entry, lastSeen: entry.device?.heard ?? null };
}

/** A fingerprint in hexadecimal as people see it. */
function shown(key: string): string {
  return fingerprintText(fromHex(key));
}
