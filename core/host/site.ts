/**
 * A running site: config → services → roles → listeners → ready; and back in reverse. Several sites
 * may run in one process: nothing here is global, no signal is handled and no log is configured.
 */
import type { Clock } from "../base/clock.ts";
import type { Listen } from "../services/http/mod.ts";
import type { PeerKind } from "../wire/peer.ts";
import type { Enrolment } from "../wire/enrolment.ts";
import { openAdmin } from "./_admin.ts";
import { startRole } from "./_role.ts";
import { SiteServices } from "./_services.ts";
import type { SiteConfig } from "./config/mod.ts";

export type { SiteStatus } from "./_admin.ts";
export { socketPath } from "./_admin.ts";

export interface Site extends AsyncDisposable {
  readonly name: string;
  /** The public listener, when a role needed it. */
  readonly http: Listen | undefined;
  readonly admin: Listen;
  /** Makes a one-time code, as `edgeward admin enrol` does. */
  enrol(kind: PeerKind, id: string, options: { ttl: number }): Promise<Enrolment>;
}

/**
 * Starts a site. Disposing the result stops it; twice does no harm.
 * @throws CodedError of the part that could not start; everything opened until then is closed again
 */
export async function startSite(
  config: SiteConfig,
  options: { version: string; clock?: Clock },
): Promise<Site> {
  const clock = options.clock ?? Date.now;
  const stopping = new AbortController();
  await using stack = new AsyncDisposableStack();
  const services = stack.use(new SiteServices(config, { clock }));
  const started = clock();
  const listening: { http?: Listen } = {};
  const admin = stack.use(
    await openAdmin(services, {
      status: () => ({
        site: services.site,
        version: options.version,
        started,
        ready: services.health.ready(),
        http: listening.http ?? null,
        parts: services.health.parts(),
      }),
    }),
  );
  const up = services.metrics.scoped("host").gauge("edgeward_up", "1 once every role has started");
  up.set(0);
  const roles = stack.use(new AsyncDisposableStack());
  // whatever ends the site, its roles hear of it before they are undone
  stack.defer(() => stopping.abort());
  for (const role of config.roles) {
    roles.use(await startRole(role, services, stopping.signal));
  }
  const http = await services.listen();
  if (http !== undefined) listening.http = http;
  stack.defer(() => services.stopListening());
  up.set(1);

  const running = stack.move();
  let stopped: Promise<void> | undefined;
  return {
    name: services.site,
    http,
    admin: admin.address,
    async enrol(kind, id, { ttl }) {
      const peers = await services.peers();
      return await peers.enrol(kind, id, { url: await services.urlFor(kind), ttl });
    },
    [Symbol.asyncDispose]: () => stopped ??= running.disposeAsync(),
  };
}
