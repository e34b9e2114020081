/** Topic names and filters (MQTT 3.1.1 §4.7) and the small rules around a connection. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { backoff } from "./_backoff.ts";
import { localBrokerUrl, parseBrokerUrl } from "./_broker_url.ts";
import { RivalWatch } from "./_rival.ts";
import { covers, isFilter, isTopic, matches } from "./_topic.ts";

Deno.test("matches() follows the examples of the standard", () => {
  const yes = [
    ["sport/tennis/player1/#", "sport/tennis/player1"],
    ["sport/tennis/player1/#", "sport/tennis/player1/ranking"],
    ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"],
    ["sport/#", "sport"],
    ["#", "any/topic"],
    ["sport/tennis/+", "sport/tennis/player1"],
    ["sport/+", "sport/"],
    ["+/+", "/finance"],
    ["/+", "/finance"],
    ["$SYS/#", "$SYS/monitor/Clients"],
    ["$SYS/monitor/+", "$SYS/monitor/Clients"],
    ["a//b", "a//b"],
  ] as const;
  const no = [
    ["sport/tennis/+", "sport/tennis/player1/ranking"],
    ["sport/+", "sport"],
    ["+", "/finance"],
    ["#", "$SYS/monitor"],
    ["+/monitor/Clients", "$SYS/monitor/Clients"],
    ["a/b", "a/b/c"],
    ["a/b/c", "a/b"],
    ["A", "a"],
  ] as const;
  for (const [filter, topic] of yes) {
    assert.equal(matches(filter, topic), true, `${filter} ${topic}`);
  }
  for (const [filter, topic] of no) {
    assert.equal(matches(filter, topic), false, `${filter} ${topic}`);
  }
});

Deno.test("covers() holds exactly when every topic of the narrow filter matches the wide one", () => {
  const word = fc.constantFrom("a", "b", "", "$c", "+");
  const filter = fc.tuple(fc.array(word, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([words, isOpen]) => [...words, ...(isOpen ? ["#"] : [])].join("/"))
    .filter(isFilter);
  /** Topics that stand for all that the filter matches: no filter above names a "z". */
  const topics = (narrow: string): string[] => {
    const levels = narrow.split("/").map((level) => level === "+" ? ["a", "b", "", "z"] : [level]);
    const ends = levels.at(-1)![0] === "#" ? [[], ["z"], ["z", "z"], ["z", "z", "z", "z"]] : [[]];
    if (ends.length > 1) levels.pop();
    let heads: string[][] = [[]];
    for (const level of levels) {
      heads = heads.flatMap((head) => level.map((word) => [...head, word]));
    }
    return heads.flatMap((head) => ends.map((end) => [...head, ...end].join("/")))
      .filter((topic) => matches(narrow, topic));
  };
  fc.assert(
    fc.property(filter, filter, (wide, narrow) => {
      const all = topics(narrow);
      if (all.length === 0) return;
      assert.equal(covers(wide, narrow), all.every((topic) => matches(wide, topic)));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("isTopic() and isFilter() accept what every broker accepts", () => {
  for (const text of ["a", "/", "a//b", "edgeward/meter/up/x_1-2", "é"]) {
    assert.ok(isTopic(text) && isFilter(text), text);
  }
  for (const text of ["#", "+", "a/+/b", "a/#", "+/+"]) {
    assert.ok(!isTopic(text) && isFilter(text), text);
  }
  for (const text of ["", "a+", "+a/b", "#/a", "a#", "a\0", "a\x7f", "x".repeat(1025)]) {
    assert.ok(!isTopic(text) && !isFilter(text), JSON.stringify(text));
  }
});

Deno.test("parseBrokerUrl() fills in ports and unwraps IPv6 addresses", () => {
  assert.deepEqual(parseBrokerUrl("mqtt://broker"), {
    protocol: "mqtt",
    host: "broker",
    port: 1883,
    prefix: "",
    text: "mqtt://broker:1883",
  });
  assert.deepEqual(parseBrokerUrl("mqtts://[::1]:8884/"), {
    protocol: "mqtts",
    host: "::1",
    port: 8884,
    prefix: "",
    text: "mqtts://[::1]:8884",
  });
  // What follows the path may be a token, so it is not in the text for people.
  assert.deepEqual(parseBrokerUrl("wss://broker/mqtt?token=1#plant/hall-2"), {
    protocol: "wss",
    host: "broker",
    port: 443,
    prefix: "plant/hall-2",
    path: "/mqtt?token=1",
    text: "wss://broker:443/mqtt#plant/hall-2",
  });
});

Deno.test("localBrokerUrl() replaces addresses that only listen", () => {
  assert.equal(localBrokerUrl({ hostname: "0.0.0.0", port: 1 }).text, "mqtt://127.0.0.1:1");
  assert.equal(localBrokerUrl({ hostname: "::", port: 1 }).text, "mqtt://[::1]:1");
  assert.equal(localBrokerUrl({ hostname: "localhost", port: 1 }).text, "mqtt://localhost:1");
});

Deno.test("backoff() doubles to half a minute, half of it chance", () => {
  assert.deepEqual([0, 1, 2, 20].map((n) => backoff(n, 0)), [250, 500, 1_000, 15_000]);
  assert.deepEqual([0, 1, 2, 20].map((n) => backoff(n, 1)), [500, 1_000, 2_000, 30_000]);
});

Deno.test("backoff() may be allowed a longer ceiling", () => {
  assert.deepEqual([6, 9, 20].map((n) => backoff(n, 1, 300_000)), [32_000, 256_000, 300_000]);
});

Deno.test("RivalWatch suspects a rival when connections that work end again and again", () => {
  const minute = 60_000;
  const works = { worked: true, byBroker: true };
  const watch = new RivalWatch();
  assert.deepEqual([0, 1, 2, 3].map((t) => watch.ended(works, t * minute)), [
    false,
    false,
    true,
    true,
  ]);
  // A broker that was away was restarted.
  assert.equal(watch.ended({ worked: false, byBroker: false }, 4 * minute), false);
  assert.equal(watch.ended(works, 5 * minute), false);
  assert.equal(watch.ended({ worked: false, byBroker: true }, 5 * minute), false);
  // A network that fails is no rival, and an hour is enough to forget.
  const network = { worked: true, byBroker: false };
  assert.deepEqual([6, 7, 8].map((t) => watch.ended(network, t * minute)), [false, false, false]);
  assert.deepEqual([60, 120, 180].map((t) => watch.ended(works, t * minute)), [
    false,
    false,
    false,
  ]);
  assert.equal(watch.left(180 * minute), 0);
  // The third of three within half an hour; suspicion ends when the first of them is forgotten.
  for (const t of [181, 182]) watch.ended(works, t * minute);
  assert.equal(watch.left(200 * minute), 10 * minute);
  assert.equal(watch.left(210 * minute), 0);
});
