/**
 * telegram-notifier: what happens at a site, in a Telegram chat; and a way to answer. Events come in
 * groups and at a bearable rate, questions with buttons, and people that the configuration names may
 * look, decide and shut out, each as far as their role goes and with their name in the site's history.
 */
import { definePlugin } from "../../core/host/plugin.ts";
import { check } from "./check.ts";
import { config } from "./config.ts";
import { startNotifier } from "./notifier.ts";
import { migrations } from "./tables.ts";

export default definePlugin({
  name: "telegram-notifier",
  summary: "Tells Telegram chats what happens, and takes commands and decisions from there",
  config,
  needs: ["db", "http", "peers"],
  // those that offer something to ask
  after: ["share-gateway", "mqtt-auth-gateway", "fog-aggregator", "cloud-summary"],
  migrations,
  check,
  async start(host, config) {
    await startNotifier(host, config);
  },
});
