/**
 * A log behind an address, or behind the unix socket of the site on this machine. A server may be slow,
 * endless, or ask to come back later: all of that has an end. A token is only ever sent to the address
 * that was named, and to another machine only encrypted.
 */
import { CodedError, messageOf } from "../../core/base/errors.ts";
import type { Secret } from "../../core/base/secret.ts";
import { socketPath } from "../../core/host/data_dir.ts";
import { type LogSource, readBounded, tooLarge } from "./source.ts";

/** Milliseconds for one file. */
const patience = 60_000;
/** How often a server may say that we come too fast, for one file. */
const maxDelays = 20;
/** Seconds that we wait at the most when it does. */
const maxDelay = 30;

interface HttpOptions {
  /** Shown for entries that are not public. */
  readonly token?: Secret<string>;
  /** Real time unless given. */
  readonly pause?: (milliseconds: number) => Promise<void>;
}

/** @throws CodedError "usage" when a token would go over the network in the clear */
export function httpSource(address: string, options: HttpOptions = {}): LogSource {
  const { token } = options;
  const url = new URL(address);
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (token !== undefined && url.protocol !== "https:" && !isLocal) {
    throw new CodedError("usage", "Cannot send the token: everyone on the way could read it", {
      hint: "name an address with https, or check hashes only: --no-entries",
    });
  }
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 8 });
  const prefix = url.href.replace(/\/+$/, "");
  return sourceOf({ name: prefix, prefix, client, ...options });
}

/** The log of the site that runs with this data directory. */
export function siteSource(dataDir: string): LogSource {
  const path = socketPath(dataDir);
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  return sourceOf({ name: "the site", prefix: "http://edgeward/log", client });
}

function sourceOf(
  { name, prefix, client, token, pause = realPause }: HttpOptions & {
    name: string;
    prefix: string;
    client: Deno.HttpClient;
  },
): LogSource {
  const headers: HeadersInit = token === undefined
    ? {}
    : { authorization: `Bearer ${token.reveal()}` };
  return {
    name,
    async read(path, maxBytes) {
      for (let delays = 0;; delays++) {
        const signal = AbortSignal.timeout(patience);
        try {
          // a redirect could lead the token elsewhere
          const options = { client, headers, signal, redirect: "manual" } as const;
          const response = await fetch(`${prefix}/${path}`, options);
          if (response.ok) {
            const body = response.body ?? new Blob([]).stream();
            const bytes = await readBounded(body, maxBytes);
            if (bytes === null) throw tooLarge(path, maxBytes);
            return bytes;
          }
          await response.body?.cancel();
          if (response.status === 404 || response.status === 410) return null;
          if (response.status !== 429 || delays === maxDelays) throw refusal(response, path);
          const seconds = Number(response.headers.get("retry-after") ?? 1) || 1;
          await pause(Math.min(Math.max(seconds, 1), maxDelay) * 1_000);
        } catch (error) {
          throw error instanceof CodedError ? error : unreachable(name, error);
        }
      }
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function realPause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function refusal({ status }: Response, path: string): CodedError {
  if (status === 401 || status === 403) {
    return new CodedError("not_allowed", `Cannot read ${path}: the log asks for a token`, {
      hint: "EDGEWARD_TOKEN or --token-file, role viewer; --no-entries checks hashes only",
    });
  }
  return new CodedError("no_answer", `Cannot read ${path}: the server answered ${status}`, {
    hint: "name the address of the log itself, such as https://fog-1.example/log",
  });
}

function unreachable(name: string, cause: unknown): CodedError {
  const isLate = cause instanceof DOMException && cause.name === "TimeoutError";
  const why = isLate ? "it takes too long to answer" : messageOf(cause);
  return new CodedError("unreachable", `Cannot reach ${name}: ${why}`, {
    hint: "is it the address of a log, and does the site run?",
    cause,
  });
}
