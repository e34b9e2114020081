/**
 * The gateway over HTTP, for the console and for programs: viewers look, operators call devices, admins
 * set psks and permissions. Everything that changes something is in the site's history with it.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { fromBase64url, toBase64url } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { type Id, isId } from "../../core/base/id.ts";
import { Secret } from "../../core/base/secret.ts";
import { actorOf, type ApiRole, type Guarded } from "../../core/services/access/mod.ts";
import type { SiteAudit } from "../../core/services/audit.ts";
import { type Database, DatabaseError, type Queries } from "../../core/services/db/mod.ts";
import { jsonMembers, problem } from "../../core/services/http/mod.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { RpcError, type RpcRequest } from "../../core/wire/json_rpc.ts";
import type { Directory } from "./directory.ts";
import { type ListQuery, placeOf, type Sort, sorts } from "./device_list.ts";
import { type State, states } from "./devices.ts";
import type { Emit } from "./events.ts";
import type { LegacyGateway } from "./legacy.ts";
import type { LegacyStore } from "./legacy_store.ts";
import type { CallDevice } from "./operate.ts";
import { isMethod, isPattern, patternLimit } from "./permissions.ts";
import { RpcRefusal } from "./refusal.ts";
import type { Registry } from "./registry.ts";
import { writeAllow } from "./store.ts";

export interface RouteParts {
  readonly suite: Suite;
  readonly db: Database;
  readonly audit: SiteAudit;
  readonly emit: Emit;
  readonly registry: Pick<Registry, "find" | "flush" | "isPinned" | "setAllow">;
  readonly directory: Pick<Directory, "page" | "device">;
  readonly callDevice: CallDevice;
  /** Null where v1 is not spoken. */
  readonly v1: {
    readonly store: Pick<LegacyStore, "putPsk" | "forget" | "has">;
    readonly gateway: Pick<LegacyGateway, "renew">;
  } | null;
  readonly status: () => Promise<Readonly<Record<string, unknown>>>;
  /** The number of the feed's last message: what a list does not show, the feed tells behind it. */
  readonly seq: () => number;
}

const pageLimit = 500;
const usualPage = 50;
/** Milliseconds that a call may take. */
const longestCall = 60_000;
const usualCall = 10_000;

/** @param require guards a route */
export function gatewayRoutes(
  parts: RouteParts,
  require: (role: ApiRole) => MiddlewareHandler<Guarded>,
): Hono {
  const { suite, db, audit, emit, registry, directory, v1 } = parts;
  const app = new Hono<Guarded>();
  app.onError(shownError);

  app.get("/status", require("viewer"), async (c) => c.json(await parts.status()));

  app.get("/devices", require("viewer"), async (c) => {
    const seq = parts.seq();
    return c.json({ seq, ...await directory.page(queryOf(c)) });
  });

  app.get("/devices/:id", require("viewer"), async (c) => {
    const seq = parts.seq();
    const device = await directory.device(idOf(c));
    if (device === null) throw unknown();
    return c.json({ seq, ...device });
  });

  app.post("/devices/:id/call", require("operator"), async (c) => {
    const device = idOf(c);
    const { method, params, once, within_ms: within = usualCall } = await bodyOf(c);
    if (!isMethod(method)) throw badRequest("method, the name of one");
    if (params !== undefined && (typeof params !== "object" || params === null)) {
      throw badRequest("params, an object or an array");
    }
    if (once !== undefined && !(typeof once === "string" && /^[0-9a-f]{32}$/.test(once))) {
      throw badRequest("once, 32 hexadecimal digits");
    }
    const isTime = Number.isInteger(within) && within as number > 0 &&
      within as number <= longestCall;
    if (!isTime) throw badRequest(`within_ms, from 1 to ${longestCall}`);
    return c.json(
      await parts.callDevice({
        ...{ device, method, within: within as number, actor: actorOf(c) },
        ...(params !== undefined && { params: params as NonNullable<RpcRequest["params"]> }),
        ...(once !== undefined && { once }),
      }),
    );
  });

  app.put("/devices/:id/permissions", require("admin"), async (c) => {
    const id = idOf(c);
    const { allow } = await bodyOf(c);
    const isList = Array.isArray(allow) && allow.length <= patternLimit && allow.every(isPattern);
    if (allow !== null && !isList) {
      throw badRequest(`allow, at most ${patternLimit} of "time", "relay.*" and "*", or null`);
    }
    const patterns = allow as readonly string[] | null;
    if (registry.find(id) === undefined) throw unknown();
    await registry.flush(); // the row may be newer than what is on disk
    await db.write(async (tx) => {
      if (!await writeAllow(tx, id, patterns)) throw unknown();
      const entry = { type: "policy.changed", actor: actorOf(c), subject: id };
      await audit.append(tx, { ...entry, detail: { allow: patterns } });
    });
    registry.setAllow(id, patterns);
    emit("policy.changed", id, { allow: patterns });
    return c.json({ id, allow: patterns });
  });

  app.put("/devices/:id/psk", require("admin"), async (c) => {
    const id = idOf(c);
    const { store, gateway } = v1Of();
    if (registry.isPinned(id, null)) {
      throw new RpcRefusal("device_pinned", `The device "${id}" speaks v2: it needs no psk`);
    }
    const { psk: given } = await bodyOf(c);
    const psk = new Secret(given === undefined ? suite.randomBytes(16) : pskOf(given));
    try {
      const entry = { type: "device.psk_set", actor: actorOf(c), subject: id };
      await gateway.renew(id, () => store.putPsk(id, psk, (tx) => audit.append(tx, entry)));
      const shown = given === undefined ? { psk: toBase64url(psk.reveal()) } : {};
      return c.json({ id, ...shown }, 200, { "cache-control": "no-store" });
    } finally {
      psk.wipe();
    }
  });

  app.delete("/devices/:id/psk", require("admin"), async (c) => {
    const id = idOf(c);
    const { store, gateway } = v1Of();
    if (!store.has(id)) throw unknown();
    const entry = { type: "device.psk_removed", actor: actorOf(c), subject: id };
    const record = (tx: Queries) => audit.append(tx, entry);
    await gateway.renew(id, () => store.forget(id, { psk: true }, record));
    return c.json({ id });
  });

  return new Hono().route("/", app);

  function v1Of() {
    if (v1 !== null) return v1;
    throw new RpcRefusal("v1_off", "Profile v1 is not spoken here", {
      hint: 'set profiles = ["v2", "v1"] in [plugins.mqtt-auth-gateway]',
    });
  }
}

