/** What the listener counts. Labels come from closed sets: no path and no address is among them. */
import type { Metrics } from "../metrics.ts";

/** Why something did not become a request, or a request was not given to its route. */
export type Refused =
  | "full"
  | "client_full"
  | "rate_limited"
  | "head_timeout"
  | "head_too_large"
  | "malformed"
  | "body_timeout"
  | "body_too_large"
  | "body_cut"
  | "bodies_full"
  | "not_found"
  | "expectation_failed"
  | "tls";

export interface HttpMetrics {
  answered(role: string, request: { method: string; status: number; seconds: number }): void;
  refused(reason: Refused): void;
  connections(count: number): void;
}

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** @param metrics without it nothing is counted */
export function httpMetrics(metrics: Metrics | undefined): HttpMetrics {
  if (metrics === undefined) return { answered() {}, refused() {}, connections() {} };
  const requests = metrics.counter("edgeward_http_requests_total", "Requests answered");
  const seconds = metrics.histogram("edgeward_http_request_seconds", "From head to answer");
  const refused = metrics.counter("edgeward_http_refused_total", "Refused before a route ran");
  const connections = metrics.gauge("edgeward_http_connections", "Open connections");
  return {
    answered(role, { method, status, seconds: time }) {
      const known = methods.has(method) ? method : "OTHER";
      requests.add(1, { role, method: known, status: String(status) });
      seconds.observe(time, { role });
    },
    refused: (reason) => refused.add(1, { reason }),
    connections: (count) => connections.set(count),
  };
}
