/** Peers over a database file of their own, for the tests of this folder, in a time that the test turns. */
import { sql } from "drizzle-orm";
import { type Id, parseId } from "../../base/id.ts";
import { Secret } from "../../base/secret.ts";
import type { Applicant } from "../../trust/session/answerer.ts";
import type { Event } from "../../wire/event.ts";
import { fingerprint } from "../../trust/fingerprint.ts";
import { fingerprintText, type PeerKind } from "../../wire/peer.ts";
import { auditMigrations, auditOf } from "../audit.ts";
import { EventBus } from "../bus.ts";
import { nativeSuite } from "../crypto_native.ts";
import { type OpenDatabase, openDatabase, type Queries } from "../db/mod.ts";
import { sealerOf } from "../sealing.ts";
import { openPeers, type Peer, peerMigrations, type Peers } from "./mod.ts";

export const suite = nativeSuite();
export const site: Id = parseId("kiosk-7");
export const url = "mqtt://127.0.0.1";
export const noiseKey: Uint8Array = suite.randomBytes(32);
export const minutes = 60_000;
export const log = { debug() {}, info() {}, warn() {}, error() {} };

/** Keys that a peer may bring. */
export const keys = () => ({ noiseKey: suite.randomBytes(32), signKey: suite.randomBytes(32) });

export interface TestPeers extends AsyncDisposable {
  readonly peers: Peers;
  readonly db: OpenDatabase;
  readonly folder: string;
  /** Unix milliseconds, for everything. */
  readonly time: { now: number };
  /** What the bus and the watchers of peers have heard. */
  readonly events: Event[];
  readonly heard: { readonly kind: PeerKind; readonly id: Id; readonly peer: Peer | null }[];
  /** The peers of the next run of the site. */
  restarted(): Peers;
  /** A meter, "m-1" unless said. */
  find(id?: string): Promise<Peer | null>;
  audited(): Promise<{ type: string; actor: string; subject: string; detail: string }[]>;
}

/** @param options.join "open" unless given: most tests are about who comes */
export async function openTestPeers(
  { join = "open" }: { join?: "open" | "closed" } = {},
): Promise<TestPeers> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const db = stack.use(await openDatabase({ path: `${folder}/site.db` }));
  await db.migrate("core", [...auditMigrations, ...peerMigrations]);
  const time = { now: 1_000 };
  const clock = () => time.now;
  const bus = new EventBus({ clock, log }).scoped("core");
  const sealer = sealerOf(suite, new Secret(suite.randomBytes(32)));
  const audit = auditOf("core", clock);
  const open = () => openPeers({ suite, site, noiseKey, db, sealer, audit, bus, clock, log, join });
  const peers = open();
  const events: Event[] = [];
  bus.listen((event) => void events.push(event));
  const heard: TestPeers["heard"] = [];
  peers.watch((kind, id, peer) => void heard.push({ kind, id, peer }));
  const kept = stack.move();
  return {
    ...{ peers, db, folder, time, events, heard },
    restarted: open,
    find: (id = "m-1") => peers.find("meter", parseId(id)),
    audited: () =>
      db.read((q) => q.all(sql`SELECT type, actor, subject, detail FROM audit ORDER BY id`)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** From now on, what is read arrives after this: whatever happens meanwhile overtakes it. */
export function holdReads(db: OpenDatabase, until: Promise<unknown>): void {
  const read: OpenDatabase["read"] = db.read.bind(db);
  db.read = async <T>(query: (q: Queries) => Promise<T>): Promise<T> => {
    const found = await read(query);
    await until;
    return found;
  };
}

/** A key as people see it. */
export const shown = (key: Uint8Array) => fingerprintText(fingerprint(suite, "X25519", key));

/** Somebody at the door, "m-1" with a proven key unless said. */
export function applicant(
  { device = "m-1", ...rest }: Partial<Omit<Applicant, "device">> & { device?: string } = {},
): Applicant {
  const key = suite.randomBytes(32);
  return { device: parseId(device), key, proof: "key", words: null, ...rest };
}
