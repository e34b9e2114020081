/** Metrics in Prometheus' text format, with the role as a label. */
import assert from "node:assert/strict";
import { MetricsRegistry } from "./metrics.ts";

async function lines(registry: MetricsRegistry): Promise<string[]> {
  return (await registry.text()).split("\n").filter((line) => /^\w/.test(line));
}

Deno.test("MetricsRegistry counts per role and label", async () => {
  const registry = new MetricsRegistry();
  const [a, b] = ["a", "b"].map((role) => registry.scoped(role));
  a!.counter("edgeward_x_total", "X").add();
  a!.counter("edgeward_x_total", "X").add(2);
  a!.counter("edgeward_x_total", "X").add(1, { reason: "late" });
  b!.counter("edgeward_x_total", "X").add(5);
  assert.deepEqual((await lines(registry)).sort(), [
    `edgeward_x_total{role="a",reason="late"} 1`,
    `edgeward_x_total{role="a"} 3`,
    `edgeward_x_total{role="b"} 5`,
  ]);
});

Deno.test("MetricsRegistry sets gauges and observes histograms", async () => {
  const registry = new MetricsRegistry();
  const metrics = registry.scoped("a");
  metrics.gauge("edgeward_g", "G").set(3);
  metrics.gauge("edgeward_g", "G").set(2);
  metrics.histogram("edgeward_h_seconds", "H").observe(0.2, { outcome: "good" });
  const text = await lines(registry);
  assert.ok(text.includes(`edgeward_g{role="a"} 2`));
  assert.ok(text.includes(`edgeward_h_seconds_sum{role="a",outcome="good"} 0.2`));
  assert.ok(text.includes(`edgeward_h_seconds_count{role="a",outcome="good"} 1`));
});

Deno.test("MetricsRegistry explains its metrics and keeps registries apart", async () => {
  const [one, other] = [new MetricsRegistry(), new MetricsRegistry()];
  one.scoped("a").counter("edgeward_x_total", "How many x").add();
  assert.match(await one.text(), /^# HELP edgeward_x_total How many x$/m);
  assert.match(await one.text(), /^# TYPE edgeward_x_total counter$/m);
  assert.deepEqual(await lines(other), []);
});

Deno.test("MetricsRegistry refuses a label that is not in its closed set", () => {
  const counter = new MetricsRegistry().scoped("a").counter("edgeward_x_total", "X");
  assert.throws(() => counter.add(1, { device: "m-1" }));
});
