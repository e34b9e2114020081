/**
 * Everyone the site talks to: devices, meters, fogs, gateways, witnesses, keychains. A peer is enrolled
 * with a one-time code and bound to its keys when it first opens a session with it, or it comes
 * without one, while strangers may apply, and a person approves its key; it is replaced, banned,
 * revoked and removed by people. Codes are kept only as the psk derived from them, sealed.
 *
 * What a peer may become is in `_states.ts`, who waits at the door in `_applicants.ts`, who is kept
 * out for a time in `_bans.ts`, and how a decision takes effect in `_decisions.ts`.
 */
import type { Clock } from "../../base/clock.ts";
import { type Id, parseId } from "../../base/id.ts";
import type { Suite } from "../../trust/crypto.ts";
import { fingerprint } from "../../trust/fingerprint.ts";
import { pskFromCode } from "../../trust/session/handshake.ts";
import type { Enrolment } from "../../wire/enrolment.ts";
import type { EventType, Severity } from "../../wire/event.ts";
import { fingerprintText } from "../../wire/peer.ts";
import type { Audit } from "../audit.ts";
import type { Bus } from "../bus.ts";
import type { Database, Migration } from "../db/mod.ts";
import type { Log } from "../logging.ts";
import type { Sealer } from "../sealing.ts";
import { Applicants } from "./_applicants.ts";
import { type Ban, banMigrations, bannedError } from "./_bans.ts";
import { keyToBan } from "./_banned_key.ts";
import type { EnrolOptions, Peers } from "./_contract.ts";
import { type Decision, openDecisions } from "./_decisions.ts";
import { checkJoin, JoinWindow } from "./_join_window.ts";
import { News } from "./_news.ts";
import { longestName, longestReason, printable } from "./_printable.ts";
import { peerNameMigrations, peerTableMigrations } from "./_rows.ts";
import { approved, bound, enrolled, type Name, type Peer, PeerError } from "./_states.ts";
import { removed, replaced, revoked, unknownError } from "./_states.ts";

export type { Recognition, Waiting } from "./_applicants.ts";
export type { Ban } from "./_bans.ts";
export * from "./_contract.ts";
export { type JoinState, longestJoin } from "./_join_window.ts";
export { isPrintable, longestName, longestReason } from "./_printable.ts";
export { type PeerRow, peerTableMigrations, sealedPsk } from "./_rows.ts";
export { type Peer, PeerError, type PeerErrorCode, type PeerState } from "./_states.ts";

/** What came after other tables of the core. */
export const peerBanMigrations: readonly Migration[] = [...peerNameMigrations, ...banMigrations];
/** All of them, for a database of peers alone. */
export const peerMigrations: readonly Migration[] = [...peerTableMigrations, ...peerBanMigrations];

/** At most ten years, in milliseconds. */
const longestBan = 3_652 * 86_400_000;

