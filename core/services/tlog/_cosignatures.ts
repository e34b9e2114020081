/**
 * The cosignatures on this site's log, kept so that a restart loses none: the last of each witness,
 * and the last checkpoint that enough of them have signed.
 */
import { sql } from "drizzle-orm";
import { parseCheckpoint } from "../../trust/log/checkpoint.ts";
import {
  formatNote,
  formatSignature,
  type NoteKey,
  type NoteSignature,
  parseNote,
  parseSignatures,
  signatureOf,
} from "../../trust/log/note.ts";
import type { Database } from "../db/mod.ts";

/** Names a checkpoint: a log signs no two of the same origin and size. */
export interface Place {
  readonly origin: string;
  readonly size: number;
}

export interface Witnessed extends Place {
  /** The checkpoint with its cosignatures. */
  readonly note: string;
}

interface Cosigned extends Place {
  readonly signature: NoteSignature;
}

export class Cosignatures {
  readonly #db: Database;
  readonly #quorum: number;
  /** By the name of the witness. */
  readonly #last: Map<string, Cosigned>;
  #witnessed: Witnessed | null;

  private constructor(
    db: Database,
    quorum: number,
    { last, witnessed }: { last: Map<string, Cosigned>; witnessed: Witnessed | null },
  ) {
    this.#db = db;
    this.#quorum = quorum;
    this.#last = last;
    this.#witnessed = witnessed;
  }

  /** @param options.witnesses those that count today */
  static async open(
    db: Database,
    { quorum, witnesses }: { quorum: number; witnesses: readonly NoteKey[] },
  ): Promise<Cosignatures> {
    const stored = await db.read(async (q) => ({
      rows: await q.all<Place & { witness: string; signature: string }>(
        sql`SELECT witness, origin, size, signature FROM log_cosignatures`,
      ),
      quorum: await q.all<Witnessed>(sql`SELECT origin, size, note FROM log_quorum`),
    }));
    const signed = (signatures: readonly NoteSignature[]) =>
      witnesses.filter((key) => signatureOf({ signatures }, key) !== null).length;
    const last = new Map<string, Cosigned>();
    for (const { witness, signature: line, ...place } of stored.rows) {
      const [signature] = parseSignatures(line);
      if (signed([signature!]) > 0) last.set(witness, { ...place, signature: signature! });
    }
    const [kept] = stored.quorum;
    const isEnough = kept !== undefined && signed(parseNote(kept.note).signatures) >= quorum;
    return new Cosignatures(db, quorum, { last, witnessed: isEnough ? kept : null });
  }

  /** What a witness has cosigned last; null when that is nothing. */
  last(witness: string): Place | null {
    return this.#last.get(witness) ?? null;
  }

  /** How many have cosigned a checkpoint. */
  count(place: Place): number {
    return this.#on(place).length;
  }

  /** The last checkpoint of this origin with as many cosignatures as are asked for. */
  witnessed(origin: string): Witnessed | null {
    return this.#witnessed?.origin === origin ? this.#witnessed : null;
  }

  /** A checkpoint with all its cosignatures. */
  with(checkpoint: string): string {
    const note = parseNote(checkpoint);
    const cosignatures = this.#on(parseCheckpoint(note.text)).map(({ signature }) => signature);
    return formatNote({ ...note, signatures: [...note.signatures, ...cosignatures] });
  }

  /** Returns once it is on disk. @param checkpoint the note, signed by the log */
  async add(witness: string, signature: NoteSignature, checkpoint: string): Promise<void> {
    const { origin, size } = parseCheckpoint(parseNote(checkpoint).text);
    await this.#db.write((tx) =>
      tx.run(sql`INSERT OR REPLACE INTO log_cosignatures (witness, origin, size, signature)
        VALUES (${witness}, ${origin}, ${size}, ${formatSignature(signature)})`)
    );
    this.#last.set(witness, { origin, size, signature });
    const isOlder = size < (this.witnessed(origin)?.size ?? 0);
    const isEnough = this.#quorum > 0 && this.count({ origin, size }) >= this.#quorum;
    if (isOlder || !isEnough) return;
    const witnessed = { origin, size, note: this.with(checkpoint) };
    await this.#db.write((tx) =>
      tx.run(sql`INSERT OR REPLACE INTO log_quorum (one, origin, size, note)
        VALUES (1, ${origin}, ${size}, ${witnessed.note})`)
    );
    this.#witnessed = witnessed;
  }

  #on({ origin, size }: Place): Cosigned[] {
    return [...this.#last.values()].filter((one) => one.origin === origin && one.size === size);
  }
}
