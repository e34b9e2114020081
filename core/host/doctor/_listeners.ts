/** The doors of the site: each address is free, or this very site holds it. */
import { messageOf } from "../../base/errors.ts";
import type { Listen } from "../../services/http/mod.ts";
import type { SiteConfig } from "../config/mod.ts";
import type { Finding } from "../plugin.ts";
import { addressText } from "../shown.ts";
import { isNeeded, type Patient } from "./_probe.ts";

interface Door {
  readonly table: "http" | "admin" | "mqtt";
  readonly wanted: Listen;
  /** Where the running site has it. */
  readonly held: Listen | null;
}

export async function* listeners({ config, running }: Patient): AsyncIterable<Finding> {
  // whose doors are held then cannot be told
  if (running === "mute") return;
  const { http, admin, mqtt } = config;
  const doors: Door[] = [
    ...(isNeeded(config, "http")
      ? [{ table: "http", wanted: http.listen, held: running?.http ?? null } as const]
      : []),
    { table: "admin", wanted: admin.listen, held: running?.admin ?? null },
    ...(hasBroker(config)
      ? [{ table: "mqtt", wanted: mqtt.listen, held: running?.broker ?? null } as const]
      : []),
  ];
  for (const [i, door] of doors.entries()) {
    const same = doors.slice(0, i).find(({ wanted }) => overlap(wanted, door.wanted));
    if (same === undefined) yield finding(door);
    else {
      yield {
        state: "failed",
        what: `[${door.table}] ${addressText(door.wanted)}: [${same.table}] has the same address`,
        hint: `set listen under [${door.table}] to another port`,
      };
    }
  }
}

/** Whether the site runs a broker of its own. */
function hasBroker(config: SiteConfig): boolean {
  return config.mqtt.url === "embedded" && isNeeded(config, "mqtt");
}

function finding({ table, wanted, held }: Door): Finding {
  const name = `[${table}] ${addressText(wanted)}`;
  if (held !== null) {
    const isMoved = wanted.hostname !== held.hostname ||
      wanted.port !== held.port && wanted.port !== 0;
    return isMoved
      ? {
        state: "degraded",
        what: `${name}: the running site still listens on ${addressText(held)}`,
        hint: "restart the site",
      }
      : { state: "ok", what: `[${table}] ${addressText(held)}: held by this site` };
  }
  try {
    Deno.listen(wanted).close();
    return { state: "ok", what: `${name}: ${wanted.port === 0 ? "any port" : "free"}` };
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      return {
        state: "failed",
        what: `${name}: another program has the port`,
        hint: `\`ss -ltnp sport = :${wanted.port}\` names it; stop it, or choose another port`,
      };
    }
    if (error instanceof Deno.errors.AddrNotAvailable) {
      return {
        state: "failed",
        what: `${name}: this machine does not have the address`,
        hint: `set listen under [${table}] to 127.0.0.1, to 0.0.0.0, or to an address of its own`,
      };
    }
    return {
      state: "failed",
      what: `${name}: ${messageOf(error)}`,
      hint: "choose an address of this machine and a port that this user may open",
    };
  }
}

function overlap(a: Listen, b: Listen): boolean {
  const everywhere = (hostname: string) => hostname === "0.0.0.0" || hostname === "::";
  return a.port === b.port && a.port !== 0 &&
    (a.hostname === b.hostname || everywhere(a.hostname) || everywhere(b.hostname));
}
