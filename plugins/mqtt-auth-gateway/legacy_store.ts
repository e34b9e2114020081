/**
 * What is kept of profile v1: the psks that an admin has entered, and the keys that were agreed on, both
 * sealed; and in the clear only of whom there are any. Keys are forgotten after 30 days at the latest.
 */
import { sql } from "drizzle-orm";
import type { Clock } from "../../core/base/clock.ts";
import { Secret } from "../../core/base/secret.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";
import { RpcRefusal } from "./refusal.ts";
import type { Secrets } from "../../core/services/secrets.ts";

/** Devices that may have a psk. */
const pskLimit = 10_000;

export class LegacyStore {
  readonly #db: Database;
  readonly #secrets: Secrets;
  readonly #clock: Clock;
  /** Who has a psk: strangers are told from devices without a look at the disk. */
  readonly #ids: Set<string>;

  private constructor(options: LegacyStoreOptions, ids: Set<string>) {
    this.#db = options.db;
    this.#secrets = options.secrets;
    this.#clock = options.clock;
    this.#ids = ids;
  }

  static async open(options: LegacyStoreOptions): Promise<LegacyStore> {
    const rows = await options.db.read((q) =>
      q.all<{ id: string }>(
        sql`SELECT id FROM mqtt_auth_gateway_v1 WHERE psk_since IS NOT NULL`,
      )
    );
    return new LegacyStore(options, new Set(rows.map(({ id }) => id)));
  }

  /** Whether the device has a psk; without one nothing of it is looked at. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  get size(): number {
    return this.#ids.size;
  }

  /** The psk's 16 bytes; null when there is none. */
  async psk(id: string): Promise<Secret | null> {
    return await this.#get(`psk/${id}`);
  }

  /** The state of the device's keys, as it was stored last. */
  async keys(id: string): Promise<Secret | null> {
    return await this.#get(`keys/${id}`);
  }

  /**
   * Keeps a psk in place of what is there, and forgets the keys that were agreed on with it.
   * @param record is written in the same transaction
   * @throws RpcRefusal "too_many_psks"
   */
  async putPsk(
    id: string,
    psk: Secret,
    record: (tx: Queries) => Promise<void>,
  ): Promise<void> {
    await this.#db.write(async (tx) => {
      await this.#secrets.put(tx, `psk/${id}`, psk.reveal());
      await this.#secrets.delete(tx, `keys/${id}`);
      await tx.run(
        sql`INSERT INTO mqtt_auth_gateway_v1 (id, psk_since) VALUES (${id}, ${this.#clock()})
        ON CONFLICT (id) DO UPDATE SET psk_since = excluded.psk_since, keys_until = NULL`,
      );
      const [{ n } = { n: 0 }] = await tx.all<{ n: number }>(
        sql`SELECT count(*) AS n FROM mqtt_auth_gateway_v1`,
      );
      if (n > pskLimit) {
        throw new RpcRefusal("too_many_psks", `Cannot keep the psk: ${pskLimit} devices have one`);
      }
      await record(tx);
    });
    this.#ids.add(id);
  }

  /** Keeps the state of a device's keys. @param until Unix milliseconds; then they are forgotten */
  async putKeys(id: string, state: Secret, until: number): Promise<void> {
    await this.#db.write(async (tx) => {
      await this.#secrets.put(tx, `keys/${id}`, state.reveal());
      const { rowsAffected } = await tx.run(
        sql`UPDATE mqtt_auth_gateway_v1 SET keys_until = ${until}
          WHERE id = ${id} AND psk_since IS NOT NULL`,
      );
      // the psk was taken away meanwhile: these keys must not stay behind
      if (rowsAffected === 0) throw new RpcRefusal("device_unknown", "Cannot keep keys: no psk");
    });
  }

  /** Forgets a device's keys, and its psk too. */
  async forget(
    id: string,
    { psk }: { psk: boolean },
    record: (tx: Queries) => Promise<void> = async () => {},
  ): Promise<void> {
    // first of all: nothing that comes meanwhile is taken
    const known = psk && this.#ids.delete(id);
    try {
      await this.#db.write(async (tx) => {
        await this.#secrets.delete(tx, `keys/${id}`);
        if (psk) await this.#secrets.delete(tx, `psk/${id}`);
        await tx.run(
          psk
            ? sql`DELETE FROM mqtt_auth_gateway_v1 WHERE id = ${id}`
            : sql`UPDATE mqtt_auth_gateway_v1 SET keys_until = NULL WHERE id = ${id}`,
        );
        await record(tx);
      });
    } catch (error) {
      if (known) this.#ids.add(id); // it is still there, as whoever asked for this now hears
      throw error;
    }
  }

  /** Devices that have keys. */
  async withKeys(): Promise<string[]> {
    const rows = await this.#db.read((q) =>
      q.all<{ id: string }>(
        sql`SELECT id FROM mqtt_auth_gateway_v1 WHERE keys_until IS NOT NULL`,
      )
    );
    return rows.map(({ id }) => id);
  }

  /** Devices whose keys have had their time. */
  async expired(): Promise<string[]> {
    const rows = await this.#db.read((q) =>
      q.all<{ id: string }>(sql`SELECT id FROM mqtt_auth_gateway_v1
        WHERE keys_until <= ${this.#clock()}`)
    );
    return rows.map(({ id }) => id);
  }

  async #get(name: string): Promise<Secret | null> {
    const value = await this.#db.read((q) => this.#secrets.get(q, name));
    return value === null ? null : new Secret(value);
  }
}

export interface LegacyStoreOptions {
  readonly db: Database;
  readonly secrets: Secrets;
  readonly clock: Clock;
}
