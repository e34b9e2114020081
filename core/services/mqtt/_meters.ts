/** What the MQTT service counts: clients of the embedded broker, and what it or its client refuses. */
import type { Metrics } from "../metrics.ts";
import type { Refused } from "./_limits.ts";

export interface Meters {
  readonly refused: Refused;
  readonly clients: (count: number) => void;
}

/** Counts connections to the broker that were made after the first. */
export function reconnections(metrics?: Metrics): () => void {
  const made = metrics?.counter(
    "edgeward_mqtt_reconnects_total",
    "Connections to the broker that were made after the first",
  );
  made?.add(0);
  return () => made?.add();
}

/** Instruments of the site's registry; without one nothing is counted. */
export function metersOf(metrics?: Metrics): Meters {
  const refusals = metrics?.counter(
    "edgeward_mqtt_refused_total",
    "Connections and messages that MQTT refused or cut, by reason",
  );
  const clients = metrics?.gauge(
    "edgeward_mqtt_clients",
    "Clients of the embedded broker, the site's own not counted",
  );
  return {
    refused: (reason) => refusals?.add(1, { reason }),
    clients: (count) => clients?.set(count),
  };
}
