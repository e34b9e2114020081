/**
 * The border of the role: what an enrolled fog says in its uplink session. Every statement is checked
 * against the fog's key and judged by itself; an answer leaves after the commit.
 */
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { Handler } from "../../core/services/sessions/mod.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import type { Verification } from "../../core/services/verification.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeSummary, summaryType } from "../../core/wire/summary.ts";
import {
  decodeUplinkCall,
  encodeHead,
  encodeKnownRegisters,
  encodeSummariesAnswer,
  type Head,
  type Link,
  maxRegisters,
  type UplinkCall,
} from "../../core/wire/uplink.ts";
import { tidings } from "./_tidings.ts";
import type { SignedSummary, SummaryStore } from "./store.ts";

/** Answers the calls of fogs. */
export function receiveUplink(host: Host, store: SummaryStore): Handler {
  const verifiers = new WeakMap<Peer, StatementVerifier>();
  const check: Verification["verify"] = (...signature) => host.verification.verify(...signature);
  const tell = tidings(host);
  const headAt = ({ epoch, seq, hash }: Link): Head => ({ epoch, seq, hash, t: host.clock() });

  return async (bytes, peer) => {
    const call = decodeUplinkCall(bytes);
    switch (call.call) {
      case "head":
        return encodeHead(headAt(await store.head(peer.id, call.upto)));
      case "summaries":
        return await take(peer, call.statements);
      case "lost":
        return encodeHead(headAt(await lose(peer.id, call)));
      case "registers": {
        const page = { limit: maxRegisters, ...(call.after && { after: call.after }) };
        return encodeKnownRegisters(await store.registers(peer.id, page));
      }
    }
  };

  async function take(peer: Peer, statements: readonly Uint8Array[]): Promise<Uint8Array> {
    const links: SignedSummary[] = [];
    const places: number[] = [];
    const refused: { index: number; reason: string }[] = [];
    const opened = await Promise.allSettled(statements.map((statement) => open(statement, peer)));
    for (const [index, one] of opened.entries()) {
      if (one.status === "fulfilled") {
        links.push(one.value);
        places.push(index);
      } else if (one.reason instanceof CodedError && one.reason.code !== "overloaded") {
        refused.push({ index, reason: one.reason.code });
      } else {
        throw one.reason;
      }
    }
    const appended = await store.append(peer.id, links, host.clock());
    appended.outcomes.forEach((outcome, i) => {
      if (outcome === "conflict") refused.push({ index: places[i]!, reason: outcome });
    });
    refused.sort((a, b) => a.index - b.index);
    tell.appended(peer.id, { links, appended, refused });
    return encodeSummariesAnswer({ head: headAt(appended.head), refused });
  }

  async function open(statement: Uint8Array, peer: Peer): Promise<SignedSummary> {
    let verifier = verifiers.get(peer);
    if (verifier === undefined) {
      verifier = new StatementVerifier(host.suite, peer.signKey!, summaryType);
      verifiers.set(peer, verifier);
    }
    const summary = decodeSummary(await verifier.openBy(check, statement));
    if (summary.fog_id !== peer.id) {
      throw new CodedError("wrong_fog", "Cannot take the summary: it is of another fog");
    }
    return { summary, statement, hash: host.suite.sha256(statement) };
  }

  async function lose(fog: Id, call: Extract<UplinkCall, { call: "lost" }>): Promise<Link> {
    // shown to people in logs and events: nothing that a terminal obeys
    const reason = call.reason.replace(/[^\x20-\x7e]/g, "?");
    const lost = await store.lose(fog, call.upto, { after: call.after, reason, at: host.clock() });
    tell.lost(fog, { lost, reason });
    return lost.head;
  }
}
