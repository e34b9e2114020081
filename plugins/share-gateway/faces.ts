/**
 * Answers for the devices of the two prototypes, in their own words (protocols.md §5): `POST /authorize`,
 * `POST /event` and `GET /status` of the first, `GET /fragment` of the second. They are off unless the
 * configuration asks for them, they give pieces only, and what they answer nobody on the way can read.
 * The same rules count as in a session, but for what the prototypes do not have: there are no starts, so
 * a copied device is not noticed, and no proof beyond a shared secret.
 */
import { Hono } from "hono";
import { sql } from "drizzle-orm";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { toBase64, toHex, utf8 } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { DatabaseError, type Queries } from "../../core/services/db/mod.ts";
import { originOf, problem } from "../../core/services/http/mod.ts";
import { isBootEvent } from "../../core/wire/boot_event.ts";
import type { Denial } from "../../core/wire/unlock.ts";
import { isFresh, isSignedBy, parseSigned, type Signed } from "./_face_signature.ts";
import type { Denials } from "./denials.ts";
import type { FaceSecrets } from "./face_secrets.ts";
import type { Gate } from "./gate.ts";
import type { Limits } from "./limits.ts";
import { writeReport } from "./mounts.ts";
import type { Ask } from "./release.ts";
import { denialEntry } from "./settle.ts";
import { standingOf } from "./store.ts";
import type { Tidings } from "./tidings.ts";

interface Parts {
  readonly gate: Gate;
  readonly secrets: FaceSecrets;
  readonly limits: Limits;
  readonly denials: Denials;
  readonly tidings: Tidings;
}

type Needs = Pick<Host & Services, "audit" | "clock" | "db" | "log" | "sessions" | "suite">;

