/**
 * One connection to a broker, from CONNECT to its end. mqtt.js speaks the protocol; its own
 * reconnecting, resubscribing and queueing are switched off, because they are fixed in period and
 * unbounded in memory. A link that has closed is never used again, so nothing of one connection can
 * leak into the next. Whatever waits for an answer when the link closes fails with "mqtt_down".
 *
 * Topics are those of the protocol: the prefix of the site's topics is put before them here, and taken
 * away again, so that nobody else knows of it.
 */
import { Buffer } from "node:buffer";
import { isIP, Socket } from "node:net";
import { connect, type IClientOptions, type IStream } from "mqtt";
import { messageOf } from "../../base/errors.ts";
import type { Secret } from "../../base/secret.ts";
import { withoutPrefix, withPrefix } from "../../wire/topic_prefix.ts";
import type { BrokerUrl } from "./_broker_url.ts";
import { MqttError } from "./_errors.ts";
import { withoutLargeMessages } from "./_large_messages.ts";
import { NoStore } from "./_no_store.ts";
import { readTlsFiles, type TlsFiles } from "./_tls_files.ts";

/** A message as a handler gets it. The payload is a copy of its own. */
export interface MqttMessage {
  topic: string;
  payload: Uint8Array;
  /** The broker kept it for new subscribers; when it was sent, and by whom, is unknown. */
  retained: boolean;
}

export interface LinkOptions {
  url: BrokerUrl;
  clientId: string;
  username?: string;
  password?: Secret<string>;
  tls?: TlsFiles;
  onMessage: (message: MqttMessage) => void;
  /** Gives up, also while connecting. */
  signal: AbortSignal;
}

export interface Link {
  /** Resolves when it is written (QoS 0) or acknowledged (QoS 1). @throws MqttError "mqtt_timeout" */
  publish(
    topic: string,
    payload: Uint8Array,
    options: { qos: 0 | 1; retain?: boolean },
  ): Promise<void>;
  /** Gives the QoS granted. @throws MqttError "mqtt_refused" when the broker does not grant it */
  subscribe(filter: string): Promise<number>;
  unsubscribe(filter: string): Promise<void>;
  /** The broker says that it goes on with an earlier session, although none was asked for. */
  readonly isStale: boolean;
  /** Resolves once the connection is gone. */
  readonly closed: Promise<Ending>;
}

/** How a connection has ended. */
export interface Ending {
  readonly reason: string;
  /** The other side hung up and did not say why. */
  readonly byBroker: boolean;
}

/** What waited for an answer gets this, and whoever tried to connect in vain. */
export class LinkLost extends MqttError {
  readonly ending: Ending;

  constructor(ending: Ending) {
    super("mqtt_down", `Cannot reach the broker: ${ending.reason}`);
    this.ending = ending;
  }
}

const hangUp = "the broker closed the connection";
/** Deno 2.7 does not say why a TLS handshake failed. */
const isTrusted = " at once: is its certificate trusted, and for this name?";
const isOld = Deno.version.deno.startsWith("2.7.");
const answerTimeout = 10_000;
/**
 * Messages above this arrive empty: an external broker is not trusted with our memory. Over WebSocket
 * they are whole frames, and end the connection: there the broker needs a limit of its own.
 */
const inboundLimit = 1024 * 1024;

