/**
 * People's decisions about peers, over HTTP: who is known, who waits, who is kept out, whether
 * strangers may apply, and approve, revoke, remove, replace, ban, name. Who may call them is the
 * guard's business.
 */
import { type Context, Hono } from "hono";
import { fromBase64url } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { type Access, actorOf, type Guarded } from "../services/access/mod.ts";
import { jsonMembers } from "../services/http/mod.ts";
import type { BanOptions, Recognition } from "../services/peers/mod.ts";
import { isPrintable, longestJoin, longestName, longestReason } from "../services/peers/mod.ts";
import { type Enrolment, enrolmentToJson } from "../wire/enrolment.ts";
import { isPeerKind, type PeerKind } from "../wire/peer.ts";
import type { PeerStatus } from "../wire/peer_status.ts";
import { apiError } from "./_api_error.ts";
import { joinStatus, peerStatuses } from "./_peer_statuses.ts";
import type { SiteServices } from "./_services.ts";

/** Ten years, in milliseconds. */
const longest = 3_652 * 86_400_000;
const usualCode = 86_400_000;
const usualJoin = 300_000;

/**
 * Routes under `/peers`, and `POST /enrol`: viewers look, operators decide, admins make codes.
 * @param require guards a route; where the listener's own access control is enough, it lets all pass
 */
export function peersApi(services: SiteServices, require: Access["require"]): Hono<Guarded> {
  const app = new Hono<Guarded>();
  app.onError(apiError);

  app.post("/enrol", require("admin"), async (c) => {
    const { kind, id, ttl } = await bodyOf(c);
    if (!isPeerKind(kind) || typeof id !== "string") throw badRequest("kind and id");
    const enrolment = await enrol(c, kind, id, { ttl });
    return c.json(enrolmentToJson(enrolment), 201);
  });

  app.get("/peers", require("viewer"), async (c) => {
    const peers = await services.peers();
    return c.json({ peers: await everybody(), join: joinStatus(peers.join()) });
  });

  app.post("/peers/join", require("operator"), async (c) => {
    const { for_ms } = await bodyOf(c);
    const peers = await services.peers();
    const time = milliseconds(for_ms, { name: "for_ms", usual: usualJoin, most: longestJoin });
    return c.json({ join: joinStatus(await peers.openJoin(time, actorOf(c))) });
  });

  app.delete("/peers/join", require("operator"), async (c) => {
    const peers = await services.peers();
    return c.json({ join: joinStatus(await peers.closeJoin(actorOf(c))) });
  });

  app.get("/peers/:kind/:id", require("viewer"), async (c) => {
    const { kind, id } = nameOf(c);
    return c.json({ peers: await allOf(kind, id) });
  });

  app.post("/peers/:kind/:id/approve", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    const body = await bodyOf(c);
    const peers = await services.peers();
    if (body.code === undefined) await peers.approve(kind, id, recognitionOf(body), actorOf(c));
    else await enrol(c, kind, id, { ttl: body.ttl, code: codeOf(body.code) });
    return c.json({ peers: await allOf(kind, id) });
  });

  app.post("/peers/:kind/:id/replace", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    const body = await bodyOf(c);
    const peers = await services.peers();
    if (body.words !== undefined || body.fingerprint !== undefined) {
      await peers.replace(kind, id, recognitionOf(body), actorOf(c));
      return c.json({ peers: await allOf(kind, id) });
    }
    const url = await services.urlFor(kind);
    const options = { url, ttl: codeLifetime(body.ttl) };
    const enrolment = await peers.replaceByCode(kind, id, options, actorOf(c));
    return c.json(enrolmentToJson(enrolment), 201);
  });

  app.post("/peers/:kind/:id/revoke", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    await (await services.peers()).revoke(kind, id, actorOf(c));
    return c.json({ peers: await allOf(kind, id) });
  });

  app.post("/peers/:kind/:id/ban", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    const options = banIn(await bodyOf(c));
    await (await services.peers()).ban(kind, id, options, actorOf(c));
    return c.json({ peers: await allOf(kind, id) });
  });

  app.post("/peers/:kind/:id/unban", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    await (await services.peers()).unban(kind, id, actorOf(c));
    return c.json({ peers: await allOf(kind, id) });
  });

  app.post("/peers/:kind/:id/name", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    const { name } = await bodyOf(c);
    const label = name === null ? null : line(name, { name: "name", most: longestName });
    await (await services.peers()).rename(kind, id, label, actorOf(c));
    return c.json({ peers: await allOf(kind, id) });
  });

  app.delete("/peers/:kind/:id", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    await (await services.peers()).remove(kind, id, actorOf(c));
    return c.json({ peers: await allOf(kind, id) });
  });
  return app;

  async function enrol(
    c: Context<Guarded>,
    kind: PeerKind,
    id: string,
    { ttl, code }: { ttl: unknown; code?: Uint8Array },
  ): Promise<Enrolment> {
    const peers = await services.peers();
    const url = await services.urlFor(kind);
    const options = { url, ttl: codeLifetime(ttl), ...(code !== undefined && { code }) };
    return await peers.enrol(kind, id, options, actorOf(c));
  }

  async function everybody(): Promise<PeerStatus[]> {
    return await peerStatuses(await services.peers(), services.suite);
  }

  async function allOf(kind: PeerKind, id: string): Promise<PeerStatus[]> {
    const all = await everybody();
    return all.filter((peer) => peer.kind === kind && peer.id === id);
  }
}

