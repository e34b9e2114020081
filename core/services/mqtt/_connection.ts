/**
 * One connection to the embedded broker, over TCP or WebSocket: who is at its other end, its gate,
 * and its end, for which the broker gives one reason at most.
 */
import type { Duplex } from "node:stream";
import { clearTimeout, setTimeout } from "node:timers";
import type { Party } from "./_access.ts";
import { Gate } from "./_gate.ts";
import type { BrokerLimits, Reason, Refused } from "./_limits.ts";

export interface ConnectionOptions {
  readonly address: string;
  readonly limits: BrokerLimits;
  readonly now: () => number;
  readonly refused: Refused;
}

export class Connection {
  readonly stream: Duplex;
  readonly address: string;
  readonly gate: Gate;
  /** Topic filters granted to it. */
  readonly filters = new Set<string>();
  /** Resolves when nothing of it is left in the broker. */
  readonly gone: Promise<void>;
  /** Known once it is logged in. */
  party: Party | undefined;
  readonly #refused: Refused;
  readonly #gone = Promise.withResolvers<void>();
  readonly #loginTimer: ReturnType<typeof setTimeout>;
  #isRegistered = false;
  #reason: Reason | undefined;

  constructor(stream: Duplex, { address, limits, now, refused }: ConnectionOptions) {
    this.stream = stream;
    this.address = address;
    this.#refused = refused;
    this.gone = this.#gone.promise;
    this.gate = new Gate(stream, {
      limits,
      now,
      cut: (reason, why) => this.cut(reason, why),
    });
    this.#loginTimer = setTimeout(
      () => this.cut("slow_login", "it did not log in in time"),
      limits.connectTimeout,
    );
    stream.once("close", () => {
      clearTimeout(this.#loginTimer);
      if (!this.#isRegistered) this.#gone.resolve();
    });
  }

  /** Why the broker has ended it; undefined while it has not. */
  get reason(): Reason | undefined {
    return this.#reason;
  }

  /** Ends the connection; the first reason counts. */
  cut(reason: Reason, why: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#refused(reason);
    this.stream.destroy(new Error(why));
  }

  /** aedes keeps it by its client id from now on, until it says otherwise. */
  registered(): void {
    this.#isRegistered = true;
  }

  unregistered(): void {
    this.#gone.resolve();
  }

  /** The login is complete. */
  ready(): void {
    clearTimeout(this.#loginTimer);
    this.gate.open({ isFree: this.party?.kind === "site" });
  }
}
