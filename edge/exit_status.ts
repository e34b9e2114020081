/**
 * From an error to an exit status (0 done, 1 it failed, 2 usage or configuration, 3 refused by policy,
 * 4 unreachable) and to the two lines on standard error that say what and what next.
 */
import { CommanderError } from "commander";
import { CodedError, messageOf } from "../core/base/errors.ts";
import { ConfigError } from "../core/host/config/mod.ts";
import { warnLine } from "./terminal.ts";

const usage = new Set([
  "usage",
  "bad_request",
  "bad_note",
  "id_invalid",
  "code_missing",
  "cloud_key_differs",
  "secret_unreadable",
  "household_unreadable",
  "household_malformed",
  "enrolment_malformed",
  "data_dir_unwritable",
  "identity_unreadable",
  "db_damaged",
  "db_read_only",
  "mqtt_url",
  "role_off",
]);
const refused = new Set([
  "refused",
  "revoked",
  "not_allowed",
  "token_unknown",
  "peer_exists",
  "peer_unknown",
  "peer_bound",
  "peer_revoked",
  "applicant_unknown",
  "applicant_unproven",
  "peer_banned",
  "ban_unknown",
  "bans_full",
  "key_unknown",
  "key_ambiguous",
  "words_differ",
  "words_expired",
  "request_unknown",
  "request_decided",
  "device_unknown",
  "volume_unknown",
]);
const unreachable = new Set([
  "unreachable",
  "no_answer",
  "port_busy",
  "port_unusable",
  "listen_failed",
  "data_dir_busy",
  "not_running",
]);

/** Prints what went wrong and gives the exit status. Commander prints its own complaints. */
export function reportError(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (error.code !== "commander.help") warnLine("hint: `edgeward --help` lists the commands");
    return 2;
  }
  const more = error instanceof ConfigError && error.more > 0 ? ` (and ${error.more} more)` : "";
  warnLine(`error: ${messageOf(error)}${more}`);
  if (!(error instanceof CodedError)) return 1;
  if (error.hint !== undefined) warnLine(`hint: ${error.hint}`);
  if (error instanceof ConfigError || usage.has(error.code)) return 2;
  if (refused.has(error.code)) return 3;
  return unreachable.has(error.code) ? 4 : 1;
}
