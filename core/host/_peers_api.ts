/**
 * People's decisions about peers, over HTTP: who is known, who waits, and approve, revoke, remove,
 * replace. Who may call them is the guard's business.
 */
import { type Context, Hono } from "hono";
import { fromBase64url } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { type Access, actorOf, type Guarded } from "../services/access/mod.ts";
import type { PeerRow, Recognition, Waiting } from "../services/peers/mod.ts";
import { fingerprint } from "../trust/fingerprint.ts";
import { type Enrolment, enrolmentToJson } from "../wire/enrolment.ts";
import { fingerprintText, isPeerKind, type PeerKind } from "../wire/peer.ts";
import type { PeerStanding, PeerStatus } from "../wire/peer_status.ts";

import { apiError } from "./_api_error.ts";
import type { SiteServices } from "./_services.ts";

/** At most ten years, in milliseconds. */
const longestCode = 3_652 * 86_400_000;
const usualCode = 86_400_000;

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

  app.get("/peers", require("viewer"), async (c) => c.json({ peers: await everybody(services) }));

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
    const options = { url, ttl: lifetimeOf(body.ttl) };
    const enrolment = await peers.replaceByCode(kind, id, options, actorOf(c));
    return c.json(enrolmentToJson(enrolment), 201);
  });

  app.post("/peers/:kind/:id/revoke", require("operator"), async (c) => {
    const { kind, id } = nameOf(c);
    await (await services.peers()).revoke(kind, id, actorOf(c));
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
    const options = { url, ttl: lifetimeOf(ttl), ...(code !== undefined && { code }) };
    return await peers.enrol(kind, id, options, actorOf(c));
  }

  async function allOf(kind: PeerKind, id: string): Promise<PeerStatus[]> {
    const all = await everybody(services);
    return all.filter((peer) => peer.kind === kind && peer.id === id);
  }
}

/** Who waits comes first. */
async function everybody(services: SiteServices): Promise<PeerStatus[]> {
  const peers = await services.peers();
  const rows = await peers.list();
  const approved = new Set(rows.flatMap((row) => row.state === "approved" ? [nameText(row)] : []));
  const shown = (key: Uint8Array, curve: "X25519" | "Ed25519") =>
    fingerprintText(fingerprint(services.suite, curve, key));
  return [...peers.waiting().map(ofWaiting), ...rows.map(ofRow)];

  function ofWaiting(one: Waiting): PeerStatus {
    const isTaken = approved.has(nameText({ kind: one.kind, id: one.device }));
    return {
      ...{ kind: one.kind, id: one.device },
      ...nobody,
      state: one.proof === "none" ? "unproven" : isTaken ? "conflict" : "pending",
      fingerprint: shown(one.key, "X25519"),
      words: one.words,
      proof: one.proof,
      first_seen: instant(one.firstSeen),
      last_seen: instant(one.lastSeen),
    };
  }

  function ofRow(row: PeerRow): PeerStatus {
    const { kind, id, state, noiseKey, signKey } = row;
    return {
      ...{ kind, id, ...nobody, state },
      fingerprint: noiseKey === null ? null : shown(noiseKey, "X25519"),
      statement_fingerprint: signKey === null ? null : shown(signKey, "Ed25519"),
      enrolled: instant(row.enrolledAt),
      bound: row.boundAt === null ? null : instant(row.boundAt),
      code_expires: state === "enrolled" ? instant(row.codeExpires) : null,
    };
  }
}

const nobody = {
  state: "enrolled" as PeerStanding,
  ...{ fingerprint: null, statement_fingerprint: null, words: null, proof: null },
  ...{ first_seen: null, last_seen: null, enrolled: null, bound: null, code_expires: null },
};

function nameText({ kind, id }: { kind: PeerKind; id: string }): string {
  return `${kind}/${id}`;
}

function instant(t: number): string {
  return new Date(t).toISOString();
}

function nameOf(c: Context): { kind: PeerKind; id: string } {
  const { kind, id } = c.req.param() as { kind: string; id: string };
  if (!isPeerKind(kind)) throw badRequest("a kind of peer in the path");
  return { kind, id };
}

/** The members of the body; none when there is no body. */
async function bodyOf(c: Context): Promise<Readonly<Record<string, unknown>>> {
  const text = await c.req.text();
  try {
    const body: unknown = text === "" ? {} : JSON.parse(text);
    if (typeof body === "object" && body !== null && !Array.isArray(body)) {
      return body as Record<string, unknown>;
    }
  } catch { /* said below */ }
  throw badRequest("a JSON object");
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

function lifetimeOf(value: unknown = usualCode): number {
  if (Number.isInteger(value) && value as number > 0 && value as number <= longestCode) {
    return value as number;
  }
  throw badRequest("ttl in whole milliseconds");
}

function badRequest(expected: string): CodedError {
  return new CodedError("bad_request", `Expected ${expected}.`);
}
