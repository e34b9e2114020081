/**
 * The roles that run, in the order of their start. What a new configuration changes is stopped and
 * started anew; the rest goes on undisturbed. A role that does not start with its new table goes on
 * with the old one.
 */
import { messageOf } from "../base/errors.ts";
import type { EnabledRole } from "./config/mod.ts";
import { startRole } from "./_role.ts";
import type { SiteServices } from "./_services.ts";

/** What a new configuration has done to the roles, by their names. */
export interface RoleChanges {
  readonly started: readonly string[];
  readonly restarted: readonly string[];
  readonly stopped: readonly string[];
  /** What goes on as before, or is off now, because its start failed: with the reason. */
  readonly failed: Readonly<Record<string, string>>;
}

interface Running {
  readonly role: EnabledRole;
  readonly stopping: AbortController;
  readonly undo: AsyncDisposable;
}

export class RunningRoles implements AsyncDisposable {
  readonly #services: SiteServices;
  #running: Running[] = [];
  /** Roles that are wanted and do not run, because their start failed. */
  #failed: readonly string[] = [];

  constructor(services: SiteServices) {
    this.#services = services;
  }

  /** Starts a role after those that run. @throws what its start throws, but `Unavailable` */
  async start(role: EnabledRole): Promise<void> {
    const stopping = new AbortController();
    const undo = await startRole(role, this.#services, stopping.signal);
    this.#running.push({ role, stopping, undo });
  }

  /** Makes what runs be what the new configuration says. */
  async change(roles: readonly EnabledRole[]): Promise<RoleChanges> {
    const before = new Map(this.#running.map((one) => [nameOf(one.role), one]));
    const wanted = new Map(roles.map((role) => [nameOf(role), role]));
    const [started, restarted, stopped] = [[], [], []] as [string[], string[], string[]];
    const failed: Record<string, string> = {};
    const kept: string[] = [];
    for (const name of this.#failed) this.#services.health.forget(name);
    for (const one of [...this.#running].reverse()) {
      const next = wanted.get(nameOf(one.role));
      if (next !== undefined && isSame(next, one.role)) continue;
      await this.#stop(one);
      if (next === undefined) stopped.push(nameOf(one.role));
    }
    for (const role of roles) {
      const name = nameOf(role);
      if (this.#running.some((one) => nameOf(one.role) === name)) continue;
      const old = before.get(name);
      try {
        await this.start(role);
        (old === undefined ? started : restarted).push(name);
      } catch (error) {
        failed[name] = messageOf(error);
        if (old !== undefined && await this.#startsAgain(old)) {
          kept.push(`${name} goes on as before: ${failed[name]}`);
        } else this.#services.health.report(name, "failed", failed[name]);
      }
    }
    const runs = new Set(this.#running.map((one) => nameOf(one.role)));
    this.#failed = Object.keys(failed).filter((name) => !runs.has(name));
    // a part of its own: the roles report for themselves, and know nothing of this
    if (kept.length === 0) this.#services.health.forget("configuration");
    else this.#services.health.report("configuration", "degraded", kept.join("; "));
    return { started, restarted, stopped, failed };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // whatever ends the site, its roles hear of it before they are undone
    for (const { stopping } of this.#running) stopping.abort();
    for (const one of [...this.#running].reverse()) await this.#stop(one);
  }

  async #stop(one: Running): Promise<void> {
    this.#running = this.#running.filter((other) => other !== one);
    one.stopping.abort();
    await one.undo[Symbol.asyncDispose]();
    this.#services.health.forget(nameOf(one.role));
  }

  async #startsAgain({ role }: Running): Promise<boolean> {
    try {
      await this.start(role);
      return true;
    } catch {
      // why the new table does not work says more
      return false;
    }
  }
}

function nameOf({ plugin }: EnabledRole): string {
  return plugin.name;
}

/** Configurations are plain data. */
function isSame(a: EnabledRole, b: EnabledRole): boolean {
  return JSON.stringify(a.config) === JSON.stringify(b.config);
}