/** @throws LinkLost when the broker cannot be reached or refuses the login; MqttError "mqtt_tls" */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { signal, url: { protocol, prefix } } = options;
  const full = (topic: string) => withPrefix(prefix, topic);
  const isSecure = protocol === "mqtts" || protocol === "wss";
  const peer = connect(optionsFor(options));
  const waiting = new Set<(error: MqttError) => void>();
  let reason: string | undefined;
  let over = false;
  let hasMet = false;
  const lost = () => {
    const silence = isSecure && !hasMet ? `${hangUp}${isTrusted}` : hangUp;
    return new LinkLost({ reason: reason ?? silence, byBroker: reason === undefined });
  };

  const drop = (why: string) => {
    reason ??= why;
    peer.end(true);
  };
  // A polite end tells the broker, and is cut off when the broker does not hang up then.
  const leave = () => {
    if (!peer.connected || waiting.size > 0) return drop("this side closed the connection");
    peer.end();
    const cut = setTimeout(() => peer.stream.destroy(), 500);
    peer.once("close", () => clearTimeout(cut));
  };
  const closed = new Promise<Ending>((resolve) => {
    peer.once("close", () => {
      over = true;
      signal.removeEventListener("abort", leave);
      for (const fail of waiting) fail(lost());
      resolve(lost().ending);
    });
  });
  peer.on("error", (error) => {
    // Some brokers hang up with a reset, which says no more than a hang-up without.
    if ((error as { code?: string }).code === "ECONNRESET") peer.end(true);
    else drop(messageOf(error));
  });
  peer.on("message", (whole, payload, packet) => {
    const topic = withoutPrefix(prefix, whole);
    if (topic === undefined) return;
    options.onMessage({ topic, payload: new Uint8Array(payload), retained: packet.retain });
  });
  const lean = withoutLargeMessages(inboundLimit);
  onData(peer.stream, (bytes) => {
    try {
      return lean(bytes);
    } catch (error) {
      drop(`the broker sent ${messageOf(error)}`);
      return [];
    }
  });
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave);

  /** Runs one exchange; it ends with its answer or with the link, whichever is first. */
  const exchange = (start: (done: Done) => void, late: (done: Done) => void) =>
    new Promise<void>((resolve, reject) => {
      if (over) return reject(lost());
      const done = (error?: MqttError) => {
        clearTimeout(timer);
        waiting.delete(done);
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => late(done), answerTimeout);
      waiting.add(done);
      start(done);
    });
  // Without an answer to these the link cannot be trusted to deliver anything.
  const mute = () => drop("it did not answer in 10 s");

  let isStale = false;
  await exchange((done) =>
    peer.once("connect", ({ sessionPresent }) => {
      isStale = sessionPresent;
      done();
    }), mute);
  hasMet = true;
  // Without it an acknowledged message may take 44 ms. Deno 2.7 forgets it when it is set before the
  // connection is there, and does not get through a TLS handshake when it is set meanwhile.
  if (peer.stream instanceof Socket && !peer.stream.destroyed) peer.stream.setNoDelay(true);
  return {
    closed,
    isStale,
    publish(topic, payload, { qos, retain = false }) {
      let id: number | undefined;
      return exchange((done) => {
        peer.publish(
          full(topic),
          asBuffer(payload),
          { qos, retain },
          (error) => done(error ? lost() : undefined),
        );
        if (qos === 1) id = peer.getLastMessageId();
      }, (done) => {
        done(new MqttError("mqtt_timeout", "Cannot publish: the broker did not answer in 10 s"));
        // mqtt.js would remember the message until the connection ends.
        if (id !== undefined) peer.removeOutgoingMessage(id);
      });
    },
    async subscribe(filter) {
      let granted = 0;
      await exchange((done) => {
        peer.subscribe(full(filter), { qos: 1 }, (error, grants, answer) => {
          granted = grants?.[0]?.qos ?? 0;
          done(error === null ? undefined : answer === undefined ? lost() : refusal(full(filter)));
        });
      }, mute);
      return granted;
    },
    unsubscribe(filter) {
      return exchange((done) => {
        peer.unsubscribe(full(filter), (error) => done(error ? lost() : undefined));
      }, mute);
    },
  };
}

type Done = (error?: MqttError) => void;

function optionsFor({ url, clientId, username, password, tls }: LinkOptions): IClientOptions {
  return {
    protocol: url.protocol,
    host: url.host,
    port: url.port,
    ...(url.path === undefined ? {} : { path: url.path }),
    clientId,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(tls === undefined ? {} : readTlsFiles(tls)),
    rejectUnauthorized: true,
    protocolVersion: 4,
    clean: true,
    // The broker, or the network, may be gone without a word: noticed after half a minute.
    keepalive: 20,
    connectTimeout: answerTimeout,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    outgoingStore: new NoStore(),
    wsOptions: {
      maxPayload: inboundLimit,
      // Deno 2.7 compares the certificate with "localhost" when ws names no server, as for addresses.
      ...(isOld && url.protocol === "wss" && isIP(url.host) !== 0 && { servername: url.host }),
    },
  };
}

/** Puts a step before everybody who hears a stream's data. */
function onData(
  stream: Pick<IStream, "emit">,
  step: (bytes: Uint8Array) => readonly Uint8Array[],
): void {
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event !== "data") return emit(event, ...args);
    for (const piece of step(args[0] as Uint8Array)) emit("data", piece);
    return true;
  };
}

function refusal(filter: string): MqttError {
  return new MqttError("mqtt_refused", `Cannot subscribe to ${filter}: the broker refuses it`, {
    hint: "let this user read the topic in the broker's access rules",
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
