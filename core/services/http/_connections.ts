/**
 * The connections of the listener, whoever accepted them: how many there are, of which client, and
 * what each is doing. A connection is idle, or busy with requests, or it was upgraded and is busy
 * until it ends.
 */
import type { ServerResponse } from "node:http";
import type { Clients } from "./_client.ts";
import type { Limits } from "./_limits.ts";

/** What may happen to a request before it has been answered. */
interface Running {
  /** The response is over, or the connection is. Comes once. */
  ended(): void;
  /** A body that is still awaited will not come. */
  spoilt(): void;
}

export interface Connection {
  /** Address of the other side. */
  readonly from: string;
  readonly isBusy: boolean;
  /** A request has come. */
  begin(outgoing: ServerResponse, running: Running): void;
  /** It speaks another protocol from now on. */
  upgrade(): void;
  /** Nothing more can be understood of it: `last` is called once the requests before are answered. */
  spoil(last: () => void): void;
  /** The other side sends no more. */
  halfClosed(): void;
  /** Ends it at once. */
  cut(): void;
  /** To be called by the one who accepted it, once it is gone. */
  closed(): void;
}

/** How the one who accepted a connection can end it. */
interface Ends {
  /** After what is being sent. */
  end(): void;
  /** At once. */
  cut(): void;
}

export interface Connections {
  /**
   * Admits a connection, or says what there are too many of.
   * @param peer what tells it from all others: address and port of the other side
   */
  admit(peer: string, options: { from: string } & Ends): Connection | "full" | "client_full";
  /** The connection of that peer, if it is still there. */
  of(peer: string): Connection | undefined;
  /** Cuts what has been idle for longer than a request may take to begin. */
  sweep(): void;
  /** Ends what is idle, lets requests finish for a while, then cuts; resolves when none is left. */
  drain(milliseconds: number): Promise<void>;
}

interface Options {
  readonly clients: Clients;
  readonly limits: Limits;
  readonly onCount: (count: number) => void;
}

export function connections({ clients, limits, onCount }: Options): Connections {
  const all = new Map<string, ConnectionState>();
  const perClient = new Map<string, number>();
  let drained: (() => void) | undefined;

  function leave(peer: string, client: string) {
    if (!all.delete(peer)) return;
    const left = perClient.get(client)! - 1;
    if (left === 0) perClient.delete(client);
    else perClient.set(client, left);
    onCount(all.size);
    if (all.size === 0) drained?.();
  }

  return {
    admit(peer, options) {
      const client = clients.of(options.from);
      const own = perClient.get(client) ?? 0;
      if (all.size >= limits.maxConnections) return "full";
      if (own >= limits.maxClientConnections && !clients.isProxy(options.from)) {
        return "client_full";
      }
      const connection = new ConnectionState(options, () => leave(peer, client));
      all.set(peer, connection);
      perClient.set(client, own + 1);
      onCount(all.size);
      return connection;
    },
    of: (peer) => all.get(peer),
    sweep() {
      // who accepts connections cuts slow heads in time; this ends what finds a way around that
      const most = limits.keepAlive + limits.headTimeout + 2_000;
      const now = performance.now();
      for (const connection of all.values()) {
        if (!connection.isBusy && now - connection.idleSince > most) connection.cut();
      }
    },
    drain(milliseconds) {
      return new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          for (const connection of [...all.values()]) connection.cut();
        }, milliseconds);
        drained = () => {
          clearTimeout(timer);
          resolve();
        };
        for (const connection of [...all.values()]) connection.leave();
        if (all.size === 0) drained();
      });
    },
  };
}

class ConnectionState implements Connection {
  readonly from: string;
  idleSince = performance.now();
  readonly #ends: Ends;
  readonly #gone: () => void;
  readonly #running = new Map<ServerResponse, Running>();
  #isUpgraded = false;
  /** What to do once no request runs. */
  #last: (() => void) | undefined;

  constructor(options: { from: string } & Ends, gone: () => void) {
    this.from = options.from;
    this.#ends = options;
    this.#gone = gone;
  }

  get isBusy(): boolean {
    return this.#running.size > 0 || this.#isUpgraded;
  }

  begin(outgoing: ServerResponse, running: Running): void {
    this.#running.set(outgoing, running);
    if (this.#last !== undefined) sayLast(outgoing);
    outgoing.once("close", () => {
      if (!this.#running.delete(outgoing)) return;
      running.ended();
      this.idleSince = performance.now();
      if (this.#running.size === 0) this.#last?.();
    });
  }

  upgrade(): void {
    this.#isUpgraded = true;
    if (this.#last !== undefined) this.#ends.end();
  }

  spoil(last: () => void): void {
    this.#last = last;
    this.halfClosed();
    if (this.#running.size === 0) last();
  }

  halfClosed(): void {
    for (const running of [...this.#running.values()]) running.spoilt();
  }

  /** Ends as soon as what runs on it has been answered. */
  leave(): void {
    this.#last ??= () => this.#ends.end();
    if (this.#running.size === 0) this.#ends.end();
    for (const outgoing of this.#running.keys()) sayLast(outgoing);
  }

  cut(): void {
    this.#ends.cut();
  }

  closed(): void {
    for (const running of this.#running.values()) running.ended();
    this.#running.clear();
    this.#gone();
  }
}

function sayLast(outgoing: ServerResponse): void {
  if (!outgoing.headersSent) outgoing.setHeader("connection", "close");
}
