/**
 * The roles in this binary, by name. Each import is literal, so that `deno compile` finds it, and
 * lazy, so that a role that is switched off costs no memory.
 */
import type { Registry } from "../core/host/plugin.ts";

export const registry: Registry = {
  "fog-aggregator": () => import("../plugins/fog-aggregator/mod.ts"),
  "cloud-summary": () => import("../plugins/cloud-summary/mod.ts"),
  "share-gateway": () => import("../plugins/share-gateway/mod.ts"),
  "mqtt-auth-gateway": () => import("../plugins/mqtt-auth-gateway/mod.ts"),
  "telegram-notifier": () => import("../plugins/telegram-notifier/mod.ts"),
};
