/** A fog site under attack: what it must not change when it refuses, and meters that speak to it. */
import assert from "node:assert/strict";
import { type Id, parseId } from "../../core/base/id.ts";
import type { Signer } from "../../core/trust/crypto.ts";
import { signStatement } from "../../core/trust/statement.ts";
import { encodeBatch, type Reading, readingsType } from "../../core/wire/reading.ts";
import type { Door, OpenDoor } from "./_doors.ts";
import { RawPeer, type RawSession, suite } from "./_raw_peer.ts";
import { startTestSite, type TestSite } from "./_test_site.ts";

export const minute = 60_000;

export function startFog(): Promise<TestSite> {
  return startTestSite("fog-1", "[plugins.fog-aggregator]");
}

export interface Meter {
  readonly id: Id;
  readonly peer: RawPeer;
  readonly door: Door;
  readonly session: RawSession;
}

/** Enrols a meter, and lets it through the door without opening a session. */
export async function newMeter(
  fog: TestSite,
  name: string,
  openDoor: OpenDoor,
): Promise<Omit<Meter, "session">> {
  const id = parseId(name);
  const enrolment = await fog.site.enrol("meter", id, { ttl: minute });
  const door = await openDoor(fog, "meter", { id, url: enrolment.url });
  return { id, peer: new RawPeer(id, enrolment, { purpose: "meter" }), door };
}

/** Opens a session. */
export async function handshake({ peer, door }: Pick<Meter, "peer" | "door">): Promise<RawSession> {
  const { message1, finish } = peer.begin();
  return finish(await door.exchange(message1));
}

/** A meter that is enrolled, bound and connected. */
export async function connectedMeter(
  fog: TestSite,
  name: string,
  openDoor: OpenDoor,
): Promise<Meter> {
  const meter = await newMeter(fog, name, openDoor);
  const session = await handshake(meter);
  assert.equal(session.joined(await meter.door.exchange(session.enrol())), fog.site.name);
  return { ...meter, session };
}

export function reading(seq: number, t: number, change: Partial<Reading> = {}): Reading {
  return { seq, t, energy_Wh: seq, power_W: 500, voltage_mV: 230_000, flags: 0, ...change };
}

/** A signed batch. */
export function batch(meter: Id, readings: readonly Reading[], signer: Signer): Uint8Array {
  const payload = encodeBatch({ meter, register: parseId("r1"), readings });
  return signStatement(suite, signer, readingsType, payload);
}

/** How often sessions were refused, by purpose and reason. */
export function sessionRefusals(site: TestSite): Promise<Record<string, number>> {
  return site.counts("edgeward_session_refused_total", "purpose", "reason");
}

/** How often readings were refused, by reason. */
export function readingRefusals(site: TestSite): Promise<Record<string, number>> {
  return site.counts("edgeward_readings_refused_total", "reason");
}

/** Fails unless the deed is counted once, under this reason and no other, and nothing is stored. */
export async function refusedAs(
  fog: TestSite,
  reason: string,
  deed: () => Promise<unknown>,
): Promise<void> {
  const stored = await storedAt(fog);
  const before = await sessionRefusals(fog);
  await deed();
  const key = `meter ${reason}`;
  const expected = { ...before, [key]: (before[key] ?? 0) + 1 };
  assert.deepEqual(await sessionRefusals(fog), expected);
  assert.deepEqual(await storedAt(fog), stored);
}

/** All that peers can make a fog store. */
export async function storedAt(fog: TestSite): Promise<unknown> {
  const [tables, peers] = [
    ["readings", "batches", "registers", "quarantine", "windows", "waiting"],
    "SELECT kind, id, state, hex(noise_key), hex(sign_key), bound_at FROM peers ORDER BY kind, id",
  ];
  const counts = tables.map((table) => `(SELECT count(*) FROM fog_aggregator_${table}) ${table}`);
  return [await fog.rows(`SELECT ${counts}`), await fog.rows(peers)];
}
