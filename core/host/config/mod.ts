/**
 * The configuration of a site: one TOML file, overridden by environment variables, checked against
 * the host's schema and the schemas of the roles that it switches on. What `loadConfig` returns
 * needs no further checks; what it refuses, it refuses with a place in the file and a hint.
 */
export { ConfigError } from "./config_error.ts";
export { configSchema } from "./config_schema.ts";
export { duration } from "./duration.ts";
export { filePath } from "./file_path.ts";
export { type EnabledRole, loadConfig, parseConfig, type SiteConfig } from "./load_config.ts";
export { sampleConfig } from "./sample_config.ts";
export { size } from "./size.ts";
export type { ListenAddress } from "./_addresses.ts";
