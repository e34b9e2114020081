/** The body of an administrative request: a JSON object, or nothing at all. */
import type { Context } from "hono";

/** Its members, none when there is no body; null when it is anything else than an object. */
export async function jsonMembers(
  c: Context,
): Promise<Readonly<Record<string, unknown>> | null> {
  const text = await c.req.text();
  try {
    const body: unknown = text === "" ? {} : JSON.parse(text);
    const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
    return isObject ? body as Record<string, unknown> : null;
  } catch {
    return null;
  }
}
