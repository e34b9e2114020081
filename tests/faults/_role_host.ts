/**
 * A real role on a real database file, without sockets: who has a call hands it to what the role
 * serves, and what the role dials is a function.
 */
import { join } from "node:path";
import type { Clock } from "../../core/base/clock.ts";
import type { Id } from "../../core/base/id.ts";
import type { AnyPlugin, Host, Services } from "../../core/host/plugin.ts";
import { auditMigrations, auditOf } from "../../core/services/audit.ts";
import { EventBus } from "../../core/services/bus.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { type Database, openDatabase } from "../../core/services/db/mod.ts";
import { SiteDesk } from "../../core/services/desk.ts";
import { openHttp } from "../../core/services/http/mod.ts";
import { openIdentity } from "../../core/services/identity.ts";
import type { Log } from "../../core/services/logging.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import { peerMigrations } from "../../core/services/peers/mod.ts";
import type { Handler } from "../../core/services/sessions/mod.ts";
import { evaluate } from "../../core/trust/share/voprf.ts";

export interface RoleHost extends AsyncDisposable {
  readonly db: Database;
  /** What the role's statements are signed with. */
  readonly signKey: Uint8Array;
  /** Answers a call as the role does. */
  readonly handle: Handler;
  /** What the role has announced, by type. */
  readonly events: ReadonlyMap<string, number>;
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const suite = nativeSuite();

export async function startRole(plugin: AnyPlugin, options: {
  readonly site: Id;
  readonly folder: string;
  readonly clock: Clock;
  readonly config: Readonly<Record<string, unknown>>;
  /** Carries a call to the site that the role dials. */
  readonly carry?: (body: Uint8Array) => Promise<Uint8Array>;
}): Promise<RoleHost> {
  const { site, folder, clock, config, carry = unreachable } = options;
  await using stack = new AsyncDisposableStack();
  await Deno.mkdir(folder, { recursive: true });
  const { name: role, migrations = [] } = plugin;
  const identity = openIdentity(suite, folder);
  const db = stack.use(await openDatabase({ path: join(folder, "edgeward.db") }));
  await db.migrate("core", [...auditMigrations, ...peerMigrations]);
  await db.migrate(role, migrations);
  const bus = new EventBus({ clock, log: silent });
  const events = new Map<string, number>();
  stack.defer(
    bus.scoped(role).listen(({ type }) => {
      events.set(type, (events.get(type) ?? 0) + 1);
    }),
  );
  const stopping = new AbortController();
  stack.defer(() => stopping.abort());
  let handle: Handler | undefined;
  const host: Host & Services = {
    ...{ site, clock, suite, identity, db },
    log: silent,
    metrics: new MetricsRegistry().scoped(role),
    bus: bus.scoped(role),
    audit: auditOf(role, clock),
    desk: new SiteDesk({ log: silent }).scoped((undo) => stack.defer(undo)),
    access: { require: () => (_, next) => next() },
    verification: { verify: async (key, ...signed) => await key.verify(...signed) },
    evaluation: { evaluate: async (task) => await evaluate(suite, task) },
    secrets: { put: unreachable, get: unreachable, delete: unreachable },
    urlFor: unreachable,
    signal: stopping.signal,
    report: () => {},
    defer: (undo) => void stack.defer(undo),
    http: openHttp({ listen: { hostname: "127.0.0.1", port: 0 }, log: silent }).router(role),
    mqtt: {
      ...{ connected: false, publish: unreachable, subscribe: unreachable },
      broker: { url: "", since: 0, reconnects: 0, hasRival: false, facts: null },
    },
    peers: {} as Services["peers"],
    sessions: {
      serve(_purpose, handler) {
        handle = handler;
        return Promise.resolve({ call: unreachable, isOpen: () => false });
      },
      once: (_peer, _id, effect) => effect(),
      standing: unreachable,
      dial: () => ({
        call: carry,
        pinned: null,
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    },
  };
  await plugin.start(host, plugin.config.parse(config));
  if (handle === undefined) throw new Error("The role serves nothing");
  const running = stack.move();
  return {
    ...{ db, handle, events },
    signKey: identity.signer.publicKey,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running.disposeAsync();
    },
  };
}

function unreachable(): never {
  throw new Error("There is no such thing here");
}
