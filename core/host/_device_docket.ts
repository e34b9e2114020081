/**
 * Who stands at the door, as questions with a yes and a no. Both are about one key: a question bears its
 * fingerprint in its name, so an answer that comes late never meets another key under the same name.
 *
 * A yes is `peers.approve`, with all its rules: it never takes a name away from another key. A no bans the
 * key, or it would ask again at once, for as long as the site can be opened to strangers at a time.
 * Hardware that is let in under another name keeps that: then the no is about the name.
 */
import { equalBytes } from "../base/bytes.ts";
import { type Id, isId } from "../base/id.ts";
import { lastActor } from "../services/audit.ts";
import { DeskError, type Docket, gone, type Outcome, type Question } from "../services/desk.ts";
import type { Fact, Verdict } from "../services/desk.ts";
import { longestJoin, PeerError, type PeerRow, type Waiting } from "../services/peers/mod.ts";
import { fingerprint } from "../trust/fingerprint.ts";
import { fingerprintText, isPeerKind, type PeerKind } from "../wire/peer.ts";
import type { SiteServices } from "./_services.ts";
import { proofs } from "./shown.ts";

/** Milliseconds for which a no holds. */
const denied = longestJoin;

/** Which key under which name. */
interface Applicant {
  readonly kind: PeerKind;
  readonly id: Id;
  /** As people see it. */
  readonly key: string;
}

export function deviceDocket(
  services: Pick<SiteServices, "db" | "peers" | "suite">,
): Docket {
  const shown = (key: Uint8Array) => fingerprintText(fingerprint(services.suite, "X25519", key));
  const isKey = ({ key }: Applicant, noiseKey: Uint8Array | null) =>
    noiseKey !== null && shown(noiseKey) === key;
  let deciding: Promise<unknown> = Promise.resolve();

  async function outcome(about: Applicant): Promise<Outcome> {
    const { kind, id } = about;
    const peers = await services.peers();
    const row = rowOf(await peers.list(), about);
    if (row?.state === "approved" && isKey(about, row.noiseKey)) {
      const types = ["device.approved", "device.replaced"];
      const db = await services.db();
      return {
        verdict: "approved",
        by: await db.read((q) => lastActor(q, { types, subject: id, kind })),
      };
    }
    const ban = (await peers.bans()).find((ban) =>
      ban.key === null ? ban.kind === kind && ban.id === id : isKey(about, ban.key)
    );
    return ban === undefined ? gone : { verdict: "denied", by: ban.actor };
  }

  async function decide(id: string, verdict: Verdict, actor: string): Promise<void> {
    const about = applicantIn(id);
    if (about === null) throw notWaiting();
    const { kind, id: name, key } = about;
    const before = await outcome(about);
    if (before.verdict !== "gone") {
      if ((before.verdict === "approved") === (verdict === "approve")) return;
      throw decidedError(about, { verdict, before });
    }
    const peers = await services.peers();
    const waiting = peers.waiting().find((one) =>
      one.kind === kind && one.device === name && isKey(about, one.key)
    );
    if (waiting === undefined) throw notWaiting(name);
    if (verdict === "approve") {
      await peers.approve(kind, name, { fingerprint: key }, actor);
      return;
    }
    const options = { lasts: denied, reason: "was refused when it asked to join" };
    const rows = await peers.list();
    const isKnown = rows.some(({ state, noiseKey }) =>
      state === "approved" && equalBytes(noiseKey!, waiting.key)
    );
    if (!isKnown) {
      await peers.ban(kind, name, { ...options, key: { fingerprint: key } }, actor);
      return;
    }
    const owner = rowOf(rows, about);
    if (owner !== undefined && owner.state !== "revoked") {
      throw new PeerError("peer_exists", `Cannot refuse the ${kind} "${name}": its key is let in`, {
        hint: "the key is known under another name, and this name belongs to somebody else: " +
          "look at both with `edgeward peers list`",
      });
    }
    await peers.ban(kind, name, options, actor);
  }

  return {
    kind: "device",
    needs: "operator",
    events: [
      ...["device.pending", "device.conflict", "device.approved", "device.replaced"] as const,
      ...["device.banned", "device.revoked", "device.removed"] as const,
    ],

    async pending() {
      const peers = await services.peers();
      const rows = new Map((await peers.list()).map((row) => [`${row.kind}/${row.id}`, row]));
      // to a key that is not proven nobody can say yes, and anybody can bring any number of them
      const waiting = peers.waiting().filter(({ proof }) => proof !== "none");
      const keys = new Map<string, number>();
      for (const one of waiting) keys.set(nameOf(one), (keys.get(nameOf(one)) ?? 0) + 1);
      return waiting.map((one) => {
        const [row, rivals] = [rows.get(nameOf(one)), keys.get(nameOf(one))! - 1];
        return questionOf(one, { key: shown(one.key), row, rivals });
      }).sort((a, b) => a.asked - b.asked);
    },

    // one after the other: of two people who decide at once, the second one hears of the first
    decide(id, verdict, { actor }) {
      const done = deciding.then(() => decide(id, verdict, actor));
      deciding = done.catch(() => {});
      return done;
    },

    async outcome(id) {
      const about = applicantIn(id);
      return about === null ? gone : await outcome(about);
    },
  };
}

