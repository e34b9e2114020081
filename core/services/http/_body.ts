/**
 * Reads a request's body whole, within bounds of size, time and of what all bodies together may hold,
 * before its route runs: a route never waits for a client.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";

export type BodyFault = "body_too_large" | "body_timeout" | "body_cut" | "bodies_full";

/** The bodies in memory. */
export interface BodyStore {
  /** Whether the client may hold so many bytes more; if so, it does. */
  hold(client: string, bytes: number): boolean;
  release(client: string, bytes: number): void;
}

export function bodyStore(options: { most: number; mostOfClient: number }): BodyStore {
  const held = new Map<string, number>();
  let sum = 0;
  return {
    hold(client, bytes) {
      const own = (held.get(client) ?? 0) + bytes;
      if (sum + bytes > options.most || own > options.mostOfClient) return false;
      sum += bytes;
      held.set(client, own);
      return true;
    },
    release(client, bytes) {
      const own = held.get(client)! - bytes;
      sum -= bytes;
      if (own === 0) held.delete(client);
      else held.set(client, own);
    },
  };
}

/** Whether the request's head announces a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** Bounds of a body, and who looks after it. */
interface ReadOptions {
  readonly most: number;
  readonly timeout: number;
  /** Asked before a part is kept. */
  readonly hold: (bytes: number) => boolean;
  /** Takes what is to be called when no more of the body will come. */
  readonly onSpoilt: (spoil: () => void) => void;
}

/** The body, or why there is none: one that is announced too large is not waited for. */
export function readBody(
  incoming: IncomingMessage,
  { most, timeout, hold, onSpoilt }: ReadOptions,
): Promise<Buffer | BodyFault> {
  if (Number(incoming.headers["content-length"] ?? 0) > most) {
    return Promise.resolve("body_too_large");
  }
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => settle("body_timeout"), timeout);
    const onData = (part: Buffer) => {
      size += part.length;
      if (size > most) settle("body_too_large");
      else if (!hold(part.length)) settle("bodies_full");
      else parts.push(part);
    };
    const onEnd = () => settle(parts.length === 1 ? parts[0]! : Buffer.concat(parts, size));
    const onGone = () => settle("body_cut");
    incoming.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
    onSpoilt(onGone);

    function settle(result: Buffer | BodyFault) {
      clearTimeout(timer);
      incoming.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      resolve(result);
    }
  });
}
