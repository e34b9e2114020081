/**
 * Messages of `unlock` sessions and boot events: what was encoded comes back, nothing else is taken, and
 * whatever else comes is refused with the parser's own error.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { equalBytes, toHex } from "../base/bytes.ts";
import { type Id, parseId } from "../base/id.ts";
import { nativeSuite } from "../services/crypto_native.ts";
import { type Cbor, decodeCbor, encodeCbor } from "../trust/cbor.ts";
import { mutationsOf } from "./_mutations.ts";
import {
  type BootEvent,
  BootEventError,
  bootEvents,
  decodeBootEvent,
  encodeBootEvent,
} from "./boot_event.ts";
import {
  type Boot,
  decodeRosters,
  decodeUnlockCall,
  decodeUnlockReply,
  deniedReasons,
  encodeRosters,
  encodeUnlockCall,
  encodeUnlockReply,
  fittingRosters,
  requestName,
  type UnlockCall,
  UnlockError,
  type UnlockReply,
} from "./unlock.ts";

const plain = { noNullPrototype: true };
const some = { requiredKeys: ["denied"] as ["denied"], ...plain };
const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/) as fc.Arbitrary<Id>;
const int = (min: number, max: number) => fc.integer({ min, max });
const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const boot: fc.Arbitrary<Boot> = fc.record({
  counter: int(1, Number.MAX_SAFE_INTEGER),
  id: bytes(16),
}, plain);
const common = { volume: bytes(16), boot };
const asking = { call: fc.constant("unlock" as const), seal: fc.boolean(), ...common };

const call: fc.Arbitrary<UnlockCall> = fc.oneof(
  fc.record({
    ...asking,
    ...{ scheme: fc.constant("voprf" as const), group: bytes(32), epoch: int(1, 2 ** 31) },
    proof: fc.boolean(),
  }, plain),
  fc.record({
    ...asking,
    ...{ scheme: fc.constantFrom("shamir" as const, "xor" as const), group: fc.constant(null) },
    ...{ epoch: fc.constant(0), proof: fc.constant(false) },
  }, plain),
  fc.tuple(int(2, 32), int(2, 32), int(1, 32)).chain(([a, b, c]) => {
    const [k, n] = [Math.min(a, b), Math.max(a, b)];
    return fc.record({
      ...{ call: fc.constant("deposit" as const), ...common, piece: bytes(1, 64) },
      scheme: fc.constantFrom("shamir" as const, ...(k === n ? ["xor" as const] : [])),
      ...{ k: fc.constant(k), n: fc.constant(n), index: fc.constant(Math.min(c, n)) },
    }, plain);
  }),
  fc.record({ call: fc.constant("rosters" as const), after: int(0, 2 ** 31) }, plain),
  fc.record({ call: fc.constant("report" as const), statement: bytes(1, 2_048) }, plain),
);
const rosters = fc.array(bytes(0, 40), { maxLength: 64 });
const reply: fc.Arbitrary<UnlockReply> = fc.oneof(
  fc.record({
    ...{ epoch: int(0, 2 ** 31), answer: bytes(1, 64), proof: fc.option(bytes(64)) },
  }, plain),
  fc.record({
    ...{ denied: fc.constantFrom(...deniedReasons), retry_ms: int(0, 3_600_000), rosters },
    request: fc.stringMatching(/^[a-z2-7]{8}$/),
  }, some),
);
const bootEvent: fc.Arbitrary<BootEvent> = fc.record({
  ...{ event: fc.constantFrom(...bootEvents), device: id, volume: fc.option(bytes(16)) },
  ...{ boot, t: int(0, 2 ** 48) },
}, plain);

const messages: readonly Message<unknown>[] = [
  message({ of: call, write: encodeUnlockCall, read: decodeUnlockCall, error: UnlockError }),
  message({ of: reply, write: encodeUnlockReply, read: decodeUnlockReply, error: UnlockError }),
  message({ of: rosters, write: encodeRosters, read: decodeRosters, error: UnlockError }),
  message({ of: bootEvent, write: encodeBootEvent, read: decodeBootEvent, error: BootEventError }),
];

interface Message<T> {
  readonly of: fc.Arbitrary<T>;
  readonly write: (value: T) => Uint8Array;
  readonly read: (bytes: Uint8Array) => T;
  readonly error: new (...args: never[]) => Error;
}

function message<T>(one: Message<T>): Message<unknown> {
  return one as unknown as Message<unknown>;
}

for (const { of, write, read, error } of messages) {
  Deno.test(`${read.name}() gives what ${write.name}() took`, () => {
    fc.assert(fc.property(of, (value) => assert.deepEqual(read(write(value)), value)));
  });

  Deno.test(`${read.name}() takes only what it would write itself`, () => {
    const samples = fc.sample(of, { numRuns: 40, seed: 7 }).map(write);
    let taken = 0;
    for (const input of mutationsOf(samples, { seed: 11, count: 20_000 })) {
      try {
        const value = read(input);
        taken++;
        if (!equalBytes(write(value), input)) assert.fail(`It takes ${toHex(input)}`);
      } catch (thrown) {
        if (!(thrown instanceof error)) throw thrown;
      }
    }
    assert.ok(taken > 100 && taken < 15_000, `${taken}`);
  });
}

const volume = new Uint8Array(16).fill(7);
const aBoot: Boot = { counter: 3, id: new Uint8Array(16).fill(9) };
const asked: UnlockCall = {
  ...{ call: "unlock", scheme: "voprf", volume, group: new Uint8Array(32), epoch: 1 },
  ...{ proof: true, boot: aBoot, seal: false },
};
const deposited: UnlockCall = {
  ...{ call: "deposit", scheme: "shamir", volume, k: 2, n: 3, index: 3 },
  ...{ piece: new Uint8Array(33), boot: aBoot },
};

/** The encoding with some members replaced. */
function altered(encoded: Uint8Array, members: Record<string, Cbor>): Uint8Array {
  const map = decodeCbor(encoded) as ReadonlyMap<string, Cbor>;
  return encodeCbor(new Map([...map, ...Object.entries(members)]));
}

