/** The peers of the site that runs on this machine, as its admin socket tells of them. */
import type { EnrolmentJson } from "../../core/wire/enrolment.ts";
import type { JoinStatus, PeerStatus } from "../../core/wire/peer_status.ts";
import { askSite } from "../admin_client.ts";
import { loadSite } from "../options.ts";
import { nameText, parseName, type PeerName } from "./name.ts";

/** By what a device is recognised. A code is one that it was born with. */
export type Evidence =
  | { readonly words: string }
  | { readonly fingerprint: string }
  | { readonly code: string };

/** Each change gives what is known under the name afterwards. All of it throws what the site refuses. */
export interface PeersClient {
  /** Whoever waits comes first. */
  list(): Promise<readonly PeerStatus[]>;
  /** Everybody, and whether strangers may apply. */
  overview(): Promise<{ readonly peers: readonly PeerStatus[]; readonly join: JoinStatus }>;
  /** Reads a name as people write it. */
  name(text: string): Promise<PeerName>;
  show(name: PeerName): Promise<readonly PeerStatus[]>;
  /** @param by.ttl how long a code works, in milliseconds */
  approve(name: PeerName, by: Evidence & { ttl?: number }): Promise<readonly PeerStatus[]>;
  revoke(name: PeerName): Promise<readonly PeerStatus[]>;
  remove(name: PeerName): Promise<readonly PeerStatus[]>;
  replace(name: PeerName, by: Evidence): Promise<readonly PeerStatus[]>;
  /** Makes a code for the hardware to come. */
  replaceByCode(name: PeerName, options: { ttl: number }): Promise<EnrolmentJson>;
  /** @param options.for_ms milliseconds. @param options.key true, or its fingerprint: not the name */
  ban(
    name: PeerName,
    options: { for_ms?: number; reason?: string; key?: true | string },
  ): Promise<readonly PeerStatus[]>;
  unban(name: PeerName): Promise<readonly PeerStatus[]>;
  /** Says what people call it; null for nothing. */
  rename(name: PeerName, to: string | null): Promise<readonly PeerStatus[]>;
  /** Lets strangers apply for so many milliseconds. */
  openJoin(milliseconds: number): Promise<JoinStatus>;
  closeJoin(): Promise<JoinStatus>;
}

/** @param config the configuration of the site, or its usual place. @throws ConfigError */
export async function peersClient(config: string | undefined): Promise<PeersClient> {
  const { data_dir } = await loadSite(config);
  const list = async () => peersIn(await askSite(data_dir, "/peers"));
  const change = async (name: PeerName, what: string, body: unknown = {}) =>
    await askSite(data_dir, `/peers/${nameText(name)}/${what}`, { method: "POST", body });
  const joinAfter = async (options: { method: string; body?: unknown }) =>
    (await askSite(data_dir, "/peers/join", options) as { join: JoinStatus }).join;
  return {
    list,
    async overview() {
      const answer = await askSite(data_dir, "/peers");
      return { peers: peersIn(answer), join: (answer as { join: JoinStatus }).join };
    },
    name: (text) => parseName(text, list),
    show: async (name) => peersIn(await askSite(data_dir, `/peers/${nameText(name)}`)),
    approve: async (name, by) => peersIn(await change(name, "approve", by)),
    revoke: async (name) => peersIn(await change(name, "revoke")),
    replace: async (name, by) => peersIn(await change(name, "replace", by)),
    remove: async (name) =>
      peersIn(await askSite(data_dir, `/peers/${nameText(name)}`, { method: "DELETE" })),
    replaceByCode: async (name, options) => await change(name, "replace", options) as EnrolmentJson,
    ban: async (name, options) => peersIn(await change(name, "ban", options)),
    unban: async (name) => peersIn(await change(name, "unban")),
    rename: async (name, to) => peersIn(await change(name, "name", { name: to })),
    openJoin: (milliseconds) => joinAfter({ method: "POST", body: { for_ms: milliseconds } }),
    closeJoin: () => joinAfter({ method: "DELETE" }),
  };
}

/** Who it is comes first, for whoever reads the JSON. */
function peersIn(answer: unknown): readonly PeerStatus[] {
  const { peers } = answer as { peers: PeerStatus[] };
  return peers.map(({ kind, id, state, ...facts }) => ({ kind, id, state, ...facts }));
}
