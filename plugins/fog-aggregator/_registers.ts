/**
 * Registers by name and by number. What is remembered here is committed: a transaction that comes to
 * nothing leaves no number behind that the database does not have.
 */
import { sql } from "drizzle-orm";
import type { Id } from "../../core/base/id.ts";
import type { Database, Queries } from "../../core/services/db/mod.ts";

export interface RegisterName {
  readonly meter: Id;
  readonly register: Id;
}

export class Registers {
  readonly #ids = new Map<string, number>();
  /** How many registers each meter has. */
  readonly #counts = new Map<string, number>();

  static async open(db: Database): Promise<Registers> {
    const rows = await db.read((q) =>
      q.all<RegisterName & { id: number }>(
        sql`SELECT id, meter, register FROM fog_aggregator_registers`,
      )
    );
    const registers = new Registers();
    for (const { id, ...name } of rows) registers.#remember(name, id);
    return registers;
  }

  /** Whether the register is there, or the meter has room for it. */
  admits(name: RegisterName, limit: number): boolean {
    return (this.#counts.get(name.meter) ?? 0) < limit || this.#ids.has(keyOf(name));
  }

  /** The number of each; those that are new get a row. */
  async numbersOf(tx: Queries, names: readonly RegisterName[]): Promise<number[]> {
    let unknown: RegisterName[] | undefined;
    const numbers: number[] = new Array(names.length);
    for (let i = 0; i < names.length; i++) {
      const id = this.#ids.get(keyOf(names[i]!));
      if (id === undefined) (unknown ??= []).push(names[i]!);
      else numbers[i] = id;
    }
    if (unknown === undefined) return numbers;
    const json = JSON.stringify(unknown.map(({ meter, register }) => [meter, register]));
    await tx.run(sql`INSERT INTO fog_aggregator_registers (meter, register)
      SELECT value->>0, value->>1 FROM json_each(${json}) WHERE true ON CONFLICT DO NOTHING`);
    const rows = await tx.all<RegisterName & { id: number }>(sql`
      SELECT DISTINCT g.id, g.meter, g.register FROM json_each(${json}) j
      JOIN fog_aggregator_registers g ON g.meter = j.value->>0 AND g.register = j.value->>1`);
    const found = new Map(rows.map((row) => [keyOf(row), row.id]));
    return names.map((name, i) => numbers[i] ?? found.get(keyOf(name))!);
  }

  /** Call this with what `numbersOf` gave, once it is committed. */
  learn(names: readonly RegisterName[], numbers: readonly number[]): void {
    for (let i = 0; i < names.length; i++) this.#remember(names[i]!, numbers[i]!);
  }

  #remember(name: RegisterName, id: number): void {
    const key = keyOf(name);
    if (this.#ids.has(key)) return;
    this.#ids.set(key, id);
    this.#counts.set(name.meter, (this.#counts.get(name.meter) ?? 0) + 1);
  }
}

function keyOf({ meter, register }: RegisterName): string {
  return `${meter}/${register}`;
}
