/**
 * Sessions for every role: who may speak is settled here, once. A role serves a purpose and gets calls
 * from authenticated peers; it dials a site and calls it. Handshakes, replay, repetition, enrolment
 * and lost connections never reach a role (protocols.md §1).
 *
 * For the purpose `rpc` calls are JSON-RPC 2.0 requests and answers the responses to them, byte for
 * byte as `core/wire/json_rpc.ts` writes them, and the site calls its devices too.
 */
import type { Clock } from "../../base/clock.ts";
import type { Id } from "../../base/id.ts";
import type { KeyPair, Suite } from "../../trust/crypto.ts";
import { fingerprint } from "../../trust/fingerprint.ts";
import type { Applicant } from "../../trust/session/answerer.ts";
import type { Purpose } from "../../trust/session/hello.ts";
import type { Log } from "../logging.ts";
import type { Metrics } from "../metrics.ts";
import type { MqttClient } from "../mqtt/mod.ts";
import { initiators } from "../../wire/peer.ts";
import type { Admission, Peer, PeerState } from "../peers/mod.ts";
import type { RoleRouter } from "../http/mod.ts";
import { dial } from "./_dialer.ts";
import { serveHttp, sessionPath } from "./_http_binding.ts";
import { serveMqtt } from "./_mqtt_binding.ts";
import type { Recorder, RunOnce } from "./_run_once.ts";
import { type Handler, Responder } from "./_responder.ts";
import { type Caller, type Channel, Refusal, type Remote } from "./_channel.ts";

export { type Caller, type Channel, dial, type Handler, Refusal, type Remote, Responder };
export type { Applicant };
export { ChannelError, type ChannelErrorCode } from "./_channel.ts";
export type { DeviceConnection } from "./_mqtt_binding.ts";
export { openRunOnce, type Recorder, runOnceMigrations } from "./_run_once.ts";

/** How sessions of a purpose are answered beyond what every role needs. */
export interface ServeOptions {
  /**
   * Whether a stranger may be noted as waiting for approval now (join window, bans); true unless given.
   * Who may not leaves no trace but a counter, and hears what everybody hears who has to wait.
   */
  readonly mayApply?: (applicant: Applicant) => boolean;
  /**
   * Hears of every new authenticated frame of an approved device, and when a device has no session any
   * more ("ended"): of revocation and age, not of silence. Repetitions are no sign of life, because
   * anybody can make them.
   */
  readonly onActivity?: (device: Id, what: "frame" | "ended") => void;
  /** Takes what is no session frame on the topics of `rpc` (first byte "{"): profile v1, unchecked. */
  readonly legacy?: (topic: string, payload: Uint8Array) => void;
}

/** Sessions of one purpose, seen from the site. */
export interface Served {
  /**
   * Calls a device in its open `rpc` session, over the broker: gets the bytes of a JSON-RPC request, whose
   * id must not be that of another call without an answer, and gives those of the response. Sixteen
   * calls of a device may be under way. A call is repeated until its time is over, and runs once; when
   * the session ends first it is not made again.
   * @param options.within milliseconds, 30,000 unless said
   * @throws Refusal with the code that the device gave; ChannelError "not_connected", "no_answer",
   * "outcome_unknown", "too_many_calls", "id_in_use"; RpcError when the body is no JSON-RPC request
   */
  call(device: Id, body: Uint8Array, options?: { within?: number }): Promise<Uint8Array>;
  /** Whether the device has a confirmed session: it may be silent all the same. */
  isOpen(device: Id): boolean;
}

/** A role's sessions. */
export interface Sessions {
  /** Answers calls of peers that open sessions of this purpose, over what the role needs. */
  serve(purpose: Purpose, handler: Handler, options?: ServeOptions): Promise<Served>;
  /**
   * Gives the result of a peer's call that must not happen twice: its effect happens now, unless it has
   * happened before. @param id 16 random bytes that the peer repeats with every attempt
   * @param recorder writes more of it, in the same transactions
   * @throws Refusal "outcome_unknown" when it had begun before and nobody saw its end
   */
  once(
    peer: Peer,
    id: Uint8Array,
    effect: () => Promise<Uint8Array>,
    recorder?: Recorder,
  ): Promise<Uint8Array>;
  /** How a peer that opens sessions of this purpose stands, for what it sends in other ways; null: unknown. */
  standing(purpose: Purpose, id: Id): Promise<PeerState | null>;
  /** A way to call a site; the handshake happens at the first call. */
  dial(remote: Remote, purpose: Purpose): Channel;
}

/** Puts a role's sessions together; `http` and `mqtt` are there when the role needs them. */
export function sessionsOf(role: {
  suite: Suite;
  site: Id;
  staticKey: KeyPair;
  signKey: Uint8Array;
  peers: Admission;
  runOnce: RunOnce;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  http?: RoleRouter;
  mqtt?: MqttClient;
  defer(undo: () => void | Promise<void>): void;
}): Sessions {
  /** By the path at which they answer over HTTP: several purposes of one role share it. */
  const served = new Map<string, Responder[]>();
  return {
    async serve(purpose, handler, { legacy, ...options } = {}) {
      const responder = new Responder({ ...role, ...options, purpose, handler });
      role.defer(() => responder.close());
      const path = sessionPath(purpose);
      const sharing = served.get(path) ?? [];
      served.set(path, sharing);
      if (sharing.push(responder) === 1 && role.http !== undefined) {
        serveHttp(role.http, { responder, sharing });
      }
      if (role.mqtt !== undefined) {
        role.defer(await serveMqtt(role.mqtt, responder, { log: role.log, legacy }));
      }
      return {
        call: (device, body, options) => responder.call(device, body, options),
        isOpen: (device) => responder.isOpen(device),
      };
    },
    once({ noiseKey }, id, effect, recorder) {
      const caller = fingerprint(role.suite, "X25519", noiseKey!);
      return role.runOnce.run({ caller, id }, effect, recorder);
    },
    async standing(purpose, id) {
      const peer = await role.peers.find(initiators[purpose], id);
      return peer?.state ?? null;
    },
    dial(remote, purpose) {
      const channel = dial(remote, { ...role, device: role.site, purpose });
      role.defer(async () => await channel[Symbol.asyncDispose]());
      return channel;
    },
  };
}
