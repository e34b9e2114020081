/** The border of the role: what a meter may say, and what it is told. */
import assert from "node:assert/strict";
import type { Id } from "../../core/base/id.ts";
import { type ContentType, signStatement } from "../../core/trust/statement.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import {
  decodeReceipt,
  encodeBatch,
  Flag,
  type Reading,
  readingsType,
} from "../../core/wire/reading.ts";
import { openTestFog, type TestFog } from "./_test_fog.ts";
import { count, dirtyWindows, minute, noon, reading, suite } from "./_test_store.ts";
import { receiveBatch } from "./receive.ts";
import { refusalOf } from "./refusals.ts";

const limits = { max_power_W: 5_000, max_voltage_V: 400 };
const signer = suite.ed25519.signer();
const meter = {
  ...{ kind: "meter", id: "m-1" as Id, state: "approved", codeExpires: 0 },
  ...{ noiseKey: null, signKey: signer.publicKey, psk: new Uint8Array(32) },
} satisfies Peer;

const signed = (
  readings: readonly Reading[],
  { id = "m-1", key = signer, type = readingsType as ContentType } = {},
) => {
  const payload = encodeBatch({ meter: id as Id, register: "r-1" as Id, readings });
  return signStatement(suite, key, type, payload);
};

/** The handler over a real store, and what it counts, says and answers. */
async function withHandler(
  use: (door: {
    send(statement: Uint8Array): Promise<ReturnType<typeof decodeReceipt>>;
    events(): TestFog["now"]["events"];
    counted(name: string): Promise<number>;
    block(reason: string | null): void;
    fog: TestFog;
  }) => Promise<void>,
  { confirmed = true } = {},
): Promise<void> {
  await using fog = await openTestFog({ config: limits });
  if (confirmed) fog.now.clock.learn(noon, 0);
  const { clock, host, ingest, tell, waiting } = fog.now;
  let blocked: string | null = null;
  const handler = receiveBatch(host, {
    ...{ clock, ingest, tell, waiting, limits },
    blocked: () => blocked,
  });
  await use({
    fog,
    events: () => fog.now.events,
    send: async (statement) => decodeReceipt(await handler(statement, meter)),
    block: (reason) => blocked = reason,
    counted: async (name) => {
      const text = await fog.now.metrics.text();
      const lines = text.matchAll(new RegExp(`^${name}{.*} (\\d+)$`, "gm"));
      return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
    },
  });
}

Deno.test("refusalOf() refuses what cannot be true and nothing else", () => {
  const cases: [ReturnType<typeof refusalOf>, Partial<Reading>][] = [
    [null, {}],
    [null, { t: 0 }],
    [null, { t: noon + 120_000 }],
    ["future", { t: noon + 120_001 }],
    ["future", { t: 2 ** 48 }],
    [null, { t: 2 ** 48, flags: Flag.clockUnset }],
    [null, { power_W: 5_000 }],
    [null, { power_W: -5_000 }],
    ["implausible", { power_W: 5_001 }],
    ["implausible", { power_W: -5_001 }],
    ["implausible", { power_W: 5_001, flags: Flag.clockUnset }],
    [null, { voltage_mV: 0 }],
    [null, { voltage_mV: 400_000 }],
    ["implausible", { voltage_mV: 400_001 }],
    [null, { flags: Flag.reset | Flag.rollover | Flag.estimated }],
  ];
  for (const [reason, fields] of cases) {
    assert.equal(refusalOf(reading(1, fields), noon, limits), reason, JSON.stringify(fields));
  }
});

Deno.test("receiveBatch() stores, counts and answers a batch, and knows it again", async () => {
  await withHandler(async ({ send, counted, fog }) => {
    const statement = signed([reading(1), reading(2)]);
    assert.deepEqual(await send(statement), { accepted: 2, duplicates: 0, refused: [] });
    assert.deepEqual(await send(statement), { accepted: 0, duplicates: 2, refused: [] });
    assert.equal(await count(fog.now.db, "readings"), 2);
    assert.equal(await counted("edgeward_readings_accepted_total"), 2);
    assert.equal(await counted("edgeward_readings_duplicate_total"), 2);
    assert.equal(await counted("edgeward_readings_refused_total"), 0);
  });
});

Deno.test("receiveBatch() refuses what is not authentic, not readable or not this meter's", async () => {
  await withHandler(async ({ send, counted, fog }) => {
    const forged = signed([reading(1)]);
    forged[forged.length - 1]! ^= 1;
    const cases: [string, Uint8Array][] = [
      ["forged", forged],
      ["wrong_key", signed([reading(1)], { key: suite.ed25519.signer() })],
      ["wrong_type", signed([reading(1)], { type: "application/edgeward-summary+cbor" })],
      ["wrong_meter", signed([reading(1)], { id: "m-2" })],
      ["malformed", signed([])],
      ["malformed", signed([reading(1, { power_W: 0.5 })])],
      ["malformed", new Uint8Array()],
    ];
    for (const [code, statement] of cases) await assert.rejects(send(statement), { code }, code);
    assert.equal(await count(fog.now.db, "readings"), 0);
    assert.equal(await counted("edgeward_readings_accepted_total"), 0);
  });
});

