/**
 * A running site: config → services → roles → listeners → ready; and back in reverse. Several sites
 * may run in one process: nothing here is global, no signal is handled and no log is configured.
 */
import type { Clock } from "../base/clock.ts";
import type { HttpService, Listen } from "../services/http/mod.ts";
import { maxSubmission, tlogRoutes } from "../services/tlog/mod.ts";
import type { PeerKind } from "../wire/peer.ts";
import type { Enrolment } from "../wire/enrolment.ts";
import { Hono } from "hono";
import { openAdmin } from "./_admin.ts";
import { offerSite } from "./_desk.ts";
import { keysApi } from "./_keys_api.ts";
import { peersApi } from "./_peers_api.ts";
import { type RoleChanges, RunningRoles } from "./_running_roles.ts";
import { SiteServices } from "./_services.ts";
import { tokensApi } from "./_tokens_api.ts";
import type { SiteConfig } from "./config/mod.ts";

export type { SiteStatus } from "./_admin.ts";
export { socketPath } from "./data_dir.ts";

export interface Site extends AsyncDisposable {
  readonly name: string;
  /** The public listener, when a role needed it. */
  readonly http: Listen | undefined;
  readonly admin: Listen;
  /**
   * Goes on with a new configuration: roles whose tables changed are stopped and started anew, files of
   * keys and users are read again. What only a restart can change is left as it is, and named.
   */
  reload(config: SiteConfig): Promise<Reload>;
  /** Makes a one-time code, as `edgeward admin enrol` does. */
  enrol(kind: PeerKind, id: string, options: { ttl: number }): Promise<Enrolment>;
}

/** What a reload has changed, and what it could not. */
export interface Reload extends RoleChanges {
  /** Keys that have changed in the file and wait for a restart: "http.listen". */
  readonly waiting: readonly string[];
}

/** Sections that are read once, when the site starts. */
const fixed = ["site", "data_dir", "http", "admin", "mqtt", "peers", "db", "log"] as const;
/** Keys in them that whoever writes the log lines goes by. */
const elsewhere = ["log.level"];

/**
 * Starts a site. Disposing the result stops it; twice does no harm.
 * @throws CodedError of the part that could not start; everything opened until then is closed again
 */
export async function startSite(
  config: SiteConfig,
  options: { version: string; clock?: Clock },
): Promise<Site> {
  const clock = options.clock ?? Date.now;
  await using stack = new AsyncDisposableStack();
  const services = stack.use(new SiteServices(config, { clock }));
  const started = clock();
  const listening: { http?: Listen } = {};
  let isServing = false;
  const ready = () => isServing && services.health.ready();
  const status = async (admin: Listen) => ({
    site: services.site,
    version: options.version,
    started,
    ready: ready(),
    http: listening.http ?? null,
    admin,
    ...await services.facts(),
    parts: services.health.parts(),
  });
  const admin = stack.use(await openAdmin(services, { ready, status }));
  offerSite(services, {
    status: () => status(admin.address),
    defer: (undo) => stack.defer(undo),
  });
  const up = services.metrics.scoped("host").gauge("edgeward_up", "1 once every role has started");
  up.set(0);
  const roles = stack.use(new RunningRoles(services));
  for (const role of config.roles) await roles.start(role);
  await listen();
  stack.defer(() => services.stopListening());
  up.set(1);
  isServing = true;
  // whoever balances loads looks elsewhere while requests under way are answered
  stack.defer(() => void (isServing = false));

  const running = stack.move();
  let stopped: Promise<void> | undefined;
  let reloading: Promise<unknown> = Promise.resolve();

  /** Opens the public listener, unless it is open or no role has needed it. */
  async function listen(): Promise<void> {
    if (listening.http !== undefined) return;
    if (services.publicHttp !== undefined) mountOwnRoutes(services.publicHttp, services);
    const http = await services.listen();
    if (http !== undefined) listening.http = http;
  }

  async function reload(next: SiteConfig): Promise<Reload> {
    const changes = await roles.change(next.roles);
    await listen();
    const failed = { ...changes.failed, ...await services.reloadFiles() };
    return { ...changes, failed, waiting: changedKeys(config, next) };
  }

  return {
    name: services.site,
    get http() {
      return listening.http;
    },
    admin: admin.address,
    reload(next) {
      const done = reloading.then(() => reload(next));
      reloading = done.catch(() => {});
      return done;
    },
    async enrol(kind, id, { ttl }) {
      const peers = await services.peers();
      return await peers.enrol(kind, id, { url: await services.urlFor(kind), ttl });
    },
    [Symbol.asyncDispose]: () => stopped ??= reloading.then(() => running.disposeAsync()),
  };
}

/** What the site itself answers over HTTP, below `/site`: people's decisions, by API token. */
function mountOwnRoutes(http: HttpService, services: SiteServices): void {
  const { require } = services.access;
  const routes = new Hono();
  routes.route("/", peersApi(services, require));
  routes.route("/", tokensApi(services, require));
  routes.route("/", keysApi(services, require));
  http.router("site").mount(routes);
  const guard = services.config.log.public ? null : require("viewer");
  http.router("log").mount(tlogRoutes(() => services.tlog(), { guard }), {
    maxBody: maxSubmission,
  });
}

/** Of the sections that only a restart can change. */
function changedKeys(before: SiteConfig, after: SiteConfig): string[] {
  return fixed.flatMap((section) => {
    const [old, now] = [before[section], after[section]];
    if (typeof old === "string" || typeof now === "string") return old === now ? [] : [section];
    const keys = new Set([...Object.keys(old), ...Object.keys(now)]);
    const valueOf = (table: object, key: string) =>
      JSON.stringify((table as Readonly<Record<string, unknown>>)[key]);
    return [...keys].filter((key) => valueOf(old, key) !== valueOf(now, key))
      .map((key) => `${section}.${key}`)
      .filter((name) => !elsewhere.includes(name));
  });
}
