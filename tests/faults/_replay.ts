/** Everything that meters were told is safe, sent once more: signed anew, in other batches. */
import assert from "node:assert/strict";
import { type Id, parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { dial } from "../../core/services/sessions/mod.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { decodeReceipt, encodeBatch, readingsType } from "../../core/wire/reading.ts";
import type { System } from "./_system.ts";

const suite = nativeSuite();
const log = { debug() {}, info() {}, warn() {}, error() {} };

/** What the fog says of all that it was sent again. */
export async function replayed(
  { meters, enrolments, fog, oracle }: System,
  batch: number,
): Promise<{ accepted: number; duplicates: number }> {
  const total = { accepted: 0, duplicates: 0 };
  for (const [i, { id, keys }] of meters.entries()) {
    // not over MQTT, where the meter itself is connected under its name
    const remote = { ...enrolments[i]!, url: fog.url };
    await using channel = dial(remote, {
      ...{ suite, log, device: id, purpose: "meter", staticKey: keys.noise },
      signKey: keys.signer.publicKey,
    });
    for (const [key, readings] of oracle.registers) {
      const [meter, register] = key.split("/") as [Id, string];
      if (meter !== id) continue;
      for (let from = 0; from < readings.length; from += batch) {
        const part = readings.slice(from, from + batch);
        const payload = encodeBatch({ meter, register: parseId(register), readings: part });
        const statement = signStatement(suite, keys.signer, readingsType, payload);
        const receipt = decodeReceipt(await channel.call(statement));
        assert.deepEqual(receipt.refused, []);
        total.accepted += receipt.accepted;
        total.duplicates += receipt.duplicates;
      }
    }
  }
  return total;
}
