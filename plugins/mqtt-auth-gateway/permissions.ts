/**
 * Which methods a device may call. A pattern is a method's name, all below a name ("relay.*"), or all
 * ("*"); what no pattern of a device matches is not for it.
 */

/** What a method may be called: no broker, log line or signature treats such a name specially. */
const method = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?$/;

/** Patterns that one device may have. */
export const patternLimit = 64;

/** Whether it can be a method's name; "rpc." belongs to JSON-RPC itself (JSON-RPC 2.0 §4.3). */
export function isMethod(text: unknown): text is string {
  return typeof text === "string" && method.test(text) && !text.startsWith("rpc.");
}

export function isPattern(text: unknown): text is string {
  if (typeof text !== "string") return false;
  return text === "*" || isMethod(text.endsWith(".*") ? text.slice(0, -2) : text);
}

/** Whether a pattern means a method. */
export function matches(pattern: string, method: string): boolean {
  if (pattern === "*" || pattern === method) return true;
  return pattern.endsWith(".*") && method.startsWith(pattern.slice(0, -1));
}

/** Whether any of the patterns means the method. */
export function isAllowed(method: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matches(pattern, method));
}
