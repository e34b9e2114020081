/** What a person does at a fog: starting it, letting a device in, and looking at what became of it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { decodeReceipt } from "../../core/wire/reading.ts";
import { askSite } from "../../edge/admin_client.ts";
import { batch, reading } from "./_fog.ts";
import type { RawSession } from "./_raw_peer.ts";
import type { Stranger } from "./_stranger.ts";
import { SiteProcess } from "./site_process.ts";

export function startFogProcess(folder: string): Promise<SiteProcess> {
  return SiteProcess.start(join(folder, "fog"), "fog-1", "[plugins.fog-aggregator]");
}

/** A fog to which strangers may come for an hour. */
export async function startOpenFog(folder: string): Promise<SiteProcess> {
  const site = await startFogProcess(folder);
  await askSite(site.dataDir, "/peers/join", { method: "POST", body: { for_ms: 3_600_000 } });
  return site;
}

/** Decides about a peer, and expects it to work; gives what the command printed. */
export async function decide(site: SiteProcess, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await site.operate(["peers", ...args]);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Expects a decision to be refused, with this on standard error, and nobody to be known who was not. */
export async function refusedDecision(
  site: SiteProcess,
  args: readonly string[],
  why: RegExp,
  stdin?: string,
): Promise<void> {
  const known = async () => (await site.peers()).filter(({ proof }) => proof === null);
  const before = await known();
  const { code, stdout, stderr } = await site.operate(["peers", ...args], stdin);
  assert.deepEqual([code, stdout], [3, ""], stderr);
  assert.match(stderr, why);
  assert.match(stderr, /^edgeward: hint: /m);
  assert.deepEqual(await known(), before);
}

/** Lets a device in by its words, without the command line between. */
export async function letIn(site: SiteProcess, device: Stranger): Promise<RawSession> {
  const { words, session } = await device.meet();
  const path = `/peers/meter/${device.id}/approve`;
  await askSite(site.dataDir, path, { method: "POST", body: { words } });
  assert.equal(session.joined(await device.door.exchange(session.enrol())), "fog-1");
  return session;
}

/** The states of all peers with this id. */
export async function statesOf(site: SiteProcess, id: string): Promise<string[]> {
  return (await site.peers()).filter((peer) => peer.id === id).map(({ state }) => state);
}

/** A call with one reading. */
export function callOf({ id, signer }: Stranger, session: RawSession, seq: number): Uint8Array {
  return session.call(batch(id, [reading(seq, Date.now())], signer));
}

/** Sends a reading and checks that it is taken. */
export async function measures(device: Stranger, session: RawSession, seq: number): Promise<void> {
  const answer = session.answer(await device.door.exchange(callOf(device, session, seq)));
  if (typeof answer === "string") throw new Error(`Expected a receipt, got a refusal: ${answer}`);
  assert.deepEqual(decodeReceipt(answer), { accepted: 1, duplicates: 0, refused: [] });
}
