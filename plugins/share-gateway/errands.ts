/**
 * What other gateways have still to be told after a deal: that it counts, or that it has come to
 * nothing. Each errand is on disk before the deal goes its next step, and is repeated until it is
 * acknowledged, also by the process that comes after a crash. One that was never finished says "abort"
 * from its beginning; the transaction that founds the group turns all of its errands into "commit".
 */
import { sql } from "drizzle-orm";
import { fromHex, toHex } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { pause as realPause } from "../../core/services/pause.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import { encodeCeremonyCall } from "../../core/wire/ceremony.ts";
import { reasonOf } from "./ceremony_error.ts";
import type { Gateways } from "./gateways.ts";
import type { Group } from "./group.ts";

export type Errand = "commit" | "abort";

export interface Waiting {
  readonly member: Id;
  readonly errand: Errand;
  /** Why it was not done when it was tried last; null before. */
  readonly why: string | null;
}

/** Time and chance, real unless given. */
export interface ErrandOptions {
  readonly pause?: typeof realPause;
  readonly random?: () => number;
}

interface Row {
  readonly member: Id;
  readonly nonce: string;
  readonly errand: Errand;
}

type Needs = Pick<Host & Services, "db" | "log">;

/** Milliseconds between two rounds, doubling, and for one call. */
const firstPause = 1_000;
const longestPause = 300_000;
const within = 20_000;

/** A deal that has just begun: should it not end well, its members hear of it. */
export async function beginErrands(
  tx: Queries,
  { members, nonce }: { members: readonly Id[]; nonce: Uint8Array },
): Promise<void> {
  for (const member of members) {
    await tx.run(sql`INSERT INTO share_gateway_errands (member, nonce, errand)
      VALUES (${member}, ${toHex(nonce)}, 'abort')
      ON CONFLICT (member) DO UPDATE SET nonce = excluded.nonce, errand = excluded.errand`);
  }
}

/** The deal counts from here on. */
export async function commitErrands(tx: Queries, nonce: Uint8Array): Promise<void> {
  await tx.run(sql`UPDATE share_gateway_errands SET errand = 'commit'
    WHERE nonce = ${toHex(nonce)}`);
}

/** This gateway leaves: who has not heard of the group shall not wait for it. */
export async function abortErrands(tx: Queries): Promise<void> {
  await tx.run(sql`UPDATE share_gateway_errands SET errand = 'abort'`);
}

export class Errands {
  readonly #host: Needs;
  readonly #group: Group;
  readonly #gateways: Gateways;
  readonly #options: Required<ErrandOptions>;
  readonly #stopping = new AbortController();
  readonly #reasons = new Map<string, string>();
  /** Of the deal under way: it is not for us to end it. */
  #open: string | null = null;
  #bell = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    host: Needs,
    { group, gateways, ...options }: { group: Group; gateways: Gateways } & ErrandOptions,
  ) {
    this.#host = host;
    this.#group = group;
    this.#gateways = gateways;
    this.#options = { pause: realPause, random: Math.random, ...options };
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#running;
  }

  /** Leaves the errands of a deal alone, until it calls the function returned. */
  hold(nonce: Uint8Array): () => void {
    this.#open = toHex(nonce);
    return () => {
      if (this.#open === toHex(nonce)) this.#open = null;
      this.wake();
    };
  }

  /** There is something to tell, or another reason to try again. */
  wake(): void {
    this.#bell.abort();
  }

  /** What is left to be told, by member. */
  async waiting(): Promise<readonly Waiting[]> {
    const rows = await this.#rows();
    return rows.map(({ member, errand, nonce }) => ({
      ...{ member, errand },
      why: this.#reasons.get(`${member} ${nonce}`) ?? null,
    }));
  }

  async #run(): Promise<void> {
    const { pause, random } = this.#options;
    for (let failures = 0; !this.#stopping.signal.aborted; failures++) {
      const bell = this.#bell = new AbortController();
      let isDone = false;
      try {
        isDone = await this.#round();
      } catch (error) {
        this.#host.log.error("the other gateways could not be told", { error });
      }
      if (this.#stopping.signal.aborted) return;
      const most = Math.min(longestPause, firstPause * 2 ** Math.min(failures, 20));
      await pause(isDone ? longestPause : most * (0.5 + random() / 2), bell.signal);
      if (isDone || bell.signal.aborted) failures = -1;
    }
  }

  /** Tries each errand once. Returns whether none is left. */
  async #round(): Promise<boolean> {
    const rows = (await this.#rows()).filter(({ nonce }) => nonce !== this.#open);
    if (rows.length === 0) return true;
    const { gateways } = this.#gateways.read();
    const done = await Promise.all(rows.map(async (row) => {
      const gateway = gateways.find(({ id }) => id === row.member);
      try {
        if (gateway !== undefined) {
          await gateway.channel.call(await this.#bodyOf(row), { within });
        } else if (row.errand === "commit") throw new Error("no code_file is configured for it");
      } catch (error) {
        return this.#failed(row, error);
      }
      await this.#forget(row);
      return true;
    }));
    return done.every((one) => one);
  }

  async #bodyOf({ errand, nonce: hex }: Row): Promise<Uint8Array> {
    const nonce = fromHex(hex);
    if (errand === "abort") return encodeCeremonyCall({ call: "abort", nonce });
    const roster = (await this.#group.chain(0)).at(-1);
    if (roster === undefined) throw new Error("there is no group any more");
    return encodeCeremonyCall({ call: "commit", nonce, roster });
  }

  #failed({ member, nonce, errand }: Row, error: unknown): false {
    const why = reasonOf(error);
    const name = `${member} ${nonce}`;
    if (this.#reasons.get(name) !== why) {
      this.#host.log.warn("a gateway does not know yet how the deal ended", {
        member,
        errand,
        why,
      });
    }
    this.#reasons.set(name, why);
    return false;
  }

  async #forget({ member, nonce, errand }: Row): Promise<void> {
    await this.#host.db.write((tx) =>
      tx.run(sql`DELETE FROM share_gateway_errands
        WHERE member = ${member} AND nonce = ${nonce} AND errand = ${errand}`)
    );
    this.#reasons.delete(`${member} ${nonce}`);
  }

  #rows(): Promise<Row[]> {
    return this.#host.db.read((q) =>
      q.all<Row>(sql`SELECT member, nonce, errand FROM share_gateway_errands ORDER BY member`)
    );
  }
}
