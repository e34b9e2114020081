/**
 * Everyone the site talks to: devices, meters, fogs, gateways, witnesses, keychains. A peer is enrolled
 * with a one-time code and bound to its keys when it first opens a session with it, or it comes
 * without one and a person approves its key; it is replaced, revoked and removed by people. Codes are
 * kept only as the psk derived from them, sealed.
 *
 * What a peer may become is in `_states.ts`, who waits at the door in `_applicants.ts`; here it is put
 * on disk, with its record in the audit, before anybody hears of it.
 */
import type { Clock } from "../../base/clock.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { Suite } from "../../trust/crypto.ts";
import { fingerprint } from "../../trust/fingerprint.ts";
import type { Applicant } from "../../trust/session/answerer.ts";
import { pskFromCode } from "../../trust/session/handshake.ts";
import type { Enrolment } from "../../wire/enrolment.ts";
import type { EventType, Severity } from "../../wire/event.ts";
import { fingerprintText, type PeerKind } from "../../wire/peer.ts";
import type { Audit, AuditEntry } from "../audit.ts";
import type { Bus } from "../bus.ts";
import type { Database } from "../db/mod.ts";
import type { Log } from "../logging.ts";
import type { Sealer } from "../sealing.ts";
import { Applicants, type Recognition, type Waiting } from "./_applicants.ts";
import { openRows, type PeerRow } from "./_rows.ts";
import {
  approved,
  bound,
  enrolled,
  type Name,
  type Peer,
  removed,
  replaced,
  revoked,
} from "./_states.ts";

export { peerMigrations, type PeerRow, sealedPsk } from "./_rows.ts";
export { type Peer, PeerError, type PeerErrorCode, type PeerState } from "./_states.ts";
export type { Recognition, Waiting } from "./_applicants.ts";

/** How an enrolment is made: where the peer finds the site, and how long its code works. */
export interface EnrolOptions {
  readonly url: string;
  /** Milliseconds. */
  readonly ttl: number;
  /** 16 bytes that the device was born with; new ones unless given. */
  readonly code?: Uint8Array;
}

/** What sessions need of it. */
export type Admission = Pick<Peers, "find" | "bind" | "apply" | "watch">;

/** Each change takes the name of whoever made it for the audit: "site" unless said. */
export interface Peers {
  find(kind: PeerKind, id: Id): Promise<Peer | null>;
  /** Every peer, by kind and id. */
  list(): Promise<readonly PeerRow[]>;
  /** Who waits for a decision, the best proven first. */
  waiting(): readonly Waiting[];
  /** Makes a code for a peer that is new or has not used its last code. @throws PeerError */
  enrol(kind: PeerKind, id: string, options: EnrolOptions, actor?: string): Promise<Enrolment>;
  /** Binds keys to a peer and uses its code up. @throws PeerError "peer_bound" when it has keys */
  bind(peer: Peer, keys: { noiseKey: Uint8Array; signKey: Uint8Array }): Promise<Peer>;
  /** Admits the key that a person has recognised. @throws PeerError */
  approve(kind: PeerKind, id: string, by: Recognition, actor?: string): Promise<Peer>;
  /** From now on the peer is refused. @throws PeerError "peer_unknown" */
  revoke(kind: PeerKind, id: string, actor?: string): Promise<void>;
  /** Forgets the peer, or whoever waits under its name. @throws PeerError "peer_unknown" */
  remove(kind: PeerKind, id: string, actor?: string): Promise<void>;
  /** The name goes to other hardware, recognised at the door. @throws PeerError */
  replace(kind: PeerKind, id: string, by: Recognition, actor?: string): Promise<Peer>;
  /** The name goes to whatever hardware comes with the new code. @throws PeerError */
  replaceByCode(
    kind: PeerKind,
    id: string,
    options: EnrolOptions,
    actor?: string,
  ): Promise<Enrolment>;
  /** Notes that somebody asks to be let in. Returns whether the name belongs to another key. */
  apply(kind: PeerKind, applicant: Applicant): Promise<"pending" | "conflict">;
  /** Hears of every peer that is no longer what it was, until the returned function is called. */
  watch(listener: (kind: PeerKind, id: Id, peer: Peer | null) => void): () => void;
}

/** Newcomers that are announced in a minute: more would only be noise. */
const announcements = { limit: 10, within: 60_000 };

