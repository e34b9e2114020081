/**
 * What can go wrong between a site and its broker, as one closed set of codes. `mqtt_down`,
 * `mqtt_busy` and `mqtt_timeout` say that a message may be sent again later; the others that asking
 * again changes nothing.
 */
import { CodedError } from "../../base/errors.ts";

export type MqttErrorCode =
  | "listen_failed"
  | "mqtt_busy"
  | "mqtt_down"
  | "mqtt_packet"
  | "mqtt_refused"
  | "mqtt_timeout"
  | "mqtt_tls"
  | "mqtt_too_large"
  | "mqtt_topic"
  | "mqtt_url"
  | "mqtt_users"
  | "port_busy";

/** An error of the MQTT service. */
export class MqttError extends CodedError<MqttErrorCode> {
  override readonly name = "MqttError";
}
