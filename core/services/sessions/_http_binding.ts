/**
 * Sessions over HTTP: `POST /<role>/session`, one message in, one out, `application/octet-stream`
 * (protocols.md §1). A refusal before authentication says nothing but that it is one.
 */
import { Hono } from "hono";
import { CodedError } from "../../base/errors.ts";
import { responders } from "../../wire/peer.ts";
import { problem, type RoleRouter } from "../http/mod.ts";
import { ChannelError, type Remote, type Transport } from "./_channel.ts";
import type { Responder } from "./_responder.ts";
import type { Purpose } from "../../trust/session/hello.ts";

const octets = "application/octet-stream";

/** @param sharing all responders that share the path of this one; more may come to them later */
export function serveHttp(
  router: RoleRouter,
  { responder, sharing }: { responder: Responder; sharing: readonly Responder[] },
): void {
  const routes = new Hono();
  routes.post("/", async (c) => {
    const frame = new Uint8Array(await c.req.arrayBuffer());
    const concerned = sharing.find((one) => one.concerns(frame)) ?? responder;
    try {
      const reply = await concerned.receive(frame);
      if (reply === null) return new Response(null, { status: 204 });
      return new Response(reply.slice(), { headers: { "content-type": octets } });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      // who may not even apply hears what everybody hears who has to wait
      if (error.code === "pending" || error.code === "not_invited") {
        return new Response(null, { status: 202, headers: { "retry-after": "30" } });
      }
      return problem(403, "session_refused", "The site does not take this message.");
    }
  });
  router.claim(sessionPath(responder.purpose), routes);
}

/** Where sessions of a purpose are answered. */
export function sessionPath(purpose: Purpose): string {
  return `/${responders[purpose]}/session`;
}

/** Carries frames to a site over HTTP(S). */
export function httpTransport(remote: Remote, purpose: Purpose): Transport {
  const url = new URL(sessionPath(purpose), remote.url);
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 8 });
  const closing = new AbortController();
  return {
    async send(frame, receive) {
      let response: Response;
      let body: Uint8Array;
      try {
        response = await fetch(url, {
          method: "POST",
          headers: { "content-type": octets },
          body: frame.slice(),
          client,
          redirect: "error",
          signal: AbortSignal.any([closing.signal, AbortSignal.timeout(20_000)]),
        });
        body = new Uint8Array(await response.arrayBuffer());
      } catch (error) {
        throw unreachable(remote, error);
      }
      if (response.status === 200) return receive(body);
      if (response.status === 403) {
        throw new ChannelError("refused", `Refused by ${named(remote)}`, {
          hint: "is this peer enrolled there, with this key and code? the site's log says why",
        });
      }
      if (response.status === 202) {
        throw new ChannelError("pending", `Not approved yet by ${named(remote)}`, {
          hint: "at the site: `edgeward peers list`, then `edgeward peers approve`",
        });
      }
      if (response.status !== 204) throw unreachable(remote, `status ${response.status}`);
    },
    [Symbol.asyncDispose]() {
      closing.abort();
      client.close();
      return Promise.resolve();
    },
  };
}

function unreachable(remote: Remote, cause: unknown): ChannelError {
  const { origin } = new URL(remote.url);
  return new ChannelError("unreachable", `Cannot reach ${named(remote)} at ${origin}`, {
    hint: "is it running, and is the address right?",
    cause,
  });
}

function named({ site }: Remote): string {
  return site === "" ? "the site" : `the site "${site}"`;
}
