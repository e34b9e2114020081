/**
 * Which app answers at which path: exact paths, and prefixes that end in a slash. The most specific
 * door wins. A path is compared as routes see it: dot segments removed, escapes decoded.
 */
import type { Hono } from "hono";
import type { RateClass } from "./_limits.ts";

/** Bounds of one mounted set of routes. */
export interface RouteOptions {
  /** Bytes that a body may have, 1 MiB unless said; its time grows with it. */
  readonly maxBody?: number;
  /** The bucket that requests draw from; "session" for `/<role>/session`, else "open". */
  readonly rate?: RateClass;
}

export interface Door {
  readonly role: string;
  readonly app: Hono;
  readonly maxBody: number;
  readonly rate: RateClass;
}

export interface Doors {
  add(path: string, door: Omit<Door, "maxBody" | "rate">, options?: RouteOptions): void;
  remove(path: string): void;
  /** The door at exactly this path, else the one with the longest prefix of it. */
  at(path: string): Door | undefined;
}

export function doors(options: { maxBody: number }): Doors {
  const all = new Map<string, Door>();
  let longest = 0;
  return {
    add(path, door, { maxBody = options.maxBody, rate } = {}) {
      // where protocols.md §1 has sessions answered
      const usual = path.endsWith("/session") ? "session" : "open";
      all.set(path, { ...door, maxBody, rate: rate ?? usual });
      longest = Math.max(longest, path.length);
    },
    remove: (path) => void all.delete(path),
    at(path) {
      const exact = all.get(path);
      if (exact !== undefined) return exact;
      for (let end = longest; end > 0; end--) {
        end = path.lastIndexOf("/", end);
        const door = all.get(path.slice(0, end + 1));
        if (door !== undefined) return door;
      }
      return undefined;
    },
  };
}

/** The path of a request target in origin or absolute form (RFC 9112 §3.2); null for any other. */
export function pathOf(target: string): string | null {
  const url = target.startsWith("/")
    ? URL.parse(`http://host${target}`)
    : /^https?:\/\//i.test(target)
    ? URL.parse(target)
    : null;
  if (url === null) return null;
  try {
    return decodeURI(url.pathname);
  } catch {
    return url.pathname;
  }
}
