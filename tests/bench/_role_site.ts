/**
 * A site with one real role on a real database file, reached without sockets: whoever has frames feeds
 * them to the responder, which is all that a binding does.
 */
import { join } from "node:path";
import type { Clock } from "../../core/base/clock.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import type { AnyPlugin, Host, Services } from "../../core/host/plugin.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { EventBus } from "../../core/services/bus.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type Database, openDatabase } from "../../core/services/db/mod.ts";
import { openIdentity } from "../../core/services/identity.ts";
import { openHttp } from "../../core/services/http/mod.ts";
import { logOf } from "../../core/services/logging.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import { openPeers, peerMigrations, type Peers } from "../../core/services/peers/mod.ts";
import { sealerOf } from "../../core/services/sealing.ts";
import { Responder, type Sessions } from "../../core/services/sessions/mod.ts";
import { VerificationPool } from "../../core/services/verification.ts";

export interface RoleSite extends AsyncDisposable {
  readonly name: Id;
  readonly suite: Suite;
  readonly clock: Clock;
  readonly peers: Peers;
  readonly db: Database;
  readonly responder: Responder;
}

/** Starts the role with its default configuration in a temporary folder, removed at the end. */
export async function openRoleSite(plugin: AnyPlugin): Promise<RoleSite> {
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
  await db.migrate("core", [...auditMigrations, ...peerMigrations]);
  await db.migrate(role, migrations);
  const peers = openPeers({
    suite,
    site,
    noiseKey: identity.noise.publicKey,
    db,
    sealer: sealerOf(suite, identity.sealingKey),
    audit: auditOf("core", clock),
    bus: new EventBus({ clock, log }).scoped("core"),
    log,
    clock,
  });

  let responder: Responder | undefined;
  const sessions: Sessions = {
    serve(purpose, handler) {
      const staticKey = identity.noise;
      const door = { suite, site, staticKey, purpose, handler, peers, clock, log, metrics };
      responder = new Responder(door);
      stack.defer(() => responder?.close());
      return Promise.resolve();
    },
    once: () => unreachable(),
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
    audit: auditOf(role, clock),
    access: { require: () => (_, next) => next() },
    clock,
    signal: stopping.signal,
    report: () => {},
    defer: (undo) => stack.defer(undo),
    http: openHttp({ listen: { hostname: "127.0.0.1", port: 0 }, log }).router(role),
    db,
    mqtt: { connected: false, publish: unreachable, subscribe: unreachable },
    sessions,
  };
  await plugin.start(host, plugin.config.parse({}));
  if (responder === undefined) throw new Error("The role serves no sessions");
  const running = stack.move();
  return {
    name: site,
    suite,
    clock,
    peers,
    db,
    responder,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running.disposeAsync();
    },
  };
}

function unreachable(): never {
  throw new Error("The bench has no network");
}
