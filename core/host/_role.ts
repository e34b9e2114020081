/**
 * Starting one role: its own door to every service that it needs, and one stack that undoes all it
 * did. A start that fails is undone at once; "not there yet" is tried again in the background.
 */
import type { Database } from "../services/db/mod.ts";
import type { RoleRouter } from "../services/http/mod.ts";
import type { MqttClient } from "../services/mqtt/mod.ts";
import { pause } from "../services/pause.ts";
import { secretsOf } from "../services/secrets.ts";
import { scopedPeers } from "../services/peers/mod.ts";
import { openRunOnce, sessionsOf } from "../services/sessions/mod.ts";
import { messageOf } from "../base/errors.ts";
import type { EnabledRole } from "./config/mod.ts";
import { type Host, type Services, Unavailable } from "./plugin.ts";
import type { SiteServices } from "./_services.ts";

/** Waiting times between attempts of a role that is unavailable. */
const firstRetry = 1_000;
const longestRetry = 60_000;

/** Starts a role, or schedules its start. @throws whatever `start` throws but `Unavailable` */
export async function startRole(
  role: EnabledRole,
  services: SiteServices,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const { name } = role.plugin;
  const started = await attempt(role, services, signal);
  if (started !== null) return started;

  const retry = new AbortController();
  const later = (async (): Promise<AsyncDisposable | null> => {
    for (let wait = firstRetry;; wait = Math.min(wait * 2, longestRetry)) {
      await pause(wait * (0.75 + Math.random() / 2), retry.signal);
      if (retry.signal.aborted) return null;
      try {
        const started = await attempt(role, services, signal);
        if (started !== null) return started;
      } catch (error) {
        services.health.report(name, "failed", messageOf(error));
        return null;
      }
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      retry.abort();
      await (await later)?.[Symbol.asyncDispose]();
    },
  };
}

/** One attempt; null when the role is unavailable. */
async function attempt(
  { plugin, config }: EnabledRole,
  services: SiteServices,
  signal: AbortSignal,
): Promise<AsyncDisposable | null> {
  const { name } = plugin;
  // not moved at the end: a role may register what it opens later, too
  const stack = new AsyncDisposableStack();
  services.health.report(name, "starting");
  try {
    const host = await hostFor({ plugin, config }, services, signal, stack);
    await plugin.start(host, config);
    // a role that has said how it is knows better
    const said = services.health.parts().find(({ part }) => part === name);
    if (said?.state === "starting") services.health.report(name, "ok");
    return stack;
  } catch (error) {
    await stack.disposeAsync();
    if (!(error instanceof Unavailable)) throw error;
    services.health.report(name, "degraded", `waiting: ${error.message}`);
    return null;
  }
}

async function hostFor(
  { plugin, config }: EnabledRole,
  services: SiteServices,
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<Host & Services> {
  const { name } = plugin;
  const needs = new Set<keyof Services>(plugin.needs ?? []);
  const defer = (undo: () => void | Promise<void>) => void stack.defer(undo);
  const { clock, evaluation, identity, health, site, suite, verification } = services;
  const host: Host = {
    site,
    suite,
    verification,
    evaluation,
    log: services.log(name),
    metrics: services.metrics.scoped(name),
    bus: services.bus.scoped(name),
    desk: services.desk.scoped(defer),
    identity,
    audit: services.audit(name),
    secrets: secretsOf(name, services),
    access: services.access,
    clock,
    signal,
    urlFor: (kind) => services.urlFor(kind),
    report: (state, detail) => health.report(name, state, detail),
    defer,
  };
  const open: Partial<Services> = {};
  let router: RoleRouter | undefined;
  if (needs.has("db")) {
    const db = await services.db();
    await db.migrate(name, plugin.migrations ?? []);
    open.db = { read: (query) => db.read(query), write: (job) => db.write(job) } satisfies Database;
  }
  if (needs.has("http")) {
    const own = services.http().router(name);
    defer(() => {
      own.close();
      services.roleRoutes.delete(name);
    });
    router = own;
    open.http = keepingTo([...plugin.claims ?? [], ...plugin.claimsOf?.(config) ?? []], {
      mount(routes, options) {
        own.mount(routes, options);
        services.roleRoutes.set(name, routes);
      },
      claim: own.claim,
    });
  }
  if (needs.has("mqtt")) {
    open.mqtt = endingWith(defer, (await services.mqtt()).client);
  }
  if (needs.has("peers")) {
    open.peers = scopedPeers(await services.peers(), { role: name, defer });
  }
  if (needs.has("sessions")) {
    open.sessions = sessionsOf({
      ...host,
      site,
      staticKey: identity.noise,
      signKey: identity.signer.publicKey,
      peers: await services.peers(),
      runOnce: openRunOnce({ db: await services.db(), clock }),
      ...(router !== undefined && { http: router }),
      ...(open.mqtt !== undefined && { mqtt: open.mqtt }),
    });
  }
  return { ...host, ...open } as Host & Services;
}

/** The router, but for the root paths that the role declares: two roles never meet at one. */
function keepingTo(claims: readonly string[], router: RoleRouter): RoleRouter {
  return {
    mount: (routes, options) => router.mount(routes, options),
    claim(path, routes, options) {
      if (!claims.includes(path)) throw new Error(`Cannot serve ${path}: it is not claimed`);
      router.claim(path, routes, options);
    },
  };
}

/** The shared client, but its subscriptions end with the role. */
function endingWith(defer: Host["defer"], client: MqttClient): MqttClient {
  return {
    get connected() {
      return client.connected;
    },
    get broker() {
      return client.broker;
    },
    publish: (topic, payload, options) => client.publish(topic, payload, options),
    async subscribe(filter, handler) {
      const unsubscribe = await client.subscribe(filter, handler);
      defer(unsubscribe);
      return unsubscribe;
    },
  };
}