function questionOf(
  waiting: Waiting,
  { key, row, rivals }: { key: string; row: PeerRow | undefined; rivals: number },
): Question {
  const { kind, device, words, proof, firstSeen } = waiting;
  const facts: [string, string | null][] = [
    ["words", words],
    ["fingerprint", key],
    ["proof", proofs[proof]],
    ["careful", obstacle(row)],
    [
      "others",
      rivals === 0
        ? null
        : `${rivals} more ${rivals === 1 ? "key waits" : "keys wait"} under this name: ` +
          "compare this one with what the device shows",
    ],
  ];
  return {
    id: `${nameOf(waiting)}/${key}`,
    title: row?.state === "approved"
      ? `${kind} ${device} came with another key`
      : `${kind} ${device} wants to join`,
    facts: facts.flatMap(([label, value]): Fact[] => value === null ? [] : [[label, value]]),
    asked: firstSeen,
    expires: null,
  };
}

/** Why a yes would be refused. */
function obstacle(row: PeerRow | undefined): string | null {
  if (row === undefined || row.state === "enrolled") return null;
  const name = `${row.kind}/${row.id}`;
  return row.state === "approved"
    ? "the name belongs to another key, so a yes is refused; " +
      `if its hardware was replaced: edgeward peers replace ${name}`
    : `the name was revoked, so a yes is refused; first: edgeward peers remove ${name}`;
}

function rowOf(
  rows: readonly PeerRow[],
  { kind, id }: Pick<Applicant, "kind" | "id">,
): PeerRow | undefined {
  return rows.find((row) => row.kind === kind && row.id === id);
}

function nameOf({ kind, device }: Waiting): string {
  return `${kind}/${device}`;
}

/** Null when it is the name of no question. */
function applicantIn(text: string): Applicant | null {
  const [kind, id, key, ...more] = text.split("/");
  if (isPeerKind(kind) && isId(id) && key !== undefined && more.length === 0) {
    return { kind, id, key };
  }
  return null;
}

function notWaiting(name?: Id): PeerError {
  const who = name === undefined ? "whom this names" : `"${name}" with this key`;
  return new PeerError("applicant_unknown", `Nobody waits ${who}`, {
    hint: "whoever waits comes back within 10 minutes, while the site is open to strangers",
  });
}

function decidedError(
  { kind, id }: Applicant,
  { verdict, before }: { verdict: Verdict; before: Outcome },
): DeskError {
  const by = before.by === null ? "" : ` by ${before.by}`;
  const undo = verdict === "deny" ? "revoke" : "unban";
  return new DeskError(
    "decided",
    `Cannot ${verdict} the ${kind} "${id}": it was ${before.verdict}${by}`,
    { hint: `to change that: edgeward peers ${undo} ${kind}/${id}` },
  );
}
