/** How a schema of this program says no: a sentence about what it expects, and maybe a next step. */
import { z } from "zod";

/**
 * Refuses the value that a zod `transform` is looking at. Neither sentence may hold the value.
 * A role's own schema gets the same by an issue whose `params` hold a `hint`.
 */
export function refuse(context: z.RefinementCtx, expected: string, hint?: string): never {
  context.addIssue({ code: "custom", message: expected, params: { hint } });
  return z.NEVER;
}
