/**
 * Counters, gauges and histograms in Prometheus' text format. One registry per site; what a role
 * makes bears the label `role`. Label values come from closed sets, never from outside.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

type Labels = Readonly<Record<string, string>>;

/** Makes instruments; the same name twice gives the same instrument. */
export interface Metrics {
  /** Names end in `_total`. */
  counter(name: string, help: string): { add(amount?: number, labels?: Labels): void };
  gauge(name: string, help: string): { set(value: number, labels?: Labels): void };
  /** Observes seconds. */
  histogram(name: string, help: string): { observe(seconds: number, labels?: Labels): void };
}

/** The registry of one site. */
export class MetricsRegistry {
  readonly #registry = new Registry();

  /** Instruments that carry `role` as a label. */
  scoped(role: string): Metrics {
    return {
      counter: (name, help) => {
        const counter = this.#instrument(
          name,
          () => new Counter({ name, help, labelNames, registers: [this.#registry] }),
        );
        return { add: (amount = 1, labels = {}) => counter.inc({ role, ...labels }, amount) };
      },
      gauge: (name, help) => {
        const gauge = this.#instrument(
          name,
          () => new Gauge({ name, help, labelNames, registers: [this.#registry] }),
        );
        return { set: (value, labels = {}) => gauge.set({ role, ...labels }, value) };
      },
      histogram: (name, help) => {
        const histogram = this.#instrument(
          name,
          () => new Histogram({ name, help, labelNames, registers: [this.#registry] }),
        );
        return {
          observe: (seconds, labels = {}) => histogram.observe({ role, ...labels }, seconds),
        };
      },
    };
  }

  /** The whole registry in the text format 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #instrument<T>(name: string, make: () => T): T {
    return (this.#registry.getSingleMetric(name) as T | undefined) ?? make();
  }
}

/** Every label that an instrument may carry. */
const labelNames: string[] = ["role", "reason", "purpose", "outcome", "method", "status"];
