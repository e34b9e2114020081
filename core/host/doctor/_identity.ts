/** The site's keys: there, whole, and nobody else's to read. */
import { existsSync, statSync } from "node:fs";
import { nativeSuite } from "../../services/crypto_native.ts";
import { openIdentity } from "../../services/identity.ts";
import { databasePath, identityPath } from "../data_dir.ts";
import type { Finding } from "../plugin.ts";
import type { Patient } from "./_probe.ts";

export async function* identity({ config: { data_dir } }: Patient): AsyncIterable<Finding> {
  const file = identityPath(data_dir);
  if (!existsSync(file)) {
    // whoever may not look into the folder is told so by the probe of the folder
    yield existsSync(databasePath(data_dir))
      ? {
        state: "failed",
        what: "identity.key is gone, and the database is still there",
        hint: "restore the file from a backup: without it every peer must be enrolled again",
      }
      : { state: "ok", what: "identity.key is made by the first start" };
    return;
  }
  // it makes keys only where there is no file
  openIdentity(nativeSuite(), data_dir);
  const mode = statSync(file).mode & 0o777;
  yield (mode & 0o077) === 0 ? { state: "ok", what: "identity.key is whole" } : {
    state: "failed",
    what: `identity.key has mode 0${mode.toString(8)}: the keys are not the site's alone`,
    hint: `chmod 600 ${file}`,
  };
}
