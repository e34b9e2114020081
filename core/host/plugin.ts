/**
 * The contract between the host and a role.
 *
 * A role is one object that a folder under `plugins/` exports by default from its `mod.ts`. The host
 * promises: `start` runs once, after the services named in `needs` are open and after the roles named
 * in `after` have started; everything handed to `start` is scoped to the role; what `start` registers
 * with `host.defer`, or later, is undone in reverse order, once, when the role stops or when its start
 * fails.
 * The HTTP listener opens only after every role has started. A `start` that throws `Unavailable` is
 * tried again later while the other roles run; any other error aborts the start of the site.
 */
import type { z } from "zod";
import { CodedError } from "../base/errors.ts";
import type { Suite } from "../trust/crypto.ts";
import type { Clock } from "../base/clock.ts";
import type { Access } from "../services/access/mod.ts";
import type { SiteAudit } from "../services/audit.ts";
import type { Bus } from "../services/bus.ts";
import type { Database, Migration } from "../services/db/mod.ts";
import type { RoleRouter } from "../services/http/mod.ts";
import type { Evaluation } from "../services/evaluation.ts";
import type { Desk } from "../services/desk.ts";
import type { Identity } from "../services/identity.ts";
import type { Log } from "../services/logging.ts";
import type { Metrics } from "../services/metrics.ts";
import type { MqttClient } from "../services/mqtt/mod.ts";
import type { Secrets } from "../services/secrets.ts";
import type { RolePeers } from "../services/peers/mod.ts";
import type { Sessions } from "../services/sessions/mod.ts";
import type { Verification } from "../services/verification.ts";
import type { PeerKind } from "../wire/peer.ts";

/** Resources of this machine that a role may ask for; each opens on first need. */
export interface Services {
  /** The role's own router, mounted at `/<role>`, and the root paths that it claims. */
  http: RoleRouter;
  /** The site's database; the role's tables carry its name as prefix. */
  db: Database;
  /** The site's connection to its broker; subscriptions end with the role. */
  mqtt: MqttClient;
  /** Authenticated, encrypted calls from and to peers, over HTTP and MQTT. */
  sessions: Sessions;
  /**
   * Everyone the site talks to, and what people decide about them. Whoever makes a change for a person
   * names that person as its actor; without one the audit has it as the role's own. What `watch`
   * registers ends with the role.
   */
  peers: RolePeers;
}

/** What every role gets. */
export interface Host {
  readonly site: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly bus: Bus;
  /** What people can ask of this role and of the others, and decide; what it offers ends with it. */
  readonly desk: Desk;
  readonly identity: Identity;
  /** The primitives of this runtime. */
  readonly suite: Suite;
  /** Checks signatures for roles that have many to check, on other threads. */
  readonly verification: Verification;
  /** Evaluates with a gateway's share, on other threads when more than one asks. */
  readonly evaluation: Evaluation;
  readonly audit: SiteAudit;
  /** What the role keeps sealed in the site's database. */
  readonly secrets: Secrets;
  /**
   * Guards administrative routes: who may pass shows an API token. On the admin socket, which serves what
   * the role mounts under the same path, this machine's operator passes without one.
   */
  readonly access: Access;
  readonly clock: Clock;
  /** Aborted when the site begins to stop. */
  readonly signal: AbortSignal;
  /** Where peers of this kind reach the site, once it listens. */
  urlFor(kind: PeerKind): Promise<string>;
  /** Says how the role is; `/readyz?verbose` shows it. */
  report(state: RoleState, detail?: string): void;
  /** Runs `undo` when the role stops, last registered first. */
  defer(undo: () => void | Promise<void>): void;
}

export type RoleState = "ok" | "degraded" | "failed";

/** A role. `C` is its config schema, `N` the services that it needs. */
export interface Plugin<
  C extends z.ZodObject = z.ZodObject,
  N extends keyof Services = never,
> {
  /** Config table, log category, metric label, URL prefix and, with underscores, table prefix. */
  readonly name: string;
  /** One line for `edgeward plugins`. */
  readonly summary: string;
  /** Defaults and descriptions live here; the host refuses unknown keys. */
  readonly config: C;
  readonly needs?: readonly N[];
  /** Start order when both are switched on; nothing more. */
  readonly after?: readonly string[];
  /** Root paths fixed by a protocol or a prototype, as "/summary". Two claims of one path are an error. */
  readonly claims?: readonly string[];
  /** Root paths that it claims besides, because its configuration asks for them. */
  claimsOf?(config: z.output<C>): readonly string[];
  readonly migrations?: readonly Migration[];
  start(host: Host & Pick<Services, N>, config: z.output<C>): void | Promise<void>;
  /** A read-only probe for `edgeward doctor`. */
  check?(config: z.output<C>): AsyncIterable<Finding>;
}

/** One line of `edgeward doctor`. */
export interface Finding {
  /** `degraded` is worth a look; with `failed` the role does not start or cannot do its work. */
  readonly state: RoleState;
  /** A sentence part without secrets: "code_file: there is no such file". */
  readonly what: string;
  /** The next step. */
  readonly hint?: string;
}

/** A plugin whose type parameters are forgotten, as the registry holds it. */
// deno-lint-ignore no-explicit-any -- a heterogeneous list: each plugin checks its own config type
export type AnyPlugin = Plugin<any, any>;

/** Where the host finds roles: a name to a lazy import, so that only enabled roles cost memory. */
export type Registry = Readonly<Record<string, () => Promise<{ default: AnyPlugin }>>>;

/** Thrown by `start` when something outside is not there yet: the host tries again with backoff. */
export class Unavailable extends CodedError<"unavailable"> {
  override readonly name = "Unavailable";
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super("unavailable", message, options);
  }
}

/** Declares a role with its types inferred: `host.db` is a type error unless `needs` holds "db". */
export function definePlugin<C extends z.ZodObject, N extends keyof Services = never>(
  plugin: Plugin<C, N>,
): Plugin<C, N> {
  return plugin;
}
