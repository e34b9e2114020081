/** Something between a fog and its cloud that speaks HTTP, and cannot be relied on. */

export type ProxyMode =
  /** Hands on, both ways. */
  | "honest"
  /** Says 200 to everything, and hands nothing on. */
  | "pretends"
  /** Hands on, and says 200 without the answer. */
  | "swallows"
  /** Says 503. */
  | "away";

export interface Proxy extends AsyncDisposable {
  readonly url: string;
  mode: ProxyMode;
  /** Where it hands on to. */
  target: string;
  /** Requests that came, by the mode they came in. */
  readonly seen: Record<ProxyMode, number>;
}

export function openProxy(): Proxy {
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const seen = { honest: 0, pretends: 0, swallows: 0, away: 0 };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.arrayBuffer();
    const { mode } = proxy;
    seen[mode]++;
    if (mode === "pretends") return new Response(new Uint8Array(0));
    if (mode === "away") return new Response(null, { status: 503 });
    const { pathname } = new URL(request.url);
    const { method, headers } = request;
    try {
      const answer = await fetch(proxy.target + pathname, {
        ...{ method, headers, client },
        ...(body.byteLength > 0 && { body }),
      });
      const bytes = await answer.arrayBuffer();
      if (mode === "swallows") return new Response(new Uint8Array(0));
      return new Response(bytes.byteLength > 0 ? bytes : null, answer);
    } catch {
      return new Response(null, { status: 502 });
    }
  });
  const proxy: Proxy = {
    url: `http://127.0.0.1:${server.addr.port}`,
    mode: "honest",
    target: "",
    seen,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      client.close();
    },
  };
  return proxy;
}