Deno.test("receiveBatch() refuses single readings with their reason, and takes the others", async () => {
  await withHandler(async ({ send, events, counted }) => {
    const future = reading(2, { t: noon + 3 * minute });
    const wild = reading(3, { power_W: 9_999 });
    assert.deepEqual(await send(signed([reading(1), future, wild])), {
      accepted: 1,
      duplicates: 0,
      refused: [{ seq: 2, reason: "future" }, { seq: 3, reason: "implausible" }],
    });
    assert.deepEqual(await send(signed([future])), {
      accepted: 0,
      duplicates: 0,
      refused: [{ seq: 2, reason: "future" }],
    });
    assert.equal(await counted("edgeward_readings_refused_total"), 3);
    const told = events().map(({ type, severity, detail }) => [type, severity, detail]);
    assert.deepEqual(told, [
      ["reading.refused", "warning", { reasons: { future: 1, implausible: 1 } }],
      ["reading.refused", "warning", { reasons: { future: 1 } }],
    ]);
  });
});

Deno.test("receiveBatch() alarms at a contradiction", async () => {
  await withHandler(async ({ send, events, fog }) => {
    await send(signed([reading(1)]));
    const receipt = await send(signed([reading(1, { energy_Wh: 7 }), reading(2)]));
    assert.deepEqual(receipt, {
      accepted: 1,
      duplicates: 0,
      refused: [{ seq: 1, reason: "conflict" }],
    });
    assert.deepEqual(events().map(({ severity }) => severity), ["alarm"]);
    assert.equal(await count(fog.now.db, "quarantine"), 1);
  });
});

Deno.test("receiveBatch() uses its own time for a meter that has none, and knows it later", async () => {
  await withHandler(async ({ send, fog }) => {
    const statement = signed([reading(1, { t: 0, flags: Flag.clockUnset })]);
    assert.equal((await send(statement)).accepted, 1);
    assert.deepEqual(await dirtyWindows(fog.now.store), [noon]);
    fog.pass(10 * minute);
    assert.deepEqual(await send(statement), { accepted: 0, duplicates: 1, refused: [] });
    assert.equal(await count(fog.now.db, "readings"), 1);
  });
});

Deno.test("receiveBatch() lets a batch wait while the time is in doubt, and answers as if it were new", async () => {
  await withHandler(async ({ send, fog, counted }) => {
    const statement = signed([
      reading(1, { t: noon + 3 * minute }),
      reading(2, { power_W: 9_999 }),
      reading(3, { t: noon + 60 * minute }),
    ]);
    const answer = { accepted: 2, duplicates: 0, refused: [{ seq: 2, reason: "implausible" }] };
    assert.deepEqual(await send(statement), answer);
    assert.deepEqual(await send(statement), answer);
    assert.match(fog.now.clock.doubt!, /1 of 1 meters/);
    const { db, waiting } = fog.now;
    assert.deepEqual([await count(db, "waiting"), await count(db, "readings")], [2, 0]);
    fog.pass(0);
    fog.time.wall += 60 * minute;
    fog.time.monotonic += 2_000;
    while (await waiting.replay());
    assert.deepEqual([await count(db, "waiting"), await count(db, "readings")], [0, 2]);
    assert.equal(await counted("edgeward_readings_accepted_total"), 2);
    assert.equal(await counted("edgeward_readings_refused_total"), 2);
  }, { confirmed: false });
});

Deno.test("receiveBatch() lets nothing wait that is not authentic, or of which nothing can be true", async () => {
  await withHandler(async ({ send, fog }) => {
    fog.time.wall = 0;
    const forged = signed([reading(1)]);
    forged[forged.length - 1]! ^= 1;
    await assert.rejects(send(forged), { code: "forged" });
    await assert.rejects(send(signed([reading(1)], { id: "m-2" })), { code: "wrong_meter" });
    const refused = [{ seq: 1, reason: "implausible" as const }];
    const receipt = await send(signed([reading(1, { power_W: 9_999 })]));
    assert.deepEqual(receipt, { accepted: 0, duplicates: 0, refused });
    assert.equal(await fog.now.waiting.count(), 0);
  }, { confirmed: false });
});

Deno.test("receiveBatch() takes nothing while the storage is full, known or not", async () => {
  await withHandler(async ({ send, block, fog }) => {
    const known = signed([reading(1)]);
    await send(known);
    block("the database has outgrown disk_budget");
    for (const statement of [known, signed([reading(2)])]) {
      await assert.rejects(send(statement), { code: "storage_full" });
    }
    block(null);
    assert.equal((await send(signed([reading(2)]))).accepted, 1);
    assert.equal(await count(fog.now.db, "readings"), 2);
  });
});
