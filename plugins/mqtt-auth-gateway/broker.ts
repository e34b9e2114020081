/** The broker as the gateway's status shows it. */
import { type MqttClient, shortcomingsOf } from "../../core/services/mqtt/mod.ts";
import { instant } from "./shown.ts";

/**
 * What an operator wants to know of the broker: `can` is what it was seen to do, null until somebody has
 * looked; `shortcomings` are what the site needs of it and does not get, each with what to do about it.
 */
export function shownBroker({ connected, broker }: Pick<MqttClient, "connected" | "broker">) {
  const { url, since, reconnects, hasRival, facts } = broker;
  return {
    ...{ url, connected, since: instant(since), reconnects, rival: hasRival },
    can: facts && {
      name: facts.name,
      wildcards: facts.wildcards,
      qos: facts.qos,
      largest_message: facts.largest,
      retains: facts.retains,
      new_sessions: facts.forgets,
    },
    shortcomings: [
      ...(hasRival ? [rivalry] : []),
      ...(facts === null ? [] : shortcomingsOf(facts)),
    ],
  };
}

const rivalry = {
  what: "another client seems to use this site's client id",
  hint: "each takes the connection from the other: find the second site of this name, or let no " +
    "other user of the broker have the id",
};
