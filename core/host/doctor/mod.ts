/**
 * The doctor: looks at everything that a site needs, from the data directory to the clock, and says
 * of each what it found and what to do about it. It changes nothing, so it may look at a site while
 * that runs; what only the site itself can know is then asked of the site. One probe that breaks or
 * hangs keeps no other from its finding.
 */
import { CodedError, messageOf } from "../../base/errors.ts";
import type { Finding } from "../plugin.ts";
import { broker } from "./_broker.ts";
import { clock } from "./_clock.ts";
import { dataDir } from "./_data_dir.ts";
import { database } from "./_database.ts";
import { identity } from "./_identity.ts";
import { listeners } from "./_listeners.ts";
import type { Patient, Probe } from "./_probe.ts";
import { peers, site } from "./_running_site.ts";
import { secrets } from "./_secrets.ts";
import { tls } from "./_tls.ts";

export type { Patient };

/** A finding, and the part of the site that it is about. */
export interface Diagnosis extends Finding {
  readonly part: string;
}

const hostProbes: readonly (readonly [string, Probe])[] = [
  ["site", site],
  ["peers", peers],
  ["data_dir", dataDir],
  ["identity", identity],
  ["database", database],
  ["listeners", listeners],
  ["broker", broker],
  ["clock", clock],
  ["secrets", secrets],
  ["tls", tls],
];

/** Milliseconds after which a probe is left behind. */
const usualPatience = 5_000;

/** Runs the host's probes, then each role's own. @param options.patience milliseconds for each */
export async function* examine(
  patient: Patient,
  { patience = usualPatience }: { patience?: number } = {},
): AsyncGenerator<Diagnosis> {
  const ofRoles = patient.config.roles.flatMap(({ plugin, config }): [string, Probe][] =>
    plugin.check === undefined ? [] : [[plugin.name, () => plugin.check!(config)]]
  );
  for (const [part, probe] of [...hostProbes, ...ofRoles]) {
    for await (const finding of bounded(() => probe(patient), patience)) {
      yield { part, ...finding };
    }
  }
}

/** What a probe finds in its time; how it breaks is a finding too. */
async function* bounded(
  probe: () => AsyncIterable<Finding>,
  patience: number,
): AsyncGenerator<Finding> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), patience);
  try {
    const findings = probe()[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([findings.next(), late.promise]);
      if (next === null) {
        // not awaited: it tidies up as soon as what it hangs on lets it go
        findings.return?.().catch(() => {});
        yield { state: "failed", what: `no result within ${patience / 1_000} s` };
        return;
      }
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    const hint = error instanceof CodedError ? error.hint : undefined;
    yield { state: "failed", what: messageOf(error), ...(hint !== undefined && { hint }) };
  } finally {
    clearTimeout(timer);
  }
}
