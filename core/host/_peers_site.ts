/** A running site at whose door meters knock, asked over its admin socket, for the tests of this folder. */
import assert from "node:assert/strict";
import type { Desk } from "../services/desk.ts";
import { type Enrolment, enrolmentFromJson } from "../wire/enrolment.ts";
import type { PeerStatus } from "../wire/peer_status.ts";
import { ask, fake, fakeConfig, socketIn, temporaryFolder } from "./_fakes.ts";
import { type Site, startSite } from "./site.ts";

export const began = Date.parse("2026-07-31T12:00:00Z");

export interface TestSite extends AsyncDisposable {
  readonly site: Site;
  readonly time: { now: number };
  /** A role's door to the site's desk. */
  readonly desk: Desk;
  /** What a route answers; a string is a body as it stands. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }>;
  /** The peers that a route gives; fails unless the status is 200. */
  peers(method: string, path: string, body?: unknown): Promise<PeerStatus[]>;
  /** The enrolment that a route gives; fails unless the status is 201. */
  enrolment(path: string, body?: unknown): Promise<Enrolment>;
  /** The status and code of a refusal. */
  refusal(method: string, path: string, body?: unknown): Promise<string>;
}

/** A site that answers meters over HTTP. @param join whether strangers may apply: "open" unless given */
export async function openSite(join: "open" | "closed" = "open"): Promise<TestSite> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder()).path;
  let open: Desk | undefined;
  const meters = fake("meters", async ({ desk, sessions }) => {
    open = desk;
    await sessions.serve("meter", (call) => Promise.resolve(call));
  }, { needs: ["http", "sessions"], claims: ["/fog-aggregator/session"] });
  const config = await fakeConfig([meters], { folder, join });
  const time = { now: began };
  const site = stack.use(await startSite(config, { version: "0", clock: () => time.now }));
  const socket = socketIn(folder);
  const kept = stack.move();
  const request = (method: string, path: string, body?: unknown) =>
    ask(socket, path, {
      method,
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  return {
    ...{ site, time, desk: open!, ask: request },
    async peers(method, path, body) {
      const { status, text } = await request(method, path, body);
      assert.equal(status, 200, text);
      return JSON.parse(text).peers;
    },
    async enrolment(path, body) {
      const { status, text } = await request("POST", path, body);
      assert.equal(status, 201, text);
      return enrolmentFromJson(text);
    },
    async refusal(method, path, body) {
      const { status, text } = await request(method, path, body);
      const problem = JSON.parse(text);
      assert.deepEqual([problem.status, typeof problem.detail], [status, "string"], text);
      return `${status} ${problem.code}`;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export const absent = {
  ...{
    name: null,
    ban: null,
    fingerprint: null,
    statement_fingerprint: null,
    words: null,
    proof: null,
  },
  ...{ first_seen: null, last_seen: null, enrolled: null, bound: null, code_expires: null },
};
export const at = (t: number) => new Date(t).toISOString();
/** Each with its state. */
export const names = (peers: readonly PeerStatus[]) =>
  peers.map(({ kind, id, state }) => `${kind}/${id} ${state}`);
