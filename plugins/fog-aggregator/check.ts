/** What `edgeward doctor` asks of a fog: is its code one, and is its cloud there? */
import { createConnection } from "node:net";
import { messageOf } from "../../core/base/errors.ts";
import type { Finding } from "../../core/host/plugin.ts";
import { cloudOf } from "./cloud.ts";
import type { Config } from "./config.ts";

/** Milliseconds until a cloud counts as away. */
const patience = 3_000;
/** Milliseconds that two clocks may differ; the header tells whole seconds. */
const tolerance = 10_000;

const ports: Readonly<Record<string, number>> = { "mqtt:": 1883, "mqtts:": 8883, "ws:": 80 };

/** Sends nothing that would use the code up. @throws CodedError when `code_file` is of no use */
export async function* check(config: Config): AsyncGenerator<Finding> {
  const cloud = cloudOf(config);
  if (cloud === null) return yield { state: "ok", what: "no cloud: summaries stay here" };
  const { site, url, expires } = cloud;
  const isOld = expires < Date.now();
  yield {
    state: "ok",
    what: `code_file: a code of the site "${site}"${
      isOld ? ", expired, which matters only to a fog that has not joined" : ""
    }`,
  };
  try {
    const isWeb = /^https?:/.test(url);
    const behind = isWeb ? await clockBehind(url) : await reach(new URL(url));
    yield { state: "ok", what: `${url} answers` };
    if (behind === null) return;
    const seconds = Math.round(Math.abs(behind) / 1_000);
    yield Math.abs(behind) <= tolerance ? { state: "ok", what: "the clocks agree" } : {
      state: "degraded",
      what: `this clock is ${seconds} s ${behind > 0 ? "behind" : "ahead of"} the cloud's`,
      hint: "synchronise both: windows are filled by the time of the readings",
    };
  } catch (error) {
    yield {
      state: "degraded",
      what: `${url} does not answer: ${messageOf(error)}`,
      hint: "summaries wait here until it does; look at the network, and at cloud and code_file",
    };
  }
}

/** How far this clock is behind the server's, in milliseconds; null when the server does not tell. */
async function clockBehind(url: string): Promise<number | null> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(url, {
    client,
    method: "HEAD",
    redirect: "manual",
    signal: AbortSignal.timeout(patience),
  });
  const date = Date.parse(response.headers.get("date") ?? "");
  return Number.isNaN(date) ? null : date - Date.now();
}

/** Opens a connection and closes it. */
function reach({ hostname, port, protocol }: URL): Promise<null> {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port: Number(port) || (ports[protocol] ?? 443) });
    socket.setTimeout(patience, () => socket.destroy(new Error("it takes too long")));
    socket.once("connect", () => {
      socket.destroy();
      resolve(null);
    });
    socket.once("error", reject);
  });
}
