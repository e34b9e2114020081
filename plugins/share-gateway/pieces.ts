/**
 * The pieces that this gateway keeps, of volumes sealed with `shamir` or `xor`: each under its device and
 * volume among the site's sealed secrets, inside the operator's own lock where there is one.
 */
import { sql } from "drizzle-orm";
import { toHex } from "../../core/base/bytes.ts";
import { type Host, type Services, Unavailable } from "../../core/host/plugin.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { VolumeName } from "./store.ts";
import { type Wrapper, WrappingError } from "./wrapping.ts";

export interface Pieces {
  /** The caller wipes it. */
  find(q: Queries, name: VolumeName): Promise<Uint8Array | null>;
  put(tx: Queries, name: VolumeName, piece: Uint8Array): Promise<void>;
  /** Erases it, if there is one. */
  delete(tx: Queries, name: VolumeName): Promise<void>;
}

/**
 * Looks whether the lock opens the pieces that are there, and locks those that were kept without it.
 * @throws Unavailable when it is not the lock that they were kept under
 */
export async function openPieces(
  { db, secrets }: Pick<Host & Services, "db" | "secrets">,
  lock: Wrapper,
): Promise<Pieces> {
  const pieces: Pieces = {
    async find(q, name) {
      const value = await secrets.get(q, nameOf(name));
      if (value === null) return null;
      try {
        return lock.unwrap(nameOf(name), value);
      } catch (error) {
        // nothing that the device has done: it is for the log, not for the answer
        throw new Error("Cannot open a piece", { cause: error });
      } finally {
        value.fill(0);
      }
    },
    async put(tx, name, piece) {
      const value = lock.wrap(nameOf(name), piece);
      await secrets.put(tx, nameOf(name), value);
      value.fill(0);
    },
    delete: (tx, name) => secrets.delete(tx, nameOf(name)),
  };

  async function relock(name: VolumeName): Promise<void> {
    const value = await db.read((q) => secrets.get(q, nameOf(name)));
    if (value === null) return;
    const piece = unwrapped(name, value);
    if (!lock.isCurrent(value)) await db.write((tx) => pieces.put(tx, name, piece));
    piece.fill(0);
    value.fill(0);
  }

  function unwrapped(name: VolumeName, value: Uint8Array): Uint8Array {
    try {
      return lock.unwrap(nameOf(name), value);
    } catch (error) {
      if (!(error instanceof WrappingError)) throw error;
      throw new Unavailable(error.message, { hint: error.hint!, cause: error });
    }
  }

  for (const name of await db.read(volumesWithPieces)) await relock(name);
  return pieces;
}

function nameOf({ device, volume }: VolumeName): string {
  return `piece/${device}/${toHex(volume)}`;
}

async function volumesWithPieces(q: Queries): Promise<VolumeName[]> {
  const rows = await q.all<{ device: VolumeName["device"]; volume: ArrayBuffer }>(
    sql`SELECT device, volume FROM share_gateway_volumes WHERE scheme <> 'voprf'`,
  );
  return rows.map(({ device, volume }) => ({ device, volume: new Uint8Array(volume) }));
}