function nameOf(c: Context): { kind: PeerKind; id: string } {
  const { kind, id } = c.req.param() as { kind: string; id: string };
  if (!isPeerKind(kind)) throw badRequest("a kind of peer in the path");
  return { kind, id };
}

/** The members of the body; none when there is no body. */
async function bodyOf(c: Context): Promise<Readonly<Record<string, unknown>>> {
  const members = await jsonMembers(c);
  if (members === null) throw badRequest("a JSON object");
  return members;
}

function recognitionOf({ words, fingerprint }: Readonly<Record<string, unknown>>): Recognition {
  if (typeof words === "string" && words.length <= 200) return { words };
  if (typeof fingerprint === "string" && fingerprint.length <= 100) return { fingerprint };
  throw badRequest("words, fingerprint or code: by what the device shows");
}

function codeOf(value: unknown): Uint8Array {
  try {
    const code = typeof value === "string" ? fromBase64url(value) : null;
    if (code?.length === 16) return code;
  } catch { /* said below, without quoting the code */ }
  throw badRequest("a code of 16 bytes in base64url");
}

function banIn({ key, for_ms, reason = "" }: Readonly<Record<string, unknown>>): BanOptions {
  const isFingerprint = typeof key === "string" && key.length <= 100;
  if (key !== undefined && typeof key !== "boolean" && !isFingerprint) {
    throw badRequest("key: true, or the fingerprint of the key");
  }
  return {
    reason: line(reason, { name: "reason", most: longestReason }),
    ...(key === true && { key }),
    ...(isFingerprint && { key: { fingerprint: key } }),
    ...(for_ms !== undefined && { lasts: milliseconds(for_ms, { name: "for_ms", most: longest }) }),
  };
}

function line(value: unknown, { name, most }: { name: string; most: number }): string {
  if (typeof value === "string" && isPrintable(value, most)) return value;
  throw badRequest(`${name}: one line of at most ${most} characters that can be seen`);
}

function codeLifetime(value: unknown): number {
  return milliseconds(value, { name: "ttl", usual: usualCode, most: longest });
}

function milliseconds(
  value: unknown,
  { name, usual, most }: { name: string; usual?: number; most: number },
): number {
  const number = value === undefined ? usual : value;
  if (Number.isInteger(number) && number as number > 0 && number as number <= most) {
    return number as number;
  }
  throw badRequest(`${name} in whole milliseconds, at most ${most}`);
}

function badRequest(expected: string): CodedError {
  return new CodedError("bad_request", `Expected ${expected}.`);
}
