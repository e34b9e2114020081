/** Profile v1 as a part of the role: what it listens to, what it keeps, and what it hears of devices. */
import type { Id } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { rateLimit } from "../../core/services/token_bucket.ts";
import type { Config } from "./config.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Emit } from "./events.ts";
import { type Dropped, LegacyGateway } from "./legacy.ts";
import { LegacyStore } from "./legacy_store.ts";
import type { Registry } from "./registry.ts";

export interface V1 {
  readonly store: LegacyStore;
  readonly gateway: LegacyGateway;
  /** Takes what is no session frame. */
  readonly message: (topic: string, payload: Uint8Array) => void;
  /** Listens to connects from now on. */
  begin(): Promise<void>;
  /** The device speaks v2 now: what v1 has of it is forgotten. */
  upgraded(id: Id): void;
  /** Forgets keys that have had their time. */
  expire(): Promise<void>;
  status(): { readonly psks: number; readonly devices: number };
}

const connectTopic = "jrpc/connect/request";
/** Alarms of one device in ten minutes, and of all in one: anybody can make them. */
const alarmRate = { perSecond: 1 / 600, burst: 1 };
const alarmRates = { perSecond: 1 / 6, burst: 10 };

export async function v1Of(
  host: Host & Pick<Services, "db" | "mqtt" | "peers">,
  config: Pick<Config, "v1_hooks" | "v1_clock_skew">,
  { registry, dispatch, emit }: { registry: Registry; dispatch: Dispatch; emit: Emit },
): Promise<V1> {
  const { db, mqtt, peers, secrets, suite, clock, log, metrics } = host;
  const store = await LegacyStore.open({ db, secrets, clock });
  const dropped = metrics.counter(
    "edgeward_rpc_v1_dropped_total",
    "Messages of profile v1 that led to nothing, by reason",
  );
  const drop = (reason: string) => dropped.add(1, { reason });
  const mayAlarm = rateLimit(alarmRate, { most: 10_000 });
  const mayAllAlarm = rateLimit(alarmRates, { most: 1 });
  const gateway = new LegacyGateway({
    ...{ suite, store, peers, registry, dispatch, clock, log, drop, once: config.v1_hooks },
    publish: (topic, payload) => mqtt.publish(topic, payload),
    alarm(id) {
      const now = clock();
      if (!mayAlarm(id, now) || !mayAllAlarm("", now)) return;
      emit("device.conflict", id, { kind: "device", reason: "downgrade" }, "alarm");
    },
    ...(config.v1_clock_skew !== undefined && { maxSkew: config.v1_clock_skew / 1_000 }),
  });
  host.defer(() => gateway.close());
  registry.listen({
    approved: (id, peer) => void gateway.approved(id, peer),
    ended: (id, why) => end(id, why),
  });
  await forgetStale();

  function end(id: Id, why: Parameters<LegacyGateway["ended"]>[1]): void {
    gateway.ended(id, why).catch((error) => {
      log.error("keys of v1 are not forgotten yet: they will be at the next start", { error });
    });
  }

  /** What a stop has left behind: keys of devices that are not let in any more. */
  async function forgetStale(): Promise<void> {
    const rows = (await peers.list()).filter(({ kind }) => kind === "device");
    for (const { id, state } of rows) if (state === "revoked") await gateway.ended(id, "revoked");
    const approved = new Set<string>(
      rows.flatMap(({ id, state, signKey }) =>
        state === "approved" && signKey === null ? [id] : []
      ),
    );
    for (const id of await store.withKeys()) {
      if (!approved.has(id)) await gateway.ended(id as Id, "replaced");
    }
  }

  return {
    store,
    gateway,
    message: (_topic, payload) => void gateway.message(payload),
    async begin() {
      // the role's subscriptions end with it
      await mqtt.subscribe(connectTopic, ({ payload, retained }) => {
        if (retained) drop("retained" satisfies Dropped);
        else void gateway.connect(payload);
      });
    },
    upgraded(id) {
      if (store.has(id)) end(id, "upgraded");
    },
    async expire() {
      for (const id of await store.expired()) await gateway.ended(id as Id, "expired");
    },
    status() {
      let devices = 0;
      for (const { profile } of registry.entries()) if (profile === "v1") devices++;
      return { psks: store.size, devices };
    },
  };
}
