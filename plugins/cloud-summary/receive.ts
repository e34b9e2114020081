/**
 * The border of the role: what an enrolled fog says in its uplink session. Every statement is checked
 * against the fog's key and read before any of them is stored; an answer leaves after the commit.
 */
import { CodedError } from "../../core/base/errors.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { Handler } from "../../core/services/sessions/mod.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeSummary, summaryType } from "../../core/wire/summary.ts";
import { decodeUplinkCall, encodeHead, encodeSummariesAnswer } from "../../core/wire/uplink.ts";
import type { SignedSummary, SummaryStore } from "./store.ts";

export function receiveUplink(host: Host, store: SummaryStore): Handler {
  const verifiers = new WeakMap<Peer, StatementVerifier>();
  const counted = host.metrics.counter(
    "edgeward_summaries_total",
    "Summaries of fogs, by what became of them",
  );
  const refusedCount = host.metrics.counter(
    "edgeward_summaries_refused_total",
    "Summaries of fogs that were not taken, by reason",
  );

  return async (bytes, peer) => {
    const call = decodeUplinkCall(bytes);
    if (call.call === "head") return encodeHead(await store.head(peer.id));

    const links: SignedSummary[] = [];
    const refused: { index: number; reason: string }[] = [];
    for (const [index, statement] of call.statements.entries()) {
      try {
        links.push(open(statement, peer));
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        refused.push({ index, reason: error.code });
        break; // what follows cannot be next in the chain
      }
    }
    const { head, outcomes } = await store.append(peer.id, links, host.clock());
    outcomes.forEach((outcome, index) => {
      if (outcome === "gap" || outcome === "conflict") refused.push({ index, reason: outcome });
      else counted.add(1, { outcome });
      if (outcome === "stored") tell(links[index]!.summary);
    });
    for (const { index, reason } of refused) {
      refusedCount.add(1, { reason });
      host.log.error("a summary was refused", { fog: peer.id, index, reason });
    }
    refused.sort((a, b) => a.index - b.index);
    return encodeSummariesAnswer({ head, refused });
  };

  function open(statement: Uint8Array, peer: Peer): SignedSummary {
    let verifier = verifiers.get(peer);
    if (verifier === undefined) {
      verifier = new StatementVerifier(host.suite, peer.signKey!, summaryType);
      verifiers.set(peer, verifier);
    }
    const summary = decodeSummary(verifier.open(statement));
    if (summary.fog_id !== peer.id) {
      throw new CodedError("wrong_fog", "Cannot take the summary: it is of another fog");
    }
    return { summary, statement, hash: host.suite.sha256(statement) };
  }

  function tell({ fog_id, window, revision, num_meters, n }: SignedSummary["summary"]): void {
    host.bus.emit({
      type: "cloud.summary_stored",
      severity: "info",
      subject: fog_id,
      detail: { window, revision, num_meters, n },
    });
  }
}
