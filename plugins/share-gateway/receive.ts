/**
 * The border of the role: what an enrolled device says in its `unlock` session. Who it is, the session
 * says. A session of a device that is revoked meanwhile has ended before its next call comes here.
 */
import type { Host } from "../../core/host/plugin.ts";
import { type Handler, Refusal } from "../../core/services/sessions/mod.ts";
import {
  decodeUnlockCall,
  encodeRosters,
  encodeUnlockReply,
  fittingRosters,
} from "../../core/wire/unlock.ts";
import type { Gate } from "./gate.ts";
import type { Group } from "./group.ts";
import type { Limits } from "./limits.ts";
import type { Reporting } from "./mounts.ts";

interface Parts {
  readonly gate: Gate;
  readonly group: Group;
  readonly limits: Limits;
  readonly report: Reporting;
}

const nothing = new Uint8Array(0);

/** Answers the calls of devices, each after what it does is on disk. */
export function receiveUnlock(
  { log }: Pick<Host, "log">,
  { gate, group, limits, report }: Parts,
): Handler {
  return async (bytes, peer) => {
    const call = decodeUnlockCall(bytes);
    const caller = { device: peer.id, key: peer.noiseKey! };
    switch (call.call) {
      case "unlock": {
        const reply = await gate.unlock({ caller, request: call });
        const encoded = encodeUnlockReply(reply);
        if (!("denied" in reply)) reply.answer.fill(0);
        return encoded;
      }
      case "deposit": {
        bytes.fill(0);
        const denial = await gate.deposit(caller, call);
        call.piece.fill(0);
        return denial === null ? nothing : encodeUnlockReply(denial);
      }
      case "rosters":
        if (limits.take(peer.id, "poll") > 0) {
          throw new Refusal("rate", "Cannot give the rosters: they are asked for too often");
        }
        return encodeRosters(fittingRosters(await group.chain(call.after)));
      case "report":
        await report(call.statement, peer);
        log.debug("a device has reported", { device: peer.id });
        return nothing;
    }
  };
}