/** @param options.join whether strangers may apply before anybody says so: "closed" unless given */
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
  join?: "open" | "closed";
}): Peers {
  const { suite, site, db, bus, clock } = options;
  const shown = (key: Uint8Array) => fingerprintText(fingerprint(suite, "X25519", key));
  const applicants = new Applicants({ clock, fingerprint: shown });
  const joining = new JoinWindow({ clock, open: options.join === "open" });
  const decisions = openDecisions(options);
  const { rows, bans, change } = decisions;
  const [newcomers, rivals] = [new News(clock), new News(clock)];

  function say(
    type: EventType,
    { kind, id }: Name,
    severity: Severity = "info",
    detail: Readonly<Record<string, unknown>> = {},
  ): void {
    bus.emit({ type, severity, subject: id, detail: { kind, ...detail } });
  }

  async function enrol(
    name: Name,
    { url, ttl, code = suite.randomBytes(16) }: EnrolOptions,
    next: (peer: Peer | null, code: { psk: Uint8Array; expires: number }) => Peer,
    entry: Decision,
  ): Promise<Enrolment> {
    const expires = clock() + ttl;
    const psk = pskFromCode(suite, code, { site, device: name.id });
    await change(name, (peer) => next(peer, { psk, expires }), { ...entry, admits: { key: null } });
    return { code, site, url, noiseKey: options.noiseKey, expires };
  }

  return {
    find: (kind, id) => db.read((q) => decisions.standing(q, { kind, id })),
    list: () => db.read((q) => rows.list(q)),
    waiting: () => applicants.list(),
    bans: () => db.read((q) => bans.list(q)),
    watch: (listener) => decisions.watch(listener),
    allowing: () => decisions.allowing(),

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
        ...{ actor: id, admits: { key: keys.noiseKey } },
      });
      applicants.forget(name);
      if (byCode) say("device.approved", name);
      return peer;
    },

    async approve(kind, text, by, actor = "site") {
      const name = { kind, id: parseId(text) };
      const { key } = applicants.recognise(name, by);
      const peer = await change(name, (peer) => approved(peer, name, key), {
        ...{ type: "device.approved", actor, admits: { key } },
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
        ...{ type: "device.replaced", actor, admits: { key } },
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

    async ban(kind, text, { key: by, lasts, reason = "" } = {}, actor = "site") {
      const name = { kind, id: parseId(text) };
      if (lasts !== undefined && !(Number.isInteger(lasts) && lasts > 0 && lasts <= longestBan)) {
        throw new PeerError("bad_duration", "Cannot ban for so long: ten years at most", {
          hint: "a ban without an end lasts until somebody lifts it",
        });
      }
      const since = clock();
      const wish = {
        ...{ ...name, actor, since, until: lasts === undefined ? null : since + lasts },
        reason: printable(reason, { what: "reason", most: longestReason }),
      };
      const { ban, isNew, facts } = await decisions.judge(async (tx) => {
        const bound = by === undefined ? null : (await rows.find(tx, name))?.noiseKey ?? null;
        const waiting = applicants.of(name);
        const key = by === undefined ? null : keyToBan({ name, by, bound, waiting, shown });
        const wanted: Ban = { ...wish, key };
        const ban = await bans.put(tx, wanted);
        const isNew = ban === wanted;
        const { until } = ban;
        const facts = { by: key === null ? "name" : "key", until, reason: ban.reason };
        const entry = { type: "device.banned", actor, subject: name.id };
        if (isNew) await decisions.append(tx, { ...entry, detail: { kind, ...facts } });
        const names = key === null
          ? [name]
          : [...await rows.withKey(tx, key), ...applicants.namesOf(key)];
        return { ban, isNew, facts, names };
      }, ({ ban }) => ban.key === null ? applicants.forget(name) : applicants.forgetKey(ban.key));
      if (isNew) say("device.banned", name, "warning", facts);
      return ban;
    },

    async unban(kind, text, actor = "site") {
      const name = { kind, id: parseId(text) };
      await decisions.judge(async (tx) => {
        const names: Name[] = [name];
        for (const { key } of await bans.lift(tx, name)) {
          if (key !== null) names.push(...await rows.withKey(tx, key));
        }
        const entry = { type: "device.unbanned", actor, subject: name.id };
        await decisions.append(tx, { ...entry, detail: { kind } });
        return { names };
      });
    },

    async rename(kind, text, name, actor = "site") {
      const peer = { kind, id: parseId(text) };
      const label = name === null ? null : printable(name, { what: "name", most: longestName });
      await db.write(async (tx) => {
        if (!await rows.rename(tx, peer, label)) throw unknownError("name", peer);
        const entry = { type: "peer.named", actor, subject: peer.id };
        await decisions.append(tx, { ...entry, detail: { kind, name: label } });
      });
    },

    join: () => joining.state,

    async openJoin(milliseconds, actor = "site") {
      checkJoin(milliseconds);
      const entry = { type: "join.opened", actor, subject: site, detail: { for_ms: milliseconds } };
      await db.write((tx) => decisions.append(tx, entry));
      joining.open(milliseconds);
      return joining.state;
    },

    async closeJoin(actor = "site") {
      // shut at once, whatever becomes of the record
      joining.close();
      const entry = { type: "join.closed", actor, subject: site };
      await db.write((tx) => decisions.append(tx, entry));
      return joining.state;
    },

    async apply(kind, applicant) {
      const name = { kind, id: applicant.device };
      const { peer, ban } = await decisions.read(async (q) => ({
        peer: await rows.find(q, name),
        ban: await bans.find(q, name, applicant.key),
      }));
      if (ban !== null) throw bannedError(ban);
      const isRival = peer?.state === "approved";
      const mayWait = joining.state.open || applicant.proof === "code" ||
        applicants.has(kind, applicant);
      const isNew = mayWait
        ? applicants.note(kind, applicant)
        : isRival && rivals.isNew(`${kind}/${name.id}`);
      if (isNew && applicant.proof !== "none") {
        if (!isRival && newcomers.take()) say("device.pending", name);
        if (isRival && rivals.take()) say("device.conflict", name, "warning");
      }
      if (isRival) return "conflict";
      return mayWait ? "pending" : "closed";
    },
  };
}
