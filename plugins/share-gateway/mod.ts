/**
 * share-gateway: holds a part of what opens a device's encrypted volume, and gives it to that device
 * alone, after its rules, an entry in the log and, if wanted, a person have said yes. A gateway by itself
 * opens nothing, and neither does a stolen device: it takes k gateways and the device.
 */
import { definePlugin } from "../../core/host/plugin.ts";
import { openCeremony } from "./ceremony.ts";
import { ceremonyRoutes } from "./ceremony_routes.ts";
import { check } from "./check.ts";
import { config, facesOf } from "./config.ts";
import { openGateway } from "./gateway.ts";
import { openGroup } from "./group.ts";
import { migrations } from "./tables.ts";

export default definePlugin({
  name: "share-gateway",
  summary: "Gives devices their parts of the keys to their volumes",
  config,
  needs: ["db", "http", "mqtt", "sessions"],
  claimsOf: facesOf,
  migrations,
  check,
  async start(host, config) {
    const group = await openGroup(host, config);
    const { routes } = await openGateway(host, config, { group, lock: group.lock });
    const ceremony = await openCeremony(host, config, { group });
    routes.route("/", ceremonyRoutes(ceremony, host.access));
    host.http.mount(routes);
  },
});