export function openPeers(options: {
  suite: Suite;
  site: Id;
  noiseKey: Uint8Array;
  db: Database;
  sealer: Sealer;
  audit: Audit;
  bus: Bus;
  clock: Clock;
  log: Log;
}): Peers {
  const { suite, site, db, audit, bus, clock, log } = options;
  const rows = openRows(options);
  const applicants = new Applicants({
    clock,
    fingerprint: (key) => fingerprintText(fingerprint(suite, "X25519", key)),
  });
  const watchers = new Set<(kind: PeerKind, id: Id, peer: Peer | null) => void>();
  let announced: number[] = [];

  /** Turns a peer into what `next` says: on disk together with its record, then for all to hear. */
  async function change<P extends Peer | null>(
    name: Name,
    next: (peer: Peer | null) => P,
    entry: Omit<AuditEntry, "subject">,
  ): Promise<P> {
    const peer = await db.write(async (tx) => {
      const peer = next(await rows.find(tx, name));
      await rows.put(tx, name, peer);
      const detail = { kind: name.kind, ...entry.detail };
      await audit.append(tx, { ...entry, subject: name.id, detail });
      return peer;
    });
    for (const watcher of watchers) {
      try {
        watcher(name.kind, name.id, peer);
      } catch (error) {
        log.error("a session did not hear of a change", { peer: name.id, error });
      }
    }
    return peer;
  }

  function say(type: EventType, { kind, id }: Name, severity: Severity = "info"): void {
    bus.emit({ type, severity, subject: id, detail: { kind } });
  }

  async function enrol(
    name: Name,
    { url, ttl, code = suite.randomBytes(16) }: EnrolOptions,
    next: (peer: Peer | null, code: { psk: Uint8Array; expires: number }) => Peer,
    entry: Omit<AuditEntry, "subject">,
  ): Promise<Enrolment> {
    const expires = clock() + ttl;
    const psk = pskFromCode(suite, code, { site, device: name.id });
    await change(name, (peer) => next(peer, { psk, expires }), entry);
    return { code, site, url, noiseKey: options.noiseKey, expires };
  }

  return {
    find: (kind, id) => db.read((q) => rows.find(q, { kind, id })),
    list: () => db.read((q) => rows.list(q)),
    waiting: () => applicants.list(),

    async enrol(kind, text, options, actor = "site") {
      const name = { kind, id: parseId(text) };
      const next = (peer: Peer | null, code: { psk: Uint8Array; expires: number }) =>
        enrolled(peer, name, code);
      return await enrol(name, options, next, { type: "peer.enrolled", actor });
    },

    async bind({ kind, id, state }, keys) {
      const name = { kind, id };
      const byCode = state === "enrolled";
      const peer = await change(name, (peer) => bound(peer, name, keys), {
        ...(byCode ? { type: "device.approved", detail: { by: "code" } } : { type: "peer.bound" }),
        actor: id,
      });
      applicants.forget(name);
      if (byCode) say("device.approved", name);
      return peer;
    },

    async approve(kind, text, by, actor = "site") {
      const name = { kind, id: parseId(text) };
      const { key } = applicants.recognise(name, by);
      const peer = await change(name, (peer) => approved(peer, name, key), {
        ...{ type: "device.approved", actor },
        detail: { by: Object.keys(by)[0]! },
      });
      applicants.forget(name);
      say("device.approved", name);
      return peer;
    },

    async revoke(kind, text, actor = "site") {
      const name = { kind, id: parseId(text) };
      await change(name, (peer) => revoked(peer, name), { type: "device.revoked", actor });
      say("device.revoked", name, "warning");
    },

    async remove(kind, text, actor = "site") {
      const name = { kind, id: parseId(text) };
      const waited = applicants.of(name).length > 0;
      if (!waited || await db.read((q) => rows.find(q, name)) !== null) {
        await change(name, (peer) => removed(peer, name), { type: "device.removed", actor });
        say("device.removed", name);
      }
      applicants.forget(name);
    },

    async replace(kind, text, by, actor = "site") {
      const name = { kind, id: parseId(text) };
      const { key, proof } = applicants.recognise(name, by);
      const hardware = { noiseKey: key, holdsCode: proof === "code" };
      const peer = await change(name, (peer) => replaced(peer, name, hardware), {
        ...{ type: "device.replaced", actor },
        detail: { by: Object.keys(by)[0]! },
      });
      applicants.forget(name);
      say("device.replaced", name, "warning");
      return peer;
    },

    async replaceByCode(kind, text, options, actor = "site") {
      const name = { kind, id: parseId(text) };
      const next = (peer: Peer | null, code: { psk: Uint8Array; expires: number }) =>
        replaced(peer, name, code);
      const entry = { type: "device.replaced", actor, detail: { by: "code" } };
      const enrolment = await enrol(name, options, next, entry);
      say("device.replaced", name, "warning");
      return enrolment;
    },

    async apply(kind, applicant) {
      const name = { kind, id: applicant.device };
      const isNew = applicants.note(kind, applicant);
      const peer = await db.read((q) => rows.find(q, name));
      const outcome = peer?.state === "approved" ? "conflict" : "pending";
      const now = clock();
      announced = announced.filter((t) => now - t < announcements.within);
      if (isNew && applicant.proof !== "none" && announced.length < announcements.limit) {
        announced.push(now);
        if (outcome === "pending") say("device.pending", name);
        else say("device.conflict", name, "warning");
      }
      return outcome;
    },

    watch(listener) {
      watchers.add(listener);
      return () => watchers.delete(listener);
    },
  };
}
