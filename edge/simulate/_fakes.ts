/**
 * A fog whose handling of batches a test decides, with real sessions over a real listener; and a real
 * one, as `edgeward run` starts it.
 */
import { toHex } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { parseConfig } from "../../core/host/config/mod.ts";
import { type Site, startSite } from "../../core/host/site.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { openHttp } from "../../core/services/http/mod.ts";
import type { Log } from "../../core/services/logging.ts";
import { MetricsRegistry } from "../../core/services/metrics.ts";
import type { Admission, Peer } from "../../core/services/peers/mod.ts";
import { sessionsOf } from "../../core/services/sessions/mod.ts";
import { pskFromCode } from "../../core/trust/session/handshake.ts";
import { StatementVerifier } from "../../core/trust/statement.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import {
  type Batch,
  decodeBatch,
  encodeReceipt,
  readingsType,
  type Receipt,
} from "../../core/wire/reading.ts";
import { registry } from "../plugins.ts";

export const suite = nativeSuite();

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** What the fog was called with, as it came and verified. */
export interface Call {
  readonly statement: string;
  readonly batch: Batch;
}

export interface FakeFog extends AsyncDisposable {
  readonly calls: readonly Call[];
  enrol(id: Id): Enrolment;
}

/** Takes every batch unless `answer` says otherwise: by another receipt, or by throwing. */
export async function fakeFog(
  answer: (batch: Batch, call: number) => Receipt | Promise<Receipt> = takeAll,
): Promise<FakeFog> {
  await using stack = new AsyncDisposableStack();
  const site = parseId("fog-1");
  const staticKey = suite.x25519.keyPair();
  const calls: Call[] = [];
  const peers = new Map<Id, Peer>();
  const http = stack.use(openHttp({ listen: { hostname: "127.0.0.1", port: 0 }, log: silent }));
  const sessions = sessionsOf({
    suite,
    site,
    staticKey,
    signKey: staticKey.publicKey,
    peers: peersIn(peers),
    clock: Date.now,
    log: silent,
    metrics: new MetricsRegistry().scoped("fog"),
    http: http.router("fog-aggregator"),
    runOnce: { run: (_call, effect) => effect() },
    defer: (undo) => void stack.defer(undo),
  });
  await sessions.serve("meter", async (call, peer) => {
    const batch = decodeBatch(new StatementVerifier(suite, peer.signKey!, readingsType).open(call));
    calls.push({ statement: toHex(call), batch });
    return encodeReceipt(await answer(batch, calls.length));
  });
  const { port } = await http.listen();
  const kept = stack.move();
  return {
    calls,
    enrol(id) {
      const code = suite.randomBytes(16);
      const expires = Date.now() + 60_000;
      peers.set(id, {
        kind: "meter",
        id,
        state: "enrolled",
        noiseKey: null,
        signKey: null,
        psk: pskFromCode(suite, code, { site, device: id }),
        codeExpires: expires,
      });
      const url = `http://127.0.0.1:${port}`;
      return { code, site, url, noiseKey: staticKey.publicKey, expires };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export function takeAll({ readings }: Batch): Receipt {
  return { accepted: readings.length, duplicates: 0, refused: [] };
}

/** A site with the role fog-aggregator; `port` is the broker's, 0 takes a free one. */
export async function realFog(dir: string, port = 0): Promise<Site> {
  const text = `
    site = "fog-1"
    data_dir = "."
    [http]
    listen = "127.0.0.1:0"
    [admin]
    listen = "127.0.0.1:0"
    [mqtt]
    listen = "127.0.0.1:${port}"
    [plugins.fog-aggregator]`;
  const config = await parseConfig(text, { file: "site.toml", dir, registry });
  return await startSite(config, { version: "0" });
}

function peersIn(rows: Map<Id, Peer>): Admission {
  return {
    apply: () => Promise.resolve("pending"),
    watch: () => () => {},
    find: (_kind, id) => Promise.resolve(rows.get(id) ?? null),
    bind(peer, keys) {
      const bound: Peer = { ...peer, ...keys, state: "approved" };
      rows.set(peer.id, bound);
      return Promise.resolve(bound);
    },
  };
}