/** A "no" on the way; it becomes a problem. */
class FaceError extends CodedError {
  override readonly name = "FaceError";
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    code: string,
    options: { message?: string; headers?: Record<string, string> } = {},
  ) {
    super(code, options.message ?? sentence);
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

const sentence = "The gateway does not give this.";
const malformed = () => new FaceError(400, "malformed", { message: "The request cannot be read." });

/** How long a signature is remembered, in milliseconds: longer than it is fresh, with both ends. */
const seenAge = 120_000;
const noBoot = { counter: 0, id: new Uint8Array(16) };

/** Bytes of a request at the most. */
export const maxFaceBody = 4_096;

/** By the path that each answers at. */
export function faceRoutes(host: Needs, parts: Parts): Readonly<Record<string, Hono>> {
  const { suite, clock, db } = host;
  const { gate, secrets, limits, tidings } = parts;

  const authorize = app().post("/", async (c) => {
    const signed = await authentic(await c.req.text(), { hasEvent: false });
    const { device, mark } = signed;
    const { volume } = secrets.devices.get(device)!;
    const share = await piece({
      ...{ caller: { device, key: null }, volume, mark: { counter: 0, id: mark.slice(0, 16) } },
      claim: (tx) => claim(tx, signed),
    });
    const body = { share: toBase64(share) };
    share.fill(0);
    return c.json(body);
  });

  const event = app().post("/", async (c) => {
    const signed = await authentic(await c.req.text(), { hasEvent: true });
    const { device, event: name, mark: hash } = signed;
    if (!isBootEvent(name)) throw malformed();
    if (limits.take(device, "report") > 0) throw new FaceError(429, "rate");
    const { volume } = secrets.devices.get(device)!;
    const tell = await db.write(async (tx) => {
      await claim(tx, signed);
      const report = { device, event: name, volume, boot: null, hash, isSigned: false };
      return await writeReport(tx, host, report);
    });
    tell?.(tidings);
    return new Response(null, { status: 204 });
  });

  const fragment = app().get("/", async (c) => {
    const [scheme, token = ""] = (c.req.header("authorization") ?? "").split(" ");
    const isRight = timingSafeEqual(suite.sha256(utf8(token)), secrets.tokenHash!);
    if (scheme?.toLowerCase() !== "bearer" || !isRight) {
      await note("nobody", "bad_token");
      throw new FaceError(401, "bad_token", { headers: { "www-authenticate": "Bearer" } });
    }
    const device = secrets.fragmentDevice!;
    await requireUnrevoked(device);
    const { volume } = secrets.devices.get(device)!;
    const mark = { counter: 0, id: suite.randomBytes(16) };
    const share = await piece({ caller: { device, key: null }, volume, mark, isMute: true });
    const body = { fragment: toHex(share) };
    share.fill(0);
    return c.json(body);
  });

  const status = app().get("/", (c) => c.json({ status: "active" }));

  return { "/authorize": authorize, "/event": event, "/fragment": fragment, "/status": status };

  /** Who signed it, when all is in order but whether it has come before. `mark` tells it from others. */
  async function authentic(
    text: string,
    options: { hasEvent: boolean },
  ): Promise<Signed & { device: Id; mark: Uint8Array }> {
    const signed = parseSigned(text, options);
    if (signed === null) throw malformed();
    const device = signed.device as Id;
    const secret = secrets.devices.get(device)?.secret;
    // whoever is unknown is checked as well, so that nobody learns from the time who is known
    const isRight = isSignedBy(suite, secret ?? secrets.nobody, signed);
    if (secret === undefined || secret === null || !isRight) {
      await note(secret == null ? "nobody" : device, "bad_signature");
      throw new FaceError(401, "bad_signature");
    }
    if (!isFresh(signed, clock())) throw new FaceError(401, "stale");
    const mark = suite.sha256(utf8("edgeward/face/1"), utf8(device), signed.signature);
    if (await db.read((q) => wasSeen(q, device, mark))) throw replayed();
    await requireUnrevoked(device);
    return { ...signed, device, mark };
  }

  async function requireUnrevoked(device: Id): Promise<void> {
    if (await host.sessions.standing("unlock", device) !== "revoked") return;
    await note(device, "revoked");
    throw new FaceError(403, "revoked");
  }

  async function claim(
    tx: Queries,
    { device, mark }: { device: Id; mark: Uint8Array },
  ): Promise<void> {
    if (await wasSeen(tx, device, mark)) throw replayed();
    const now = clock();
    await tx.run(sql`DELETE FROM share_gateway_seen WHERE t < ${now - seenAge}`);
    await tx.run(sql`INSERT INTO share_gateway_seen (device, hash, t)
      VALUES (${device}, ${mark}, ${now})`);
  }

  /** The caller wipes it. */
  async function piece(asked: Omit<Ask, "request"> & { volume: Uint8Array }): Promise<Uint8Array> {
    const { caller, volume } = asked;
    const { volume: row } = await db.read((q) => standingOf(q, caller, { volume, now: clock() }));
    // a volume that is not known is denied by the gate, and that is logged
    const scheme = row === null || row.scheme === "voprf" ? "xor" : row.scheme;
    const reply = await gate.unlock({
      ...asked,
      request: {
        ...{ scheme, volume, group: null, epoch: 0, proof: false, seal: false },
        boot: noBoot,
      },
    });
    if (!("denied" in reply)) return reply.answer;
    throw denied(reply);
  }

  /** Counts what never came to the gate. */
  async function note(device: string, reason: string): Promise<void> {
    const denial = parts.denials.note(device, reason);
    if (denial === null) return;
    try {
      await db.write((tx) => host.audit.append(tx, denialEntry(denial)));
    } catch (error) {
      parts.denials.failed(denial);
      host.log.error("a denial could not be logged", { device, reason, error });
      return;
    }
    tidings.denied(denial);
  }
}

/** Answers nobody whose words others could read. */
function app(): Hono {
  const routes = new Hono();
  routes.use(async (c, next) => {
    if (originOf(c)?.isPrivate) return await next();
    return problem(403, "insecure", "This is answered over TLS only.", {
      hint: "set tls_cert_file and tls_key_file in [http], or ask from the same machine",
    });
  });
  routes.onError((error) => {
    if (error instanceof DatabaseError) return problem(503, "unlogged", sentence);
    if (!(error instanceof FaceError)) throw error;
    return problem(error.status, error.code, error.message, { headers: error.headers });
  });
  return routes;
}

function denied({ denied, retry_ms }: Denial): FaceError {
  const seconds = String(Math.max(1, Math.ceil((retry_ms ?? 1_000) / 1_000)));
  const headers: Record<string, string> = retry_ms === undefined ? {} : { "retry-after": seconds };
  const status = denied === "rate" ? 429 : denied === "unlogged" ? 503 : 403;
  return new FaceError(status, denied, { headers });
}

function replayed(): FaceError {
  return new FaceError(409, "replayed", { message: "This request has come before." });
}

async function wasSeen(q: Queries, device: Id, hash: Uint8Array): Promise<boolean> {
  const rows = await q.all(
    sql`SELECT 1 FROM share_gateway_seen WHERE device = ${device} AND hash = ${hash}`,
  );
  return rows.length > 0;
}