Deno.test("a request does not say that it is one, and what it says of its scheme is consistent", () => {
  const encoded = encodeUnlockCall(asked);
  const map = decodeCbor(encoded) as ReadonlyMap<string, Cbor>;
  assert.deepEqual([...map.keys()].sort(), [
    ...["boot", "epoch", "group", "proof", "scheme", "seal", "volume"],
  ]);
  const wrong: Record<string, Cbor>[] = [
    ...[{ call: "unlock" }, { scheme: "tang" }, { scheme: "xor" }, { group: null }, { epoch: 0 }],
    ...[{ group: new Uint8Array(31) }, { epoch: 2 ** 31 + 1 }, { proof: 1 }, { seal: null }],
    ...[{ volume: new Uint8Array(17) }, { boot: [0, aBoot.id] }, { boot: [1, volume, 1] }],
    ...[{ boot: [1, new Uint8Array(15)] }, { more: 1 }],
    { scheme: "xor", group: null, epoch: 0 }, // pieces have no proof
  ];
  for (const members of wrong) {
    assert.throws(() => decodeUnlockCall(altered(encoded, members)), UnlockError);
  }
  const pieces = { scheme: "xor", group: null, epoch: 0, proof: false };
  assert.equal(decodeUnlockCall(altered(encoded, pieces)).call, "unlock");
});

Deno.test("a deposit is within the bounds of its scheme", () => {
  const encoded = encodeUnlockCall(deposited);
  const wrong: Record<string, Cbor>[] = [
    ...[{ k: 1 }, { k: 4 }, { n: 33 }, { n: 1, k: 1 }, { index: 0 }, { index: 4 }, {
      scheme: "xor",
    }],
    ...[{ scheme: "voprf" }, { piece: new Uint8Array(0) }, { piece: new Uint8Array(65) }],
  ];
  for (const members of wrong) {
    assert.throws(() => decodeUnlockCall(altered(encoded, members)), UnlockError);
  }
  assert.ok(decodeUnlockCall(altered(encoded, { scheme: "xor", k: 3 })));
});

Deno.test("an answer and a denial are not mixed, and both are bounded", () => {
  const answer = { epoch: 1, answer: new Uint8Array(32), proof: null };
  const wrong: Cbor[] = [
    ...[{ ...answer, denied: "refused" }, { ...answer, answer: new Uint8Array(65) }],
    ...[{ ...answer, proof: new Uint8Array(63) }, { ...answer, answer: new Uint8Array(0) }],
    ...[{ denied: "no" }, { denied: null }, { denied: "rate", retry_ms: -1 }],
    ...[{ denied: "rate", retry_ms: 3_600_001 }, { denied: "pending", request: ["abcdefgh"] }],
    ...[{ denied: "pending", request: "abcdefg1" }, { denied: "epoch", rosters: "x" }],
    { denied: "epoch", rosters: Array(65).fill(volume) },
    { denied: "epoch", rosters: [new Uint8Array(30_001), new Uint8Array(30_000)] },
  ];
  for (const item of wrong) {
    assert.throws(() => decodeUnlockReply(encodeCbor(item)), UnlockError, JSON.stringify(item));
  }
});

Deno.test("fittingRosters() gives as many as decodeRosters() takes", () => {
  const many = Array.from({ length: 70 }, () => new Uint8Array(1_500));
  const fitting = fittingRosters(many);
  assert.equal(fitting.length, 40);
  assert.equal(decodeRosters(encodeRosters(fitting)).length, 40);
  assert.throws(() => decodeRosters(encodeRosters(many.slice(0, 41))), UnlockError);
  assert.equal(fittingRosters(Array(70).fill(volume)).length, 64);
  assert.equal(fittingRosters([volume]).length, 1);
});

Deno.test("requestName() is the same at every gateway, and another one for another start", () => {
  const suite = nativeSuite();
  const device = parseId("vm-7");
  const name = requestName(suite, { device, volume, boot: aBoot });
  assert.match(name, /^[a-z2-7]{8}$/);
  assert.equal(name, requestName(suite, { device, volume, boot: { ...aBoot, counter: 4 } }));
  const other = { counter: 3, id: new Uint8Array(16) };
  assert.notEqual(name, requestName(suite, { device, volume, boot: other }));
});
