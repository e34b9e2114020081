/** Meters of the ingest benches: each draws readings of its own and signs them in batches. */
import { parseId } from "../../core/base/id.ts";
import { decodeReceipt, encodeBatch, type Reading, readingsType } from "../../core/wire/reading.ts";
import { type BenchPeer, openPeer, type Prepared } from "./_peer.ts";
import type { RoleSite } from "./_role_site.ts";

export interface BenchMeter {
  readonly peer: BenchPeer;
  /** Frames of one batch each, readings a millisecond apart, the first not before now. */
  prepare(frames: number, readingsPerBatch: number): Prepared[];
}

export async function openMeters(site: RoleSite, count: number): Promise<BenchMeter[]> {
  const meters: BenchMeter[] = [];
  for (let i = 1; i <= count; i++) {
    const options = { kind: "meter", purpose: "meter", name: `meter-${i}` } as const;
    meters.push(meterOf(await openPeer(site, options), site));
  }
  return meters;
}

function meterOf(peer: BenchPeer, { clock }: RoleSite): BenchMeter {
  let seq = 0, t = 0;
  function reading(): Reading {
    seq++;
    const power_W = 1000 + seq % 500;
    return { seq, t: t++, energy_Wh: seq, power_W, voltage_mV: 230_000 + seq % 999, flags: 0 };
  }
  return {
    peer,
    prepare(frames, readingsPerBatch) {
      t = Math.max(t, clock());
      return Array.from({ length: frames }, () => {
        const readings = Array.from({ length: readingsPerBatch }, reading);
        const payload = encodeBatch({ meter: peer.id, register: parseId("main"), readings });
        return peer.prepare(peer.sign(readingsType, payload));
      });
    },
  };
}

/** @throws Error unless the answer is a receipt that says just this many were stored */
export function expectAccepted(body: Uint8Array, readings: number): void {
  const receipt = decodeReceipt(body);
  if (receipt.accepted === readings && receipt.refused.length === 0) return;
  throw new Error(`A batch was not stored: ${JSON.stringify(receipt)}`);
}
