/**
 * The services of one site, each opened on first need and shared by all roles. They close in the
 * reverse order of their opening, after the roles have stopped.
 */
import { statSync } from "node:fs";
import type { Hono } from "hono";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { type Id, parseId } from "../base/id.ts";
import type { Suite } from "../trust/crypto.ts";
import type { PeerKind } from "../wire/peer.ts";
import {
  type Access,
  openAccess,
  openTokens,
  tokenMigrations,
  type Tokens,
} from "../services/access/mod.ts";
import { auditMigrations, auditOf, type SiteAudit } from "../services/audit.ts";
import { EventBus } from "../services/bus.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { SiteDesk } from "../services/desk.ts";
import { type OpenDatabase, openDatabase } from "../services/db/mod.ts";
import { EvaluationPool } from "../services/evaluation.ts";
import { Health } from "../services/health.ts";
import { type HttpService, type Listen, openHttp } from "../services/http/mod.ts";
import { type Identity, openIdentity } from "../services/identity.ts";
import { type Log, logOf } from "../services/logging.ts";
import { MetricsRegistry } from "../services/metrics.ts";
import { type MqttService, openMqtt } from "../services/mqtt/mod.ts";
import { openPeers, peerBanMigrations, type Peers } from "../services/peers/mod.ts";
import { peerTableMigrations, sealedPsk } from "../services/peers/mod.ts";
import { runOnceMigrations } from "../services/sessions/mod.ts";
import { type Sealer, sealerOf } from "../services/sealing.ts";
import { sealedSecret, secretMigrations } from "../services/secrets.ts";
import { openTlog, type Tlog, tlogMigrations, type TlogStatus } from "../services/tlog/mod.ts";
import { VerificationPool } from "../services/verification.ts";
import { brokerAccess, brokerAddress } from "./broker_access.ts";
import type { SiteConfig } from "./config/mod.ts";
import { databasePath } from "./data_dir.ts";

/** In the order in which they came to be. */
const coreMigrations = [
  ...auditMigrations,
  ...peerTableMigrations,
  ...runOnceMigrations,
  ...tokenMigrations,
  ...tlogMigrations,
  ...secretMigrations,
  ...peerBanMigrations,
];

export class SiteServices implements AsyncDisposable {
  readonly config: SiteConfig;
  readonly site: Id;
  readonly clock: Clock;
  readonly suite: Suite = nativeSuite();
  readonly verification: VerificationPool;
  readonly evaluation: EvaluationPool;
  readonly identity: Identity;
  /** What roles serve below their names: the admin socket serves it too. */
  readonly roleRoutes = new Map<string, Hono>();
  /** Of every field that the site keeps sealed. */
  readonly sealer: Sealer;
  readonly metrics = new MetricsRegistry();
  readonly bus: EventBus;
  readonly desk: SiteDesk;
  readonly health: Health;
  readonly #open = new AsyncDisposableStack();
  #db: Promise<OpenDatabase> | undefined;
  #tlog: Tlog | undefined;
  #mqtt: Promise<MqttService> | undefined;
  #peers: Promise<Peers> | undefined;
  #tokens: Promise<Tokens> | undefined;
  #access: Promise<Access> | undefined;
  #broker: MqttService["broker"];
  #http: HttpService | undefined;
  #listening: Listen | undefined;