function shownError(error: unknown): Response {
  if (!(error instanceof CodedError)) throw error;
  const status = error instanceof DatabaseError
    ? 503
    : error instanceof RpcError
    ? 400
    : statuses[error.code] ?? 400;
  return problem(status, error.code, error.message, {
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}

const statuses: Readonly<Record<string, number>> = {
  device_unknown: 404,
  not_connected: 409,
  device_pinned: 409,
  v1_off: 409,
  once_unsupported: 409,
  too_many_psks: 409,
  rate_limited: 429,
  outcome_unknown: 502,
  no_answer: 504,
};

function queryOf(c: Context): ListQuery {
  const { search = "", state, sort = "id", after, limit = `${usualPage}` } = c.req.query();
  const wanted = state === undefined ? null : new Set(state.split(",") as State[]);
  if (search.length > 100) throw badQuery("search has at most 100 characters");
  if (wanted !== null && ![...wanted].every((one) => states.includes(one))) {
    throw badQuery(`state is one or more of ${states.join(",")}`);
  }
  const [, minus, by] = /^(-?)(\w+)$/.exec(sort) ?? [];
  if (!(sorts as readonly unknown[]).includes(by)) {
    throw badQuery(`sort is one of ${sorts.join(", ")}, with a hyphen before it to turn it round`);
  }
  const count = /^\d{1,3}$/.test(limit) ? Number(limit) : 0;
  if (count < 1 || count > pageLimit) throw badQuery(`limit is a number from 1 to ${pageLimit}`);
  const place = after === undefined ? null : placeOf(after);
  if (after !== undefined && place === null) {
    throw badQuery("after is what the page before gave as next");
  }
  return {
    ...{ search, states: wanted, sort: by as Sort, descending: minus === "-" },
    ...{ limit: count, after: place },
  };
}

function idOf(c: Context): Id {
  const id = c.req.param("id");
  if (!isId(id)) throw badRequest("the id of a device in the path");
  return id;
}

/** The members of the body; none when there is no body. */
async function bodyOf(c: Context): Promise<Readonly<Record<string, unknown>>> {
  const members = await jsonMembers(c);
  if (members === null) throw badRequest("a JSON object");
  return members;
}

/** A generated psk, as a device of v1 is given it: a chosen one could be guessed from one connect. */
function pskOf(value: unknown): Uint8Array {
  try {
    const psk = typeof value === "string" && value.length === 22 ? fromBase64url(value) : null;
    if (psk?.length === 16) return psk;
  } catch { /* said below, without quoting it */ }
  throw new RpcRefusal("weak_psk", "Cannot take the psk: it is not a generated one", {
    hint: "give none, and one is made and shown; or 16 random bytes in base64url, 22 characters",
  });
}

function unknown(): RpcRefusal {
  return new RpcRefusal("device_unknown", "There is no device of this id", {
    hint: "GET /mqtt-auth-gateway/devices lists them",
  });
}

function badRequest(expected: string): RpcRefusal {
  return new RpcRefusal("bad_request", `Expected ${expected}.`);
}

function badQuery(detail: string): RpcRefusal {
  return new RpcRefusal("bad_query", `Cannot read the query: ${detail}.`);
}
