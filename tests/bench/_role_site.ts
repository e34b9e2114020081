/**
 * A site with one real role on a real database file, reached without sockets: whoever has frames feeds
 * them to the responder, which is all that a binding does.
 */
import { join } from "node:path";
import { Hono } from "hono";
import type { Clock } from "../../core/base/clock.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import type { AnyPlugin, Host, Services } from "../../core/host/plugin.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { EventBus } from "../../core/services/bus.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type Database, openDatabase } from "../../core/services/db/mod.ts";
import { SiteDesk } from "../../core/services/desk.ts";
import { EvaluationPool } from "../../core/services/evaluation.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { logOf } from "../../core/services/logging.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import { openPeers, peerMigrations, type Peers } from "../../core/services/peers/mod.ts";
import { sealerOf } from "../../core/services/sealing.ts";
import { secretMigrations, secretsOf } from "../../core/services/secrets.ts";
import { Responder, type Sessions } from "../../core/services/sessions/mod.ts";
import { VerificationPool } from "../../core/services/verification.ts";
import type { Purpose } from "../../core/trust/session/hello.ts";

export interface RoleSite extends AsyncDisposable {
  readonly name: Id;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly peers: Peers;
  readonly db: Database;
  /** What answers sessions of this purpose. @throws Error when the role serves none */
  responderOf(purpose: Purpose): Responder;
  /** What the role serves below its name; nobody has to show a token. */
  readonly routes: Hono;
}

/**
 * Starts the role in a temporary folder, removed at the end.
 * @param table what its configuration says; its defaults unless given
 */
export async function openRoleSite(plugin: AnyPlugin, table: unknown = {}): Promise<RoleSite> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "edgeward-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));

  const { name: role, migrations = [] } = plugin;
  const site = parseId("bench");
  const suite = nativeSuite();
  const clock = Date.now;
  const log = logOf(site, role);
  const metrics = new MetricsRegistry().scoped(role);
  const identity = openIdentity(suite, folder);
  const db = stack.use(await openDatabase({ path: join(folder, "edgeward.db") }));
  await db.migrate("core", [...auditMigrations, ...peerMigrations, ...secretMigrations]);
  await db.migrate(role, migrations);
  const sealer = sealerOf(suite, identity.sealingKey);
  const peers = openPeers({
    suite,
    site,
    noiseKey: identity.noise.publicKey,
    db,
    sealer,
    audit: auditOf("core", clock),
    bus: new EventBus({ clock, log }).scoped("core"),
    log,
    clock,
  });

  const responders = new Map<Purpose, Responder>();
  const routes = new Hono();
  const sessions: Sessions = {
    serve(purpose, handler) {
      const staticKey = identity.noise;
      const door = { suite, site, staticKey, purpose, handler, peers, clock, log, metrics };
      const responder = new Responder(door);
      responders.set(purpose, responder);
      stack.defer(() => responder.close());
      return Promise.resolve({ call: unreachable, isOpen: () => false });
    },
    once: () => unreachable(),
    standing: () => unreachable(),
    dial: () => unreachable(),
  };
  const stopping = new AbortController();
  const host: Host & Services = {
    site,
    log,
    metrics,
    bus: new EventBus({ clock, log }).scoped(role),
    identity,
    suite,
    verification: stack.use(new VerificationPool({ log })),
    evaluation: stack.use(new EvaluationPool({ log, suite })),
    audit: auditOf(role, clock),
    secrets: secretsOf(role, { sealer }),
    desk: new SiteDesk({ log }).scoped((undo) => stack.defer(undo)),
    access: { require: () => (_, next) => next() },
    clock,
    signal: stopping.signal,
    urlFor: () => Promise.resolve("http://bench"),
    report: () => {},
    defer: (undo) => stack.defer(undo),
    http: { mount: (own) => void routes.route("/", own), claim: () => {} },
    db,
    mqtt: {
      ...{ connected: false, publish: unreachable, subscribe: unreachable },
      broker: { url: "", since: 0, reconnects: 0, hasRival: false, facts: null },
    },
    peers,
    sessions,
  };
  await plugin.start(host, plugin.config.parse(table));
  const running = stack.move();
  return {
    name: site,
    suite,
    clock,
    peers,
    db,
    routes,
    responderOf(purpose) {
      const responder = responders.get(purpose);
      if (responder !== undefined) return responder;
      throw new Error(`The role serves no ${purpose} sessions`);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running.disposeAsync();
    },
  };
}

function unreachable(): never {
  throw new Error("The bench has no network");
}
