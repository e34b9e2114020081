/**
 * mqtt-auth-gateway: trust over a broker that nobody controls. Devices open authenticated sessions with
 * the site and call it by JSON-RPC, each what it may; people let them in, see how they are and call
 * them. Profile v2 is Noise; the prototype's v1 is spoken where the configuration says so.
 */
import { definePlugin } from "../../core/host/plugin.ts";
import { shownBroker } from "./broker.ts";
import { Calls } from "./calls.ts";
import { check } from "./check.ts";
import { config } from "./config.ts";
import { offerPresence } from "./desk.ts";
import { Directory } from "./directory.ts";
import { dispatcher } from "./dispatch.ts";
import { emitterOf } from "./events.ts";
import { Feed } from "./feed.ts";
import { deviceMessage, eventMessage } from "./messages.ts";
import { v1Of } from "./v1.ts";
import { liveFeed } from "./live.ts";
import { methodsOf } from "./methods.ts";
import { operatorCalls } from "./operate.ts";
import { Registry } from "./registry.ts";
import { gatewayRoutes } from "./routes.ts";
import { rpcHandler } from "./rpc.ts";
import { shownJoin } from "./shown.ts";
import { migrations } from "./tables.ts";
import { telemetryOf } from "./telemetry.ts";
import { startTicking } from "./ticking.ts";

export default definePlugin({
  name: "mqtt-auth-gateway",
  summary: "Lets devices in over any MQTT broker and carries JSON-RPC between them and the site",
  config,
  needs: ["db", "http", "mqtt", "peers", "sessions"],
  migrations,
  check,
  async start(host, config) {
    const { db, clock, log, suite, metrics, audit, bus, peers } = host;
    const emit = emitterOf(bus);
    const feed = new Feed({ clock });
    const silence = (id: string) =>
      (Object.hasOwn(config.devices, id) ? config.devices[id]!.silence : undefined) ??
        config.silence;
    const registry = await Registry.open({ db, peers, suite, clock, log, emit, silence });
    const calls = new Calls({
      ...{ db, clock, log, metrics, kept: config.calls_kept },
      isKnown: (device) => registry.find(device) !== undefined,
      onCall: ({ at: _, ...call }) => feed.tell({ type: "call", ...call }),
    });
    const telemetry = telemetryOf({ db, clock });
    const methods = methodsOf({
      ...{ config, clock, telemetry },
      onTelemetry: (device, values) => emit("device.telemetry", device, { values }),
    });
    const dispatch = dispatcher({
      ...{ site: host.site, config, sessions: host.sessions, registry, methods, calls, audit, log },
      onEvent: (device, method, params) => emit("device.event", device, { method, params }),
    });
    const v1 = config.profiles.includes("v1")
      ? await v1Of(host, config, { registry, dispatch, emit })
      : null;

    registry.listen({ changed: (id, entry) => feed.tell(deviceMessage(id, entry)) });
    host.defer(bus.listen((event) => {
      const message = eventMessage(event);
      if (message !== null) feed.tell(message);
    }));
    registry.begin();

    const served = await host.sessions.serve("rpc", rpcHandler(dispatch), {
      onActivity(device, what) {
        if (what !== "frame") return;
        registry.heard(device, "v2");
        v1?.upgraded(device);
      },
      ...(v1 !== null && { legacy: v1.message }),
    });
    await v1?.begin();

    const require: typeof host.access.require = (role) => host.access.require(role);
    const directory = new Directory({ suite, registry, peers, calls, telemetry });
    const legacy = v1?.gateway ?? null;
    const live = liveFeed(feed, require("viewer"));
    host.defer(() => live.close());
    const routes = gatewayRoutes({
      ...{ suite, db, audit, emit, registry, directory, v1, seq: () => feed.seq },
      callDevice: operatorCalls({ suite, db, audit, registry, served, legacy, calls }),
      status: () =>
        Promise.resolve({
          devices: directory.counts(),
          join: shownJoin(peers.join()),
          profiles: config.profiles,
          legacy: v1?.status() ?? null,
          broker: shownBroker(host.mqtt),
          live: { clients: live.clients(), seq: feed.seq },
        }),
    }, require);
    routes.route("/", live.routes);
    host.http.mount(routes);
    offerPresence(host, registry);
    startTicking(host, { registry, calls, directory, feed, v1 });
  },
});
