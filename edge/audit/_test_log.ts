/** Logs for the tests of this folder: the files of one in memory, made with the rules alone. */
import { concat, utf8 } from "../../core/base/bytes.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { formatCheckpoint } from "../../core/trust/log/checkpoint.ts";
import { cosign } from "../../core/trust/log/cosignature.ts";
import { GrowingTree, type Hash, leafHash } from "../../core/trust/log/merkle.ts";
import {
  formatNote,
  type NoteKey,
  noteKey,
  NoteKind,
  type NoteSignature,
  signText,
} from "../../core/trust/log/note.ts";
import { encodeBundle, placeOf, tilePath, tileWidth } from "../../core/trust/log/tile.ts";
import { encodeLogEntry } from "../../core/wire/log_entry.ts";
import type { Check } from "./finding.ts";
import type { Trust } from "./signatures.ts";
import type { LogSource } from "./source.ts";
import { verifyLog, type VerifyOptions } from "./verify.ts";

export const suite = nativeSuite();
export const origin = "edgeward/fog-1/00c0ffee/1";

/** A key that signs. */
interface Pen {
  readonly key: NoteKey;
  sign(message: Uint8Array): Uint8Array;
}

export const logPen = penOf(origin, NoteKind.ed25519);
export const witnessPens = ["fog-2", "fog-3"]
  .map((site) => penOf(`edgeward/${site}/witness`, NoteKind.cosignature));
export const trust: Trust = {
  key: logPen.key,
  witnesses: witnessPens.map(({ key }) => key),
  quorum: 2,
};

/** When the witnesses cosign: Unix seconds. */
export const cosignedAt = 1_800_000_000;

export function penOf(name: string, kind: NoteKind): Pen {
  const { publicKey, sign } = suite.ed25519.signer();
  return { key: noteKey(suite, { name, kind, publicKey }), sign };
}

/** The bytes of an entry; `salt` makes it another one. */
export function entryOf(index: number, salt = ""): Uint8Array {
  return encodeLogEntry({
    t: 1_700_000_000_000 + index,
    role: "core",
    type: "test.done",
    actor: "site",
    subject: `s-${index}${salt}`,
    detail: JSON.stringify({ index }),
    statement: index % 2 === 0 ? null : suite.sha256(utf8(`statement ${index}`)),
  });
}

export type Files = Map<string, Uint8Array>;

/** Every file of a log with these entries. */
export function filesOf(entries: readonly Uint8Array[]): Files {
  const files: Files = new Map();
  const tiles = new Map<string, { level: number; index: number; hashes: Hash[] }>();
  const tree = new GrowingTree(suite);
  for (const entry of entries) {
    for (const node of tree.append(leafHash(suite, entry))) {
      if (node.level % 8 !== 0) continue;
      const { tile: { level, index } } = placeOf(node);
      const tile = tiles.get(`${level}/${index}`) ?? { level, index, hashes: [] };
      tile.hashes.push(node.hash);
      tiles.set(`${level}/${index}`, tile);
    }
  }
  for (const { hashes, ...tile } of tiles.values()) {
    files.set(tilePath({ ...tile, width: hashes.length }), concat(...hashes));
  }
  for (let from = 0; from < entries.length; from += tileWidth) {
    const bundle = entries.slice(from, from + tileWidth);
    const tile = { level: "entries", index: from / tileWidth, width: bundle.length } as const;
    files.set(tilePath(tile), encodeBundle(bundle));
  }
  return files.set("checkpoint", utf8(noteOf({ size: entries.length, root: tree.root })));
}

/** A checkpoint, signed by the log and cosigned by the witnesses unless said otherwise. */
export function noteOf(
  { size, root, name = origin, signatures }: {
    size: number;
    root: Hash;
    name?: string;
    signatures?: (text: string) => NoteSignature[];
  },
): string {
  const text = formatCheckpoint({ origin: name, size, root });
  const usual = () => [
    signText(text, logPen),
    ...witnessPens.map((pen) => cosign(text, { ...pen, time: cosignedAt })),
  ];
  return formatNote({ text, signatures: signatures?.(text) ?? usual() });
}

export function logOf(size: number): Files {
  return filesOf(Array.from({ length: size }, (_, i) => entryOf(i)));
}

export function rootOf(entries: readonly Uint8Array[]): Hash {
  const tree = new GrowingTree(suite);
  for (const entry of entries) tree.append(leafHash(suite, entry));
  return tree.root;
}

export function sourceOf(files: Files): LogSource {
  return {
    name: "memory",
    read: (path) => Promise.resolve(files.get(path) ?? null),
    [Symbol.dispose]() {},
  };
}

/** Verifies a log of files and gives what was found, member by member. */
export async function audit(
  files: Files,
  options: Partial<VerifyOptions> = {},
): Promise<Record<string, unknown> & { checks: Check[] }> {
  const checks: Check[] = [];
  await verifyLog({
    suite,
    source: sourceOf(files),
    trust,
    withEntries: true,
    since: null,
    copy: null,
    found: (check) => checks.push(check),
    progress: () => {},
    ...options,
  });
  return { checks, ...Object.assign({}, ...checks.map(({ facts }) => facts)) };
}
