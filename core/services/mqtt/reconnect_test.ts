/** How a client comes back to its broker: later each time, by every way there is, and beside a rival. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Secret } from "../../base/secret.ts";
import { MetricsRegistry } from "../metrics.ts";
import { backoff } from "./_backoff.ts";
import { stateWatch } from "./_broker_checks.ts";
import { localBrokerUrl, parseBrokerUrl } from "./_broker_url.ts";
import { type ClientOptions, ReconnectingClient } from "./_client.ts";
import { log, open, operator } from "./_test_broker.ts";

const site = {
  ...{ clientId: "edgeward-site", log },
  ...{ username: operator.username, password: new Secret(operator.password) },
};

Deno.test("backoff() never exceeds its ceiling, and at least half of it is certain", () => {
  fc.assert(fc.property(
    fc.nat(1_000_000),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.integer({ min: 1_000, max: 600_000 }),
    (n, random, most) => {
      const wait = backoff(n, random, most);
      const ceiling = Math.min(most, 500 * 2 ** n);
      assert.ok(wait >= ceiling / 2 && wait <= ceiling, `${wait}`);
    },
  ));
  const devices = Array.from({ length: 100 }, () => backoff(20, Math.random()));
  assert.ok(Math.max(...devices) - Math.min(...devices) > 5_000, "they come back one by one");
});

for (const protocol of ["mqtt", "mqtts", "ws", "wss"] as const) {
  Deno.test(`over ${protocol} a client whose broker hangs up waits longer before each attempt`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepting = (async () => {
      for await (const connection of listener) connection.close();
    })();
    const asked: number[] = [];
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    {
      await using _client = new ReconnectingClient({
        ...site,
        url: parseBrokerUrl(`${protocol}://127.0.0.1:${listener.addr.port}`),
        wait(n) {
          if (asked.push(n) === 4) resolve();
          return 1;
        },
      });
      await enough;
    }
    assert.deepEqual(asked.slice(0, 4), [0, 1, 2, 3]);
    listener.close();
    await accepting;
  });
}

Deno.test("a client counts how often it came back, and since when it is as it is", async () => {
  const registry = new MetricsRegistry();
  const states = stateWatch();
  let now = 1_000;
  const first = await open();
  const { port } = first;
  await using client = new ReconnectingClient({
    ...{ ...site, url: localBrokerUrl(first), onState: states.onState, wait: () => 5 },
    ...{ metrics: registry.scoped("host"), clock: () => now },
  });
  await states.until("up");
  const { url, ...known } = client.broker;
  assert.equal(url, `mqtt://127.0.0.1:${port}`);
  assert.deepEqual(known, { since: 1_000, reconnects: 0, hasRival: false, facts: null });
  now = 2_000;
  await first[Symbol.asyncDispose]();
  await states.until("down");
  assert.deepEqual([client.connected, client.broker.since], [false, 2_000]);
  now = 3_000;
  await using _second = await open({ port });
  await states.until("up");
  assert.deepEqual([client.broker.since, client.broker.reconnects], [3_000, 1]);
  assert.match(await registry.text(), /^edgeward_mqtt_reconnects_total{role="host"} 1$/m);
});

Deno.test("a rival is told of once, named while it may be there, and forgotten when it is gone", async () => {
  await using broker = await open();
  const [states, rivalStates] = [stateWatch(), stateWatch()];
  const waits: (number | undefined)[] = [];
  let told = 0;
  const common: ClientOptions = { ...site, url: localBrokerUrl(broker) };
  await using client = new ReconnectingClient({
    ...{ ...common, onState: states.onState, onRival: () => told++, memory: 5_000 },
    wait(_n, most) {
      waits.push(most);
      return 20;
    },
  });
  {
    await using _rival = new ReconnectingClient({
      ...{ ...common, onState: rivalStates.onState, wait: () => 20 },
    });
    const detail = await states.until("impaired");
    assert.match(detail, /^connected to .*; another client seems to use our client id "edgeward-/);
    assert.deepEqual([told, client.broker.hasRival], [1, true]);
    assert.ok(waits.includes(60_000), "its longest wait is a minute then");
    await rivalStates.until("down", /another client/);
  }
  await states.until("up");
  assert.equal(client.broker.hasRival, false);
});
