/**
 * The packet store that mqtt.js is given: none. mqtt.js keeps a copy of every unacknowledged message
 * to send it again over the next connection; here a connection has no next one.
 */
import { Readable } from "node:stream";
import { type IClientOptions, Store } from "mqtt";

type PacketStore = NonNullable<IClientOptions["outgoingStore"]>;

export class NoStore extends Store implements PacketStore {
  override put(...[, done]: Parameters<PacketStore["put"]>): this {
    done();
    return this;
  }

  override del(...[, done]: Parameters<PacketStore["del"]>): this {
    done();
    return this;
  }

  override createStream(): ReturnType<PacketStore["createStream"]> {
    // The runtime's own stream and the npm package that mqtt.js names differ in type only.
    return Readable.from([]) as ReturnType<PacketStore["createStream"]>;
  }
}
