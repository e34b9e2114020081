/**
 * Writes a route's response. A body that is there at once goes with its length; any other is sent as
 * it comes, and no faster than it is read. One that fails is cut off: why is not the client's business.
 */
import type { ServerResponse } from "node:http";

/** Resolves once all is handed over. @throws what the body threw; nothing is sent if it had no part */
export async function respond(response: Response, outgoing: ServerResponse): Promise<void> {
  const { status, body } = response;
  const headers: Record<string, string | string[]> = Object.fromEntries(response.headers);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  // how a body is framed is decided here
  delete headers["transfer-encoding"];
  if (body === null) return void outgoing.writeHead(status, headers).end();

  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  outgoing.once("close", stop);
  try {
    const first = await reader.read();
    const second = first.done ? Promise.resolve(first) : reader.read();
    if (first.done || (await Promise.race([second, soon()]))?.done) {
      const whole = first.value ?? new Uint8Array();
      headers["content-length"] = String(whole.length);
      return void outgoing.writeHead(status, headers).end(whole);
    }
    outgoing.writeHead(status, headers).write(first.value);
    for (let part = await second; !part.done; part = await reader.read()) {
      if (!outgoing.write(part.value)) await drained(outgoing);
    }
    outgoing.end();
  } catch (error) {
    if (outgoing.headersSent) outgoing.destroy(new Error("The body failed"));
    throw error;
  } finally {
    outgoing.off("close", stop);
  }
}

/** Resolves before anything that has to wait does. */
async function soon(): Promise<undefined> {
  for (let i = 0; i < 3; i++) await undefined;
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done).off("close", done);
      resolve();
    };
    outgoing.on("drain", done).on("close", done);
    if (outgoing.destroyed) done();
  });
}
