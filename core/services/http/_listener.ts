/** The contract between the service and whoever accepts its connections. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Log } from "../logging.ts";
import type { Connection, Connections } from "./_connections.ts";
import type { Limits } from "./_limits.ts";
import type { Refused } from "./_metrics.ts";
import type { TlsMaterial } from "./_tls.ts";

export interface Listen {
  readonly hostname: string;
  readonly port: number;
}

/** What a listener is given to do its work. */
export interface ListenerOptions {
  readonly listen: Listen;
  /** HTTPS if there is any. */
  readonly tls: TlsMaterial | undefined;
  readonly limits: Limits;
  readonly connections: Connections;
  readonly log: Log;
  serve(incoming: IncomingMessage, outgoing: ServerResponse, connection: Connection): void;
  upgrade(
    incoming: IncomingMessage,
    options: { socket: Duplex; head: Uint8Array; connection: Connection },
  ): void;
  refused(reason: Refused): void;
}

/** Accepts connections once made, and holds heads and handshakes to their time and size. */
export interface Listener {
  readonly address: Listen;
  /** For the connections to come. */
  useTls(material: TlsMaterial): void;
  /** Takes no more connections; those that are there stay. */
  stop(): void;
  /** Lets go of everything, once there are no connections left. */
  close(): Promise<void>;
}
