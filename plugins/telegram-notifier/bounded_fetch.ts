/** Requests to the Bot API, bounded in size and sent once. */

/** Bytes of an answer: a hundred updates, each with a message of 4096 characters. */
const most = 4 * 1024 * 1024;

/**
 * Like `fetch`, with connections of its own, which end with it. It follows no redirect, since the path
 * holds the token, and reads no further than an answer may be long.
 */
export function boundedFetch(real: typeof fetch = fetch): typeof fetch & Disposable {
  const client = Deno.createHttpClient({ poolIdleTimeout: 90_000 });
  const bounded = async (input: Parameters<typeof fetch>[0], init: RequestInit = {}) => {
    const response = await real(input, {
      ...init,
      // the runtime sends text a second time by itself when a connection breaks off, a blob it does not
      ...(typeof init.body === "string" && {
        body: new Blob([init.body], { type: "application/json" }),
      }),
      redirect: "error",
      client,
    } as RequestInit);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      if (size > most) throw new Error(`Cannot take the answer: more than ${most} bytes`);
      parts.push(part);
    }
    return new Response(new Blob(parts), { status: response.status });
  };
  return Object.assign(bounded as typeof fetch, { [Symbol.dispose]: () => client.close() });
}