  /** @throws IdentityError when the data directory is of no use */
  constructor(config: SiteConfig, options: { clock: Clock }) {
    this.config = config;
    this.site = parseId(config.site);
    this.clock = options.clock;
    this.health = new Health(this.log("health"));
    this.bus = new EventBus({ clock: this.clock, log: this.log("bus") });
    this.desk = new SiteDesk({ log: this.log("desk") });
    // neither starts a thread before it has work for it
    this.verification = this.#open.use(new VerificationPool({ log: this.log("verification") }));
    this.evaluation = this.#open.use(
      new EvaluationPool({ suite: this.suite, log: this.log("evaluation") }),
    );
    this.identity = openIdentity(this.suite, config.data_dir);
    this.sealer = sealerOf(this.suite, this.identity.sealingKey, [sealedPsk, sealedSecret]);
  }

  log(part: string): Log {
    return logOf(this.site, part);
  }

  db(): Promise<OpenDatabase> {
    return this.#db ??= (async () => {
      const db = await openDatabase({
        path: databasePath(this.config.data_dir),
        onState: (trouble) =>
          this.health.report("database", trouble === null ? "ok" : "degraded", trouble ?? ""),
      });
      this.#open.use(db);
      await db.migrate("core", coreMigrations);
      this.#tlog = this.#open.use(openTlog({
        ...{ db, suite: this.suite, site: this.site, identity: this.identity, clock: this.clock },
        dataDir: this.config.data_dir,
        config: this.config.log,
        bus: this.bus.scoped("core"),
        log: this.log("log"),
        metrics: this.metrics.scoped("core"),
        report: (state, detail) => this.health.report("log", state, detail),
      }));
      return db;
    })();
  }

  /** Of what is in the database, so it opens with that. */
  async tlog(): Promise<Tlog> {
    await this.db();
    return this.#tlog!;
  }

  /** What a role records, and how it proves it. */
  audit(role: string): SiteAudit {
    return auditOf(role, this.clock, async (statement) => {
      const log = await this.tlog();
      return await log.prove(statement);
    });
  }

  peers(): Promise<Peers> {
    return this.#peers ??= (async () =>
      openPeers({
        suite: this.suite,
        site: this.site,
        noiseKey: this.identity.noise.publicKey,
        db: await this.db(),
        sealer: this.sealer,
        audit: auditOf("core", this.clock),
        bus: this.bus.scoped("core"),
        clock: this.clock,
        log: this.log("peers"),
        join: this.config.peers.join,
      }))();
  }

  /** The database opens with the first request that needs it. */
  readonly access: Access = {
    require: (role) => async (c, next) => (await this.#guard()).require(role)(c, next),
  };

  tokens(): Promise<Tokens> {
    return this.#tokens ??= (async () =>
      openTokens({
        db: await this.db(),
        suite: this.suite,
        audit: auditOf("core", this.clock),
        clock: this.clock,
      }))();
  }

  #guard(): Promise<Access> {
    return this.#access ??= (async () =>
      openAccess({
        tokens: await this.tokens(),
        db: await this.db(),
        audit: auditOf("core", this.clock),
        bus: this.bus.scoped("core"),
        clock: this.clock,
        log: this.log("access"),
        metrics: this.metrics.scoped("core"),
      }))();
  }

  mqtt(): Promise<MqttService> {
    return this.#mqtt ??= (async () => {
      const { url, listen, prefix, ...config } = this.config.mqtt;
      const { users_file, max_clients, max_clients_per_address } = config;
      // who is banned is known before anybody may log in
      const peers = url === "embedded" ? await this.peers() : undefined;
      const allows = await peers?.allowing();
      const clientId = `edgeward-${this.site}`;
      const mqtt = await openMqtt({
        ...brokerAccess(this.config.mqtt),
        ...{ listen, prefix, clock: this.clock },
        ...(users_file !== undefined && { usersFile: users_file }),
        ...(allows !== undefined && { allows }),
        limits: { clients: max_clients, clientsPerAddress: max_clients_per_address },
        metrics: this.metrics.scoped("host"),
        clientId,
        log: this.log("mqtt"),
        onState: (state, detail) =>
          this.health.report("mqtt", state === "up" ? "ok" : "degraded", detail),
        onRival: () =>
          this.bus.scoped("core").emit({
            ...{ type: "broker.rival", severity: "alarm", subject: this.site },
            detail: { client_id: clientId },
          }),
        onRetained: (topic) =>
          this.bus.scoped("core").emit({
            ...{ type: "broker.retained", severity: "warning", subject: this.site },
            detail: { topic },
          }),
      });
      this.#open.use(mqtt);
      this.#broker = mqtt.broker;
      peers?.watch((_kind, id) => {
        if (!allows!(id)) mqtt.broker!.disconnect(id);
      });
      return mqtt;
    })();
  }

  http(): HttpService {
    const { listen, tls_cert_file, tls_key_file, client_ca_file, trusted_proxies } =
      this.config.http;
    return this.#http ??= openHttp({
      listen,
      log: this.log("http"),
      metrics: this.metrics.scoped("http"),
      trustedProxies: trusted_proxies,
      // the configuration has both or neither
      ...(tls_cert_file !== undefined && tls_key_file !== undefined && {
        tls: { certFile: tls_cert_file, keyFile: tls_key_file, clientCaFile: client_ca_file },
      }),
    });
  }

  /** There once a role has needed it. */
  get publicHttp(): HttpService | undefined {
    return this.#http;
  }

  /** Opens the public listener if a role needed it. */
  async listen(): Promise<Listen | undefined> {
    const broker = this.#broker;
    if (broker !== undefined) {
      this.#http?.upgrade("/mqtt", (...args) => broker.attachWebSocket(...args));
    }
    return this.#listening = await this.#http?.listen();
  }

  /** Reads certificates and users again. Returns what stays as it was, with the reason. */
  async reloadFiles(): Promise<Readonly<Record<string, string>>> {
    const kept: Record<string, string> = {};
    try {
      this.#http?.reload();
    } catch (error) {
      kept["http"] = messageOf(error);
    }
    try {
      await this.#broker?.reload();
    } catch (error) {
      kept["mqtt"] = messageOf(error);
    }
    return kept;
  }

  /** Takes no more requests: the first thing to do when the site stops. */
  async stopListening(): Promise<void> {
    await this.#http?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#open.disposeAsync();
  }

  /** What those services tell of themselves that are open; it opens none, and waits for none. */
  async facts(): Promise<{
    broker: Listen | null;
    database: { bytes: number } | null;
    log: TlogStatus | null;
    peers: { waiting: number } | null;
  }> {
    const [mqtt, db, peers] = await Promise.all([
      opened(this.#mqtt),
      opened(this.#db),
      opened(this.#peers),
    ]);
    const { data_dir } = this.config;
    const broker = mqtt?.broker;
    return {
      broker: broker === undefined ? null : { hostname: broker.hostname, port: broker.port },
      database: db === undefined ? null : { bytes: sizeOf(databasePath(data_dir)) },
      log: this.#tlog?.status() ?? null,
      peers: peers === undefined ? null : { waiting: peers.waiting().length },
    };
  }

  /** Where a peer of this kind reaches the site: the broker for small devices, else HTTP. */
  async urlFor(kind: PeerKind): Promise<string> {
    const small = kind === "meter" || kind === "device" || kind === "keychain";
    if (small && this.#mqtt !== undefined) {
      const { broker } = await this.#mqtt;
      const { mqtt } = this.config;
      return brokerAddress(broker === undefined ? mqtt.url : `mqtt://${reachable(broker)}`, mqtt);
    }
    if (this.config.http.public_url !== undefined) return this.config.http.public_url;
    const scheme = this.config.http.tls_cert_file === undefined ? "http" : "https";
    return `${scheme}://${reachable(this.#listening ?? this.config.http.listen)}`;
  }
}

/** A service that is open by now; undefined while it opens, and when it could not. */
function opened<T>(service: Promise<T> | undefined): Promise<T | undefined> {
  return Promise.race([service, undefined]).catch(() => undefined);
}

/** An address that a client can use: a wildcard listens everywhere but names no host. */
function reachable({ hostname, port }: Listen): string {
  const host = hostname === "0.0.0.0" || hostname === "::" ? Deno.hostname() : hostname;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Of a database and of the log beside it, in bytes. */
function sizeOf(database: string): number {
  return [database, `${database}-wal`]
    .reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
}
