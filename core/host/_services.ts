/**
 * The services of one site, each opened on first need and shared by all roles. They close in the
 * reverse order of their opening, after the roles have stopped.
 */
import { join } from "node:path";
import { readFileSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { CodedError, messageOf } from "../base/errors.ts";
import { type Id, parseId } from "../base/id.ts";
import { Secret } from "../base/secret.ts";
import type { Suite } from "../trust/crypto.ts";
import type { PeerKind } from "../wire/peer.ts";
import { auditMigrations, auditOf } from "../services/audit.ts";
import { EventBus } from "../services/bus.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { type OpenDatabase, openDatabase } from "../services/db/mod.ts";
import { Health } from "../services/health.ts";
import { type HttpService, type Listen, openHttp } from "../services/http/mod.ts";
import { type Identity, openIdentity } from "../services/identity.ts";
import { type Log, logOf } from "../services/logging.ts";
import { MetricsRegistry } from "../services/metrics.ts";
import { type MqttService, openMqtt } from "../services/mqtt/mod.ts";
import { openPeers, peerMigrations, type Peers } from "../services/peers/mod.ts";
import { sealerOf } from "../services/sealing.ts";
import type { SiteConfig } from "./config/mod.ts";

export class SiteServices implements AsyncDisposable {
  readonly config: SiteConfig;
  readonly site: Id;
  readonly clock: Clock;
  readonly suite: Suite = nativeSuite();
  readonly identity: Identity;
  readonly metrics = new MetricsRegistry();
  readonly bus: EventBus;
  readonly health: Health;
  readonly #open = new AsyncDisposableStack();
  #db: Promise<OpenDatabase> | undefined;
  #mqtt: Promise<MqttService> | undefined;
  #peers: Promise<Peers> | undefined;
  #http: HttpService | undefined;
  #listening: Listen | undefined;

  /** @throws IdentityError when the data directory is of no use */
  constructor(config: SiteConfig, options: { clock: Clock }) {
    this.config = config;
    this.site = parseId(config.site);
    this.clock = options.clock;
    this.health = new Health(this.log("health"));
    this.bus = new EventBus({ clock: this.clock, log: this.log("bus") });
    this.identity = openIdentity(this.suite, config.data_dir);
  }

  log(part: string): Log {
    return logOf(this.site, part);
  }

  db(): Promise<OpenDatabase> {
    return this.#db ??= (async () => {
      const db = await openDatabase({
        path: join(this.config.data_dir, "edgeward.db"),
        onState: (trouble) =>
          this.health.report("database", trouble === null ? "ok" : "degraded", trouble ?? ""),
      });
      this.#open.use(db);
      await db.migrate("core", [...auditMigrations, ...peerMigrations]);
      return db;
    })();
  }

  peers(): Promise<Peers> {
    return this.#peers ??= (async () =>
      openPeers({
        suite: this.suite,
        site: this.site,
        noiseKey: this.identity.noise.publicKey,
        db: await this.db(),
        sealer: sealerOf(this.suite, this.identity.sealingKey),
        audit: auditOf("core", this.clock),
        clock: this.clock,
      }))();
  }

  mqtt(): Promise<MqttService> {
    return this.#mqtt ??= (async () => {
      const { url, listen, username, password_file } = this.config.mqtt;
      const mqtt = await openMqtt({
        url,
        listen,
        clientId: `edgeward-${this.site}`,
        log: this.log("mqtt"),
        onState: (state, detail) =>
          this.health.report("mqtt", state === "up" ? "ok" : "degraded", detail),
        ...(username !== undefined && { username }),
        ...(password_file !== undefined && { password: readSecret(password_file) }),
      });
      this.#open.use(mqtt);
      return mqtt;
    })();
  }

  http(): HttpService {
    return this.#http ??= openHttp({ listen: this.config.http.listen, log: this.log("http") });
  }

  /** Opens the public listener if a role needed it. */
  async listen(): Promise<Listen | undefined> {
    return this.#listening = await this.#http?.listen();
  }

  /** Takes no more requests: the first thing to do when the site stops. */
  async stopListening(): Promise<void> {
    await this.#http?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#open.disposeAsync();
  }

  /** Where a peer of this kind reaches the site: the broker for small devices, else HTTP. */
  async urlFor(kind: PeerKind): Promise<string> {
    const small = kind === "meter" || kind === "device" || kind === "keychain";
    if (small && this.#mqtt !== undefined) {
      const { broker } = await this.#mqtt;
      return broker === undefined ? this.config.mqtt.url : `mqtt://${reachable(broker)}`;
    }
    if (this.config.http.public_url !== undefined) return this.config.http.public_url;
    return `http://${reachable(this.#listening ?? this.config.http.listen)}`;
  }
}

/** An address that a client can use: a wildcard listens everywhere but names no host. */
function reachable({ hostname, port }: Listen): string {
  const host = hostname === "0.0.0.0" || hostname === "::" ? Deno.hostname() : hostname;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** A secret from a file, without the newline that editors add. */
function readSecret(file: string): Secret<string> {
  try {
    return new Secret(readFileSync(file, "utf8").replace(/\r?\n$/, ""));
  } catch (error) {
    throw new CodedError("secret_unreadable", `Cannot read the secret: ${messageOf(error)}`, {
      hint: "the file must exist and be readable by the user running edgeward",
    });
  }
}
