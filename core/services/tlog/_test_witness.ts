/** A witness behind its real routes, and logs made of nothing but hashes, for the tests of this folder. */
import { join } from "node:path";
import { type Checkpoint, formatCheckpoint } from "../../trust/log/checkpoint.ts";
import type { Signer } from "../../trust/crypto.ts";
import {
  consistencyNodes,
  leafHash,
  type Node,
  nodeHash,
  nodesOf,
  rootOf,
} from "../../trust/log/merkle.ts";
import { formatNote, formatNoteKey, type NoteKey, signText } from "../../trust/log/note.ts";
import { fingerprint } from "../../trust/fingerprint.ts";
import { toBase64, utf8 } from "../../base/bytes.ts";
import { auditMigrations } from "../audit.ts";
import { type OpenDatabase, openDatabase } from "../db/mod.ts";
import { EventBus } from "../bus.ts";
import { MetricsRegistry } from "../metrics.ts";
import type { Event } from "../../wire/event.ts";
import { logKey, openTlog, type Tlog, type TlogConfig, tlogMigrations, tlogRoutes } from "./mod.ts";
import { suite } from "./_test_log.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A site as far as its log goes. */
export interface TestSite extends AsyncDisposable {
  readonly folder: string;
  readonly holder: ReturnType<typeof holderOf>;
  readonly db: OpenDatabase;
  readonly tlog: Tlog;
  readonly events: Event[];
  /** What it last said of its health. */
  readonly health: { state: string; detail: string };
  /** Its routes, below `/`. */
  request(path: string, init?: RequestInit): Promise<Response>;
  metrics(): Promise<string>;
}

export function holderOf(site: string) {
  const signer: Signer = suite.ed25519.signer(suite.sha256(utf8(site)));
  return {
    ...{ suite, site },
    identity: { signer, fingerprint: fingerprint(suite, "Ed25519", signer.publicKey) },
  };
}

export type TestHolder = ReturnType<typeof holderOf>;

export async function openTestSite(
  site: string,
  { folder, config = {}, pause, clock = Date.now }: {
    folder: string;
    config?: Partial<TlogConfig>;
    pause?: Parameters<typeof openTlog>[0]["pause"];
    clock?: () => number;
  },
): Promise<TestSite> {
  await using stack = new AsyncDisposableStack();
  const holder = holderOf(site);
  const db = stack.use(await openDatabase({ path: join(folder, "edgeward.db") }));
  await db.migrate("core", [...auditMigrations, ...tlogMigrations]);
  const registry = new MetricsRegistry();
  const bus = new EventBus({ clock, log: silent });
  const events: Event[] = [];
  stack.defer(bus.scoped("test").listen((event) => void events.push(event)));
  const health = { state: "", detail: "" };
  const tlog = stack.use(openTlog({
    ...{ ...holder, db, clock, dataDir: folder, log: silent, bus: bus.scoped("core") },
    config: { witnesses: [], witness_of: [], ...config },
    metrics: registry.scoped("core"),
    report: (state, detail) => void Object.assign(health, { state, detail }),
    ...(pause !== undefined && { pause }),
  }));
  const routes = tlogRoutes(() => Promise.resolve(tlog), {
    guard: (c, next) =>
      c.req.header("authorization") === "Bearer viewer"
        ? next()
        : Promise.resolve(new Response(null, { status: 401 })),
  });
  const kept = stack.move();
  return {
    ...{ folder, holder, db, tlog, events, health },
    request: async (path, init) => await routes.request(`http://witness${path}`, init),
    metrics: () => registry.text(),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A log of a site that nobody serves: it says what a test wants it to say. */
export class PaperLog {
  readonly key: NoteKey;
  readonly vkey: string;
  readonly #signer: Signer;
  readonly #entries: string[];

  constructor(site: string, { generation = 1, entries = 20, fork = Infinity } = {}) {
    const holder = holderOf(site);
    this.key = logKey(holder, generation);
    this.vkey = formatNoteKey(this.key);
    this.#signer = holder.identity.signer;
    this.#entries = Array.from({ length: entries }, (_, i) => i < fork ? `${i}` : `other ${i}`);
  }

  checkpoint(size: number): Checkpoint {
    const root = rootOf(suite, nodesOf(size).map((node) => this.#hash(node)));
    return { origin: this.key.name, size, root };
  }

  proof(old: number, size: number): Uint8Array[] {
    return consistencyNodes(old, size).map((nodes) =>
      rootOf(suite, nodes.map((node) => this.#hash(node)))
    );
  }

  note(checkpoint: Checkpoint): string {
    const text = formatCheckpoint(checkpoint);
    const sign = (message: Uint8Array) => this.#signer.sign(message);
    return formatNote({ text, signatures: [signText(text, { key: this.key, sign })] });
  }

  /** The body of a submission. */
  submission(
    old: number,
    size: number,
    changes: Partial<{ proof: Uint8Array[]; note: string }> = {},
  ) {
    const { proof = this.proof(old, size), note = this.note(this.checkpoint(size)) } = changes;
    return `${[`old ${old}`, ...proof.map(toBase64)].join("\n")}\n\n${note}`;
  }

  #hash({ level, index }: Node): Uint8Array {
    return level === 0 ? leafHash(suite, utf8(this.#entries[index]!)) : nodeHash(
      suite,
      this.#hash({ level: level - 1, index: 2 * index }),
      this.#hash({ level: level - 1, index: 2 * index + 1 }),
    );
  }
}

/** Uses a folder of its own. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "edgeward-test-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
