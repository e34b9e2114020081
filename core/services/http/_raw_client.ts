/** A client for tests that says what it likes, when it likes, on a socket of its own. */
import { connect, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { pause } from "../pause.ts";

/** Text or bytes to send, or milliseconds to wait before what comes next. */
export type Part = string | Uint8Array | number;

export interface Answer {
  /** All that came. */
  readonly text: string;
  /** The status of the first response; 0 if there was none. */
  readonly status: number;
  /** Of all responses. */
  readonly statuses: readonly number[];
  /** Of a problem. */
  readonly code: string | undefined;
}

interface Options {
  readonly port: number;
  /** Over TLS, without looking at the certificate. */
  readonly tls?: ConnectionOptions;
  /** Closes its own side after the last part. */
  readonly half?: boolean;
}

/** Sends the parts, and gives what has come by the time the other side has closed. */
export function say(parts: readonly Part[], options: Options): Promise<Answer> {
  return new Promise((resolve) => {
    let text = "";
    const gone = new AbortController();
    const socket = open(options, async () => {
      for (const part of parts) {
        if (typeof part === "number") await pause(part, gone.signal);
        else if (socket.writable) socket.write(part);
      }
      if (options.half) socket.end();
    });
    socket.on("data", (data) => text += data.toString("latin1"));
    socket.on("end", () => socket.destroy());
    // what was sent in vain is reset
    socket.on("error", () => {});
    socket.on("close", () => {
      gone.abort();
      resolve(answer(text));
    });
  });
}

/** A head without its end. */
export function head(line: string, ...fields: string[]): string {
  return [`${line} HTTP/1.1`, "Host: a", ...fields, ""].join("\r\n");
}

function open({ port, tls, half }: Options, onConnect: () => void): Socket {
  const to = { port, host: "127.0.0.1" };
  if (tls === undefined) return connect({ ...to, allowHalfOpen: half === true }, onConnect);
  return connectTls({ ...to, rejectUnauthorized: false, ...tls }, onConnect);
}

function answer(text: string): Answer {
  const statuses = [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map((match) => Number(match[1]));
  const code = /"code":"(\w+)"/.exec(text)?.[1];
  return { text, statuses, status: statuses[0] ?? 0, code };
}
