/**
 * A bare MQTT 3.1.1 peer over TCP, for tests: it sends exactly the bytes that it is told to and shows
 * what comes back, so that a test can break the rules that a real client keeps.
 */
import { concat, utf8 } from "../../base/bytes.ts";

/** A packet as received: its type (MQTT 3.1.1 §2.2.1), its flags and everything behind the header. */
export interface Packet {
  type: number;
  flags: number;
  body: Uint8Array;
}

export class RawPeer implements Disposable {
  readonly #connection: Deno.TcpConn;
  #received: Uint8Array = new Uint8Array();

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async open(port: number): Promise<RawPeer> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    return new RawPeer(connection);
  }

  /** Connects and logs in; the broker must accept. */
  static async login(port: number, clientId: string, options: Login = {}): Promise<RawPeer> {
    const peer = await RawPeer.open(port);
    await peer.send(connectPacket(clientId, options));
    const answer = await peer.receive();
    if (answer?.type !== 2 || answer.body[1] !== 0) throw new Error("The broker refused the login");
    return peer;
  }

  async send(...packets: Uint8Array[]): Promise<void> {
    let bytes = concat(...packets);
    while (bytes.length > 0) bytes = bytes.subarray(await this.#connection.write(bytes));
  }

  /** The next packet, or undefined when the broker has hung up. */
  async receive(): Promise<Packet | undefined> {
    for (;;) {
      const packet = this.#take();
      if (packet !== undefined) return packet;
      const chunk = new Uint8Array(65_536);
      // A broker that cuts the connection may do it with a reset.
      const length = await this.#connection.read(chunk).catch(() => null);
      if (length === null) return undefined;
      this.#received = concat(this.#received, chunk.subarray(0, length));
    }
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  #take(): Packet | undefined {
    const bytes = this.#received;
    let length = 0;
    for (let i = 1; i < bytes.length && i < 5; i++) {
      length += (bytes[i]! & 0x7f) * 128 ** (i - 1);
      if ((bytes[i]! & 0x80) !== 0) continue;
      const end = i + 1 + length;
      if (bytes.length < end) return undefined;
      this.#received = bytes.slice(end);
      return { type: bytes[0]! >> 4, flags: bytes[0]! & 15, body: bytes.slice(i + 1, end) };
    }
    return undefined;
  }
}

export interface Login {
  username?: string;
  password?: string;
  clean?: boolean;
  will?: { topic: string; payload: Uint8Array; qos?: 0 | 1 | 2 };
  /** Seconds. */
  keepAlive?: number;
  /** 4 is MQTT 3.1.1, 5 is MQTT 5. */
  version?: number;
}

export function connectPacket(clientId: string, login: Login = {}): Uint8Array {
  const { username, password, clean = true, will, keepAlive = 60, version = 4 } = login;
  const flags = (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40) |
    (will === undefined ? 0 : 0x04 | (will.qos ?? 0) << 3) | (clean ? 0x02 : 0);
  return packet(
    0x10,
    text("MQTT"),
    Uint8Array.of(version, flags, keepAlive >> 8, keepAlive & 255),
    version === 5 ? Uint8Array.of(0) : new Uint8Array(),
    text(clientId),
    will === undefined ? new Uint8Array() : concat(text(will.topic), data(will.payload)),
    username === undefined ? new Uint8Array() : text(username),
    password === undefined ? new Uint8Array() : text(password),
  );
}

/** PUBLISH, with QoS 1 when it has a packet id and unless said. */
export function publishPacket(
  topic: string,
  payload: Uint8Array,
  options: { id?: number; retain?: boolean; qos?: 0 | 1 | 2 } = {},
): Uint8Array {
  const { id, retain = false, qos = id === undefined ? 0 : 1 } = options;
  const first = 0x30 | qos << 1 | (retain ? 1 : 0);
  return packet(first, text(topic), id === undefined ? new Uint8Array() : u16(id), payload);
}

/** SUBSCRIBE with QoS 1 to every filter. */
export function subscribePacket(id: number, filters: string[]): Uint8Array {
  return packet(0x82, u16(id), ...filters.map((filter) => concat(text(filter), Uint8Array.of(1))));
}

/** Any packet: its first byte, its length, its parts. */
export function packet(first: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(...parts);
  const header = [first];
  let rest = body.length;
  do {
    header.push((rest % 128) | (rest > 127 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return concat(Uint8Array.from(header), body);
}

function data(bytes: Uint8Array): Uint8Array {
  return concat(u16(bytes.length), bytes);
}

function text(value: string): Uint8Array {
  return data(utf8(value));
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}
