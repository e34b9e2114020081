/** What a probe finds of the embedded broker, and of one that lies or falls silent. */
import assert from "node:assert/strict";
import { localBrokerUrl } from "./_broker_url.ts";
import { probeBroker } from "./_probe.ts";
import { shortcomingsOf } from "./_shortcomings.ts";
import { log, open, operator } from "./_test_broker.ts";
import { openMqtt } from "./mod.ts";
import { Secret } from "../../base/secret.ts";

const signal = new AbortController().signal;
const good = {
  ...{ name: "x", wildcards: true, qos: 1, largest: 65_553, retains: true, forgets: true },
};

Deno.test("what is known of the embedded broker is what a probe of it finds", async () => {
  await using broker = await open();
  const { name: _, ...seen } = await probeBroker({
    ...{ url: localBrokerUrl(broker), clientId: "edgeward-site", signal },
    ...{ username: operator.username, password: new Secret(operator.password) },
  });
  const listen = { hostname: "127.0.0.1", port: 0 };
  await using mqtt = await openMqtt({ url: "embedded", clientId: "edgeward-site", listen, log });
  const { name, ...known } = mqtt.client.broker.facts!;
  assert.deepEqual(known, seen);
  assert.equal(name, "edgeward");
  assert.deepEqual(shortcomingsOf(mqtt.client.broker.facts!), []);
});

Deno.test("a probe of a broker that lets one do nothing says so", async () => {
  await using broker = await open();
  const facts = await probeBroker({
    ...{ url: localBrokerUrl(broker), clientId: "lamp-1", signal, timeout: 100 },
  });
  assert.deepEqual(facts, {
    ...{ name: null, wildcards: false, qos: 0, largest: 0, retains: null, forgets: null },
  });
});

Deno.test("shortcomingsOf() says of each fact what it means, and nothing of what is not needed", () => {
  const of = (facts: Partial<typeof good>) =>
    shortcomingsOf({ ...good, ...facts }).map(({ what }) => what);
  assert.deepEqual(of({}), []);
  assert.deepEqual(shortcomingsOf({ ...good, name: null, retains: null, forgets: null }), []);
  assert.match(of({ wildcards: false }).join(), /^it refuses subscriptions with a wildcard/);
  assert.match(
    of({ largest: 0, qos: 0 }).join(),
    /^a message .* does not come back to its sender$/,
  );
  assert.match(of({ largest: 8_192 }).join(), /^a message of 65553 bytes does not arrive$/);
  assert.match(of({ qos: 0 }).join(), /^it grants QoS 0 only$/);
  assert.match(of({ forgets: false }).join(), /^it goes on with old sessions/);
  assert.match(shortcomingsOf({ ...good, largest: 8_192 })[0]!.hint, /^messages of 8192 bytes do;/);
});
