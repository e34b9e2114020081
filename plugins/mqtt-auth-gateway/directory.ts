/** What the gateway tells of its devices: all of them in pages, one of them in full, and how many there are. */
import type { Id } from "../../core/base/id.ts";
import type { RolePeers, Waiting } from "../../core/services/peers/mod.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import { fingerprintText } from "../../core/wire/peer.ts";
import type { Calls } from "./calls.ts";
import { type ListQuery, pageOf } from "./device_list.ts";
import { type State, states } from "./devices.ts";
import type { Registry } from "./registry.ts";
import {
  banFinder,
  instant,
  rowOfEntry,
  rowOfWaiting,
  type ShownDevice,
  type ShownRow,
  shownRow,
} from "./shown.ts";
import type { Telemetry } from "./telemetry.ts";

export interface DirectoryParts {
  readonly suite: Suite;
  readonly registry: Pick<Registry, "entries" | "find" | "refreshNames">;
  readonly peers: Pick<RolePeers, "waiting" | "bans">;
  readonly calls: Pick<Calls, "of">;
  readonly telemetry: Pick<Telemetry, "of">;
}

export interface Page {
  readonly devices: readonly ShownDevice[];
  /** Ask for the next page with this as `after`; null when this was the last. */
  readonly next: string | null;
  /** How many there are in all pages. */
  readonly total: number;
}

export class Directory {
  readonly #parts: DirectoryParts;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
  }

  async page(query: ListQuery): Promise<Page> {
    await this.#parts.registry.refreshNames();
    const banOf = await this.#bans();
    const { rows, next, total } = pageOf(this.#rows(), query);
    return { devices: rows.map((row) => shownRow(row, banOf(row))), next, total };
  }

  /** The device of this id, and whoever waits under it; null when there is neither. */
  async device(id: Id) {
    const { registry, calls, telemetry } = this.#parts;
    await registry.refreshNames();
    const [waiting, entry] = [this.#waiting(id), registry.find(id)];
    const device = entry?.device ?? null;
    if (device === null && waiting.length === 0) return null;
    const banOf = await this.#bans();
    const all = [...(device === null ? [] : [rowOfEntry({ ...entry!, device })]), ...waiting];
    const [first, ...others] = all.map((row) => shownRow(row, banOf(row)));
    return {
      ...first!,
      // other keys that came under the name
      rivals: others,
      telemetry: (await telemetry.of(id)).map(({ t, ...value }) => ({ ...value, t: instant(t) })),
      calls: (await calls.of(id)).map(({ device: _, at, ...call }) => ({
        ...call,
        at: instant(at),
      })),
    };
  }

  /** How many devices there are in each state. */
  counts(): Record<State, number> {
    const counts = Object.fromEntries(states.map((state) => [state, 0])) as Record<State, number>;
    for (const { state } of this.#rows()) counts[state]++;
    return counts;
  }

  /** Everybody, those who wait first. */
  *#rows(): Iterable<ShownRow> {
    yield* this.#waiting();
    for (const entry of this.#parts.registry.entries()) yield rowOfEntry(entry);
  }

  #waiting(id?: Id): ShownRow[] {
    const { peers, registry } = this.#parts;
    const isMeant = ({ kind, device }: Waiting) =>
      kind === "device" && (id === undefined || device === id);
    return peers.waiting().filter(isMeant).map((one) => {
      const isTaken = registry.find(one.device)?.device != null;
      return rowOfWaiting(one, { isTaken, fingerprint: this.#shownKey(one.key) });
    });
  }

  async #bans() {
    return banFinder(await this.#parts.peers.bans(), (key) => this.#shownKey(key));
  }

  #shownKey(key: Uint8Array): string {
    return fingerprintText(fingerprint(this.#parts.suite, "X25519", key));
  }
}
