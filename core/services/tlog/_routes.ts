/**
 * The log over HTTP, below `/log`: checkpoint, tiles and entries as files that caches keep (C2SP
 * tlog-tiles), and what this site is asked as a witness of others (C2SP tlog-witness).
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { NoteError } from "../../trust/log/note.ts";
import { parseTilePath } from "../../trust/log/tile.ts";
import { problem } from "../http/mod.ts";
import type { Tlog } from "./mod.ts";
import { parseSubmission } from "./_witness.ts";

/** Bytes that a submission may have: the standard's 63 hashes and a note with many signatures. */
export const maxSubmission = 64 * 1024;

const text = "text/plain; charset=utf-8";

/**
 * @param open gives the log, which may have to be opened first
 * @param options.guard lets pass who may read entries; null where everybody may
 */
export function tlogRoutes(
  open: () => Promise<Tlog>,
  { guard }: { guard: MiddlewareHandler | null },
): Hono {
  const app = new Hono();
  app.get("/checkpoint", async (c) => {
    const log = await open();
    return checkpoint(c, log.checkpoint());
  });
  app.get("/witnessed", async (c) => {
    const log = await open();
    return checkpoint(c, log.witnessed());
  });
  if (guard !== null) app.use("/tile/entries/*", guard);
  app.get("/tile/*", async (c) => {
    const { pathname } = new URL(c.req.url);
    const tile = parseTilePath(pathname.slice(pathname.indexOf("/tile/") + 1));
    const log = await open();
    const bytes = tile === null ? null : await log.tile(tile);
    if (bytes === null) return nothing();
    // whatever there is of a tile stays as it is
    const isGuarded = tile!.level === "entries" && guard !== null;
    return c.body(bytes.slice().buffer, 200, {
      "content-type": "application/octet-stream",
      "cache-control": `${isGuarded ? "private" : "public"}, max-age=31536000, immutable`,
    });
  });
  app.post("/add-checkpoint", async (c) => {
    const body = await c.req.arrayBuffer();
    if (body.byteLength > maxSubmission) {
      return problem(413, "body_too_large", "The request's body is larger than 64 KiB.");
    }
    const submission = submissionIn(body);
    if (submission === null) {
      return problem(400, "malformed", "The body is no old size, proof and checkpoint.");
    }
    const log = await open();
    const verdict = await log.witness.add(submission);
    switch (verdict.status) {
      case 200:
        return c.body(verdict.signature, 200, { "content-type": text });
      case 409:
        return c.body(`${verdict.size}\n`, 409, { "content-type": "text/x.tlog.size" });
      default:
        return problem(verdict.status, codes[verdict.status], `${sentence(verdict.reason)}.`);
    }
  });
  app.get("/:origin{[0-9a-f]{64}}/checkpoint", async (c) => {
    const log = await open();
    return checkpoint(c, await log.witness.cosigned(c.req.param("origin")));
  });
  return app;
}

const codes = {
  400: "malformed",
  403: "not_signed",
  404: "log_unknown",
  422: "inconsistent",
} as const;

function checkpoint(c: Context, note: string | null): Response {
  if (note === null) return nothing();
  return c.body(note, 200, { "content-type": text, "cache-control": "no-cache" });
}

function nothing(): Response {
  return problem(404, "not_found", "There is nothing at this address.");
}

function submissionIn(body: ArrayBuffer) {
  try {
    return parseSubmission(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof NoteError || error instanceof TypeError) return null;
    throw error;
  }
}

function sentence(reason: string): string {
  return reason.charAt(0).toUpperCase() + reason.slice(1);
}
