/** Who may administer the site over HTTP: tokens, their roles, and the guard that asks for them. */
export { type Access, actorOf, type Guarded, openAccess, operatorEnv } from "./_guard.ts";
export {
  type ApiRole,
  apiRoles,
  isApiRole,
  openTokens,
  type Principal,
  TokenError,
  tokenMigrations,
  type TokenRow,
  type Tokens,
} from "./_tokens.ts";
