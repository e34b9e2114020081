/**
 * What the people at a site do for simulated sensors, where the site runs on this machine: through its
 * admin socket they make codes, enter psks, and let in whom they recognise by its fingerprint.
 */
import { fromBase64url } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import { pause } from "../../core/services/pause.ts";
import { type Enrolment, enrolmentFromJson } from "../../core/wire/enrolment.ts";
import { askSite } from "../admin_client.ts";

export interface SensorSite {
  /** A code for a device of profile v2. */
  enrol(id: Id): Promise<Enrolment>;
  /** A psk for a device of profile v1: 16 bytes. */
  enterPsk(id: Id): Promise<Uint8Array>;
  /** Lets a device in as soon as it asks; nobody else under its name, whose key is another. */
  approve(id: Id, options: { fingerprint: string; signal: AbortSignal }): Promise<void>;
}

/** Milliseconds that a code is good for, and between two looks at who waits. */
const ttl = 3_600_000;
const lookAgain = 250;

/** @param dataDir of the site; all of it throws CodedError with what the site says */
export function sensorSite(dataDir: string): SensorSite {
  return {
    async enrol(id) {
      const body = { kind: "device", id, ttl };
      const answer = await askSite(dataDir, "/enrol", { method: "POST", body });
      return enrolmentFromJson(JSON.stringify(answer));
    },
    async enterPsk(id) {
      const path = `/mqtt-auth-gateway/devices/${id}/psk`;
      const { psk } = await askSite(dataDir, path, { method: "PUT", body: {} }) as { psk: string };
      return fromBase64url(psk);
    },
    async approve(id, { fingerprint, signal }) {
      while (!signal.aborted) {
        try {
          const path = `/peers/device/${id}/approve`;
          return void await askSite(dataDir, path, { method: "POST", body: { fingerprint } });
        } catch (error) {
          const isEarly = error instanceof CodedError && early.has(error.code);
          if (!isEarly) throw error;
        }
        await pause(lookAgain, signal);
      }
    },
  };
}

/** It has not asked yet, or its site is not there. */
const early = new Set(["applicant_unknown", "peer_unknown", "not_running", "no_answer"]);
