/**
 * Checks a whole log against what the auditor knows from elsewhere: keys of the log and its witnesses,
 * checkpoints that were seen earlier. Whatever is not checked is said as loudly as what is wrong.
 */
import type { Suite } from "../../core/trust/crypto.ts";
import { FindingError, type Found } from "./finding.ts";
import type { FolderCopy } from "./folder_copy.ts";
import { instantOf } from "./shown.ts";
import {
  checkCheckpoint,
  checkSignature,
  cosignaturesOn,
  openCheckpoint,
  type Trust,
} from "./signatures.ts";
import type { SignedCheckpoint } from "./signatures.ts";
import { type LogSource, maxCheckpoint, readCheckpoint, textOf } from "./source.ts";
import { walk, type Walked } from "./walk.ts";

export interface VerifyOptions {
  readonly suite: Suite;
  readonly source: LogSource;
  readonly trust: Trust;
  readonly withEntries: boolean;
  /** An earlier checkpoint of this log, a note, and what messages call it. */
  readonly since: { readonly note: string; readonly path: string } | null;
  readonly copy: FolderCopy | null;
  readonly found: Found;
  /** Hears how many entries of how many are behind us. */
  readonly progress: (entries: number, size: number) => void;
}

/** @throws FindingError for the first thing that is wrong; CodedError when the log cannot be read */
export async function verifyLog(options: VerifyOptions): Promise<void> {
  const { suite, source, trust, withEntries, copy, found, progress } = options;
  const { checkpoint, path } = await checkpointOf(options);
  checkCheckpoint(suite, checkpoint, { trust, path, found });
  const since = earlierOnes(options, { latest: checkpoint, path });
  const walked = await walk({
    ...{ suite, source, checkpoint, path, withEntries, since },
    keep: async (tile, bytes) => await copy?.keep(tile, bytes),
    progress: (entries) => progress(entries, checkpoint.size),
  });
  tellWalked(walked, { checkpoint, withEntries, found });
  for (const { path, size } of since) {
    found({
      part: "since",
      state: "ok",
      what: `the log begins with the ${size} entries of ${path}`,
      facts: { since: since.map(({ path, size }) => ({ path, size })) },
    });
  }
  if (copy !== null) {
    await copy.finish(checkpoint);
    const saved = copy.folder;
    found({ part: "saved", state: "ok", what: `in ${saved}`, facts: { saved } });
  }
  requireKey(trust);
}

/**
 * The latest checkpoint; where the witnesses are not done with it, the latest that they are done with,
 * which sites serve beside it.
 */
async function checkpointOf({ suite, source, trust, found }: VerifyOptions) {
  const path = "checkpoint";
  const latest = openCheckpoint(await readCheckpoint(source), path);
  const cosignatures = cosignaturesOn(suite, latest, { trust, path });
  const missing = cosignatures.filter(({ time }) => time === null).length;
  if (cosignatures.length - missing >= trust.quorum) return { checkpoint: latest, path };
  const bytes = await source.read("witnessed", maxCheckpoint);
  if (bytes === null) return { checkpoint: latest, path };
  checkSignature(suite, latest, { trust, path });
  const witnessed = openCheckpoint(textOf(bytes, "witnessed"), "witnessed");
  found({
    part: "latest",
    state: "degraded",
    what: `${latest.size} entries: its witnesses have not cosigned it yet, and it is NOT CHECKED`,
    facts: { latest: latest.size },
  });
  return { checkpoint: witnessed, path: "witnessed" };
}

/** @throws FindingError "key_missing" when nobody can be held to what was checked */
export function requireKey({ key }: Trust): void {
  if (key !== null) return;
  throw new FindingError(
    "key_missing",
    "Cannot say whose log it is: without --key anybody's passes",
    {
      hint:
        "`edgeward audit witness` at the site prints its key: take it from there, not from the log",
    },
  );
}

/** What the log must have grown from, the smallest first. @throws FindingError */
function earlierOnes(
  { suite, trust, since, copy }: VerifyOptions,
  { latest, path: latestPath }: { latest: SignedCheckpoint; path: string },
) {
  const earlier: { path: string; checkpoint: SignedCheckpoint }[] = [];
  if (since !== null) {
    const { note, path } = since;
    earlier.push({ path, checkpoint: openCheckpoint(note, path) });
  }
  if (copy?.earlier) earlier.push({ path: `the copy in ${copy.folder}`, checkpoint: copy.earlier });
  for (const { path, checkpoint } of earlier) {
    if (checkpoint.origin !== latest.origin) {
      throw new FindingError(
        "log_other",
        `Cannot compare with ${path}: it is of ${checkpoint.origin}, the log is ${latest.origin}`,
        { hint: "where only the last number differs, the site has begun another log: ask it why" },
      );
    }
    checkSignature(suite, checkpoint, { trust, path });
    if (checkpoint.size <= latest.size) continue;
    throw new FindingError(
      "log_wrong",
      `Cannot accept ${latestPath}: it has ${latest.size} entries, ${path} had ${checkpoint.size}`,
      {
        where: latestPath,
        hint: "this is an older state of the log, or entries were taken away",
      },
    );
  }
  return earlier
    .map(({ path, checkpoint: { size, root } }) => ({ path, size, root }))
    .sort((a, b) => a.size - b.size);
}

function tellWalked(
  { tiles, levels, bundles, first, last }: Walked,
  { checkpoint: { size }, withEntries, found }: {
    checkpoint: SignedCheckpoint;
    withEntries: boolean;
    found: Found;
  },
): void {
  const [from, to] = [first, last].map((t) => t === null ? null : instantOf(t));
  const span = from === null ? "" : `, ${from} to ${to}`;
  found({
    part: "entries",
    ...(withEntries ? { state: "ok", what: `${size} in ${bundles} bundles${span}` } : {
      state: "degraded",
      what: "NOT READ: their hashes are part of the log, no more is known",
    }),
    facts: { entries: withEntries ? { count: size, first: from, last: to } : null },
  });
  const what = `${tiles} on ${levels} levels, each hash that of what is below it`;
  found({ part: "tiles", state: "ok", what, facts: { tiles } });
  found({
    part: "root",
    state: "ok",
    what: `computed from ${
      withEntries ? "the entries" : "the tiles"
    }, the same as in the checkpoint`,
    facts: {},
  });
}
