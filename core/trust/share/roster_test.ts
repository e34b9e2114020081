/** Rosters: one encoding, within bounds, signed by all; and which one may follow which. */
import assert from "node:assert/strict";
import { concat, toHex } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import { type Cbor, decodeCbor, encodeCbor } from "../cbor.ts";
import { encodeSign1, splitSign1 } from "../cose_sign1.ts";
import { smallOrderEncodings } from "../small_order.ts";
import { signStatement } from "../statement.ts";
import { groupOf, signedBy, signersOf } from "./_test_group.ts";
import { deal } from "./dealing.ts";
import {
  decodeRoster,
  decodeSignedRoster,
  encodeRoster,
  encodeSignedRoster,
  follows,
  type Roster,
  rosterType,
  type SignedRoster,
  signRoster,
  verifyRoster,
} from "./roster.ts";
import { ShareError } from "./scheme.ts";

const suite = nativeSuite();
const group = groupOf(suite, deal(suite, { k: 2, n: 3 }));
const { roster, signed, signers } = group;

function refuses(code: string, act: () => unknown, what?: string): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof ShareError, `${what}: ${error}`);
    assert.equal(error.code, code, `${what}: ${error.message}`);
    return true;
  }, what);
}

Deno.test("a roster and a signed one come back as they were", () => {
  assert.deepEqual(decodeRoster(encodeRoster(roster)), roster);
  assert.deepEqual(decodeSignedRoster(encodeSignedRoster(signed)), signed);
  verifyRoster(suite, decodeSignedRoster(encodeSignedRoster(signed)));
});

Deno.test("the largest group fits: 32 members with the longest names and addresses", () => {
  const { commitments } = deal(suite, { k: 32, n: 32 });
  const largest: Roster = {
    ...{ group: parseId("g".repeat(64)), epoch: 2 ** 31, k: 32, n: 32, commitments },
    dealers: commitments,
    members: signersOf(suite, 32).map(({ publicKey }, i) => ({
      index: i + 1,
      id: parseId(`${i + 10}${"x".repeat(62)}`),
      url: `https://${"a".repeat(248)}`,
      noiseKey: publicKey,
      signKey: publicKey,
    })),
  };
  assert.deepEqual(decodeRoster(encodeRoster(largest)), largest);
  const all = signedBy(suite, largest, [...signersOf(suite, 32), ...signersOf(suite, 32, 33)]);
  assert.deepEqual(decodeSignedRoster(encodeSignedRoster(all)), all);
  verifyRoster(suite, all);
  const tooMany = signedBy(suite, largest, signersOf(suite, 65));
  refuses("malformed", () => encodeSignedRoster(tooMany));
  const members = largest.members.map((one) => ({ ...one, url: `${one.url}a` }));
  refuses("malformed", () => encodeRoster({ ...largest, members }));
});

/** Rosters that nobody may write or read, by what is wrong with them. */
function badRosters(): [string, Roster][] {
  const [first, second, third] = roster.members as [
    Roster["members"][0],
    Roster["members"][0],
    Roster["members"][0],
  ];
  const withSecond = (change: Partial<typeof second>) => ({
    members: [first, { ...second, ...change }, third],
  });
  const [C0, C1] = roster.commitments as [Uint8Array, Uint8Array];
  const notElement = new Uint8Array(32).fill(255);
  const changes: Record<string, Partial<Record<keyof Roster, unknown>>> = {
    "no name": { group: "" },
    "a name that is none": { group: "a/b" },
    "epoch 0": { epoch: 0 },
    "half an epoch": { epoch: 1.5 },
    "an epoch too high": { epoch: 2 ** 31 + 1 },
    "k 0": { k: 0, commitments: [] },
    "k above n": { k: 4, commitments: [C0, C1, C0, C1] },
    "n of more than there are": { n: 4 },
    "n of fewer than there are": { n: 2 },
    "no members": { k: 0, n: 0, members: [] },
    "a member missing": { members: [first, second] },
    "members in another order": { members: [second, first, third] },
    "one index twice": withSecond({ index: 1 }),
    "a gap": withSecond({ index: 4 }),
    "one id twice": withSecond({ id: first.id }),
    "an id that is none": withSecond({ id: "a b" as typeof first.id }),
    "one session key twice": withSecond({ noiseKey: first.noiseKey }),
    "one statement key twice": withSecond({ signKey: first.signKey }),
    "a session key too short": withSecond({ noiseKey: new Uint8Array(31) }),
    "a statement key too long": withSecond({ signKey: new Uint8Array(33) }),
    "no address": withSecond({ url: "" }),
    "an address that is none": withSecond({ url: "https://" }),
    "an address of another kind": withSecond({ url: "file:///etc/passwd" }),
    "an address with a space": withSecond({ url: "https://a b" }),
    "an address with a control character": withSecond({ url: "https://a\x1b[2J" }),
    "an address with a newline behind it": withSecond({ url: "https://a\n" }),
    "an address too long": withSecond({ url: `https://${"a".repeat(249)}` }),
    "a commitment missing": { commitments: [C0] },
    "a commitment too many": { commitments: [C0, C1, C0] },
    "the identity as a commitment": { commitments: [C0, new Uint8Array(32)] },
    "no group key": { commitments: [new Uint8Array(32), C1] },
    "a commitment that is no element": { commitments: [notElement, C1] },
    "a commitment too short": { commitments: [C0, C1.slice(1)] },
    "no dealers": { dealers: [] },
    "too many dealers": { dealers: Array(33).fill(C0) },
    "a dealer's hash too short": { dealers: [new Uint8Array(31)] },
  };
  return Object.entries(changes).map((
    [what, change],
  ) => [what, { ...roster, ...change } as Roster]);
}

/** As `encodeRoster`, without its checks. */
function written(roster: Roster): Cbor {
  const members = roster.members.map(({ index, id, url, noiseKey, signKey }) => {
    return { index, id, url, noise_key: noiseKey, sign_key: signKey };
  });
  return { ...roster, members };
}

for (const [what, bad] of badRosters()) {
  Deno.test(`a roster with ${what} is neither written, read, signed nor taken`, () => {
    refuses("malformed", () => encodeRoster(bad), "written");
    if (Number.isInteger(bad.epoch)) { // there are no floats in our CBOR
      const payload = encodeCbor(written(bad));
      refuses("malformed", () => decodeRoster(payload), "read");
      refuses("malformed", () => signRoster(suite, signers[0]!, payload), "signed");
      const statements = signers.map((one) => signStatement(suite, one, rosterType, payload));
      refuses(
        "malformed",
        () => verifyRoster(suite, { roster: bad, payload, statements }),
        "taken",
      );
    }
  });
}

Deno.test("decodeRoster() takes maps with these members and types only", () => {
  assert.deepEqual(encodeCbor(written(roster)), encodeRoster(roster));
  const map = decodeCbor(encodeRoster(roster)) as ReadonlyMap<string, Cbor>;
  const member = (map.get("members") as Cbor[])[1] as ReadonlyMap<string, Cbor>;
  const withMember = (one: Cbor) => {
    return new Map(map).set("members", (map.get("members") as Cbor[]).with(1, one));
  };
  const others: Cbor[] = [null, true, -1, "x", new Uint8Array(3), [], [null], new Map()];
  for (const key of map.keys()) {
    const without = new Map(map);
    without.delete(key);
    refuses("malformed", () => decodeRoster(encodeCbor(without)), key);
    for (const other of others) {
      if (key === "group" && other === "x") continue;
      const changed = new Map(map).set(key, other);
      refuses("malformed", () => decodeRoster(encodeCbor(changed)), `${key}: ${other}`);
    }
  }
  for (const key of member.keys()) {
    const without = new Map(member);
    without.delete(key);
    refuses("malformed", () => decodeRoster(encodeCbor(withMember(without))), key);
    for (const other of others) {
      if (key === "id" && other === "x") continue;
      const changed = encodeCbor(withMember(new Map(member).set(key, other)));
      refuses("malformed", () => decodeRoster(changed), `${key}: ${other}`);
    }
  }
  refuses("malformed", () => decodeRoster(encodeCbor(new Map(map).set("more", 1))));
  refuses("malformed", () => decodeRoster(encodeCbor(withMember(new Map(member).set("more", 1)))));
  assert.throws(() => decodeRoster(new Uint8Array(16 * 1024 + 1)), /too long/);
  assert.throws(() => decodeSignedRoster(new Uint8Array(24 * 1024)), /too long/);
});

Deno.test("every signed roster that was cut, or changed in one bit, is refused", () => {
  const bytes = encodeSignedRoster(signed);
  const take = (bytes: Uint8Array) => verifyRoster(suite, decodeSignedRoster(bytes));
  take(bytes);
  for (let i = 0; i < bytes.length; i++) {
    assert.throws(() => take(bytes.slice(0, i)), ShareError, `cut at ${i}`);
    const flipped = bytes.with(i, bytes[i]! ^ 1 << i % 8);
    assert.throws(() => take(flipped), ShareError, `changed at ${i}`);
  }
  assert.throws(() => take(concat(bytes, Uint8Array.of(0))), ShareError);
});

Deno.test("decodeSignedRoster() takes whole signatures only, one of each signer", () => {
  const [kid, signature] = [new Uint8Array(32), new Uint8Array(64)];
  const { payload } = signed;
  const bad: Cbor[] = [
    ...[[[kid]], [[kid, signature, 0]], [[signature, kid]], [[kid.slice(1), signature]]],
    ...[[[kid, signature.slice(1)]], [kid, signature], [null], ["text"], [new Map()], null],
    [[kid, signature], [kid, signature.with(0, 1)]],
  ];
  for (const signatures of bad) {
    refuses("malformed", () => decodeSignedRoster(encodeCbor({ payload, signatures })));
  }
  assert.equal(decodeSignedRoster(encodeCbor({ payload, signatures: [] })).statements.length, 0);
  refuses("malformed", () => decodeSignedRoster(encodeCbor({ payload })));
  refuses("malformed", () => decodeSignedRoster(encodeCbor({ payload, signatures: [], x: 1 })));
});

Deno.test("encodeSignedRoster() refuses statements that are not over this roster", () => {
  const other = groupOf(suite, deal(suite, { k: 1, n: 3 })).signed;
  const otherType = signStatement(
    suite,
    signers[0]!,
    "application/edgeward-x+cbor",
    signed.payload,
  );
  const parts = splitSign1(signed.statements[0]!)!;
  const ofOtherLength = encodeSign1({ ...parts, signature: parts.signature.slice(1) });
  for (const bad of [other.statements[0]!, otherType, ofOtherLength, new Uint8Array(3)]) {
    refuses("malformed", () => {
      encodeSignedRoster({ ...signed, statements: [bad, ...signed.statements.slice(1)] });
    });
  }
  const twice = [...signed.statements, signed.statements[0]!];
  refuses("malformed", () => encodeSignedRoster({ ...signed, statements: twice }));
});

Deno.test("verifyRoster() asks every member for its signature, over just this payload", () => {
  for (const [i, { id }] of roster.members.entries()) {
    const missing = { ...signed, statements: signed.statements.toSpliced(i, 1) };
    refuses("roster_unsigned", () => verifyRoster(suite, missing), id);
    assert.throws(() => verifyRoster(suite, missing), new RegExp(`${id} did not sign`));
    const foreign = { ...signed, statements: signed.statements.with(i, signers[i]!.publicKey) };
    refuses("roster_unsigned", () => verifyRoster(suite, foreign), id);
    const payload = encodeRoster({ ...roster, epoch: 9 });
    const other = signRoster(suite, signers[i]!, payload); // its own, but about another roster
    const swapped = { ...signed, statements: signed.statements.with(i, other) };
    refuses("roster_unsigned", () => verifyRoster(suite, swapped), id);
    const ofAnotherType = signStatement(suite, signers[i]!, "application/edgeward-x+cbor", payload);
    const cheated = { ...signed, statements: signed.statements.with(i, ofAnotherType) };
    refuses("roster_unsigned", () => verifyRoster(suite, cheated), id);
  }
  const [stranger] = signersOf(suite, 1, 50);
  const more = {
    ...signed,
    statements: [...signed.statements, signRoster(suite, stranger!, signed.payload)],
  };
  verifyRoster(suite, more); // one of the roster before, perhaps: it harms nobody
});

Deno.test("verifyRoster() refuses a roster that is not what its payload says", () => {
  const other = { ...roster, epoch: 2 };
  refuses("malformed", () => verifyRoster(suite, { ...signed, roster: other }));
});

Deno.test("verifyRoster() refuses keys under which every signature would do", () => {
  for (const key of smallOrderEncodings()) {
    const members = roster.members.with(1, { ...roster.members[1]!, signKey: key });
    const bad = { ...roster, members };
    const statements = signedBy(suite, bad, signers).statements;
    const forged = { roster: bad, payload: encodeRoster(bad), statements };
    refuses("roster_unsigned", () => verifyRoster(suite, forged), toHex(key));
  }
});

/** The next roster: the same key shared anew, with these members' keys. */
function next(options: { signers: SignedRoster["statements"] | typeof signers; epoch?: number }) {
  const signers = options.signers as typeof group.signers;
  const { commitments } = deal(suite, { k: 2, n: signers.length });
  const dealing = {
    shares: signers.map(() => new Uint8Array(32)),
    commitments: [roster.commitments[0]!, ...commitments.slice(1)],
  };
  return groupOf(suite, dealing, { epoch: 2, ...options, signers: [...signers] });
}

Deno.test("follows() takes the same members' next epoch, however high, and no other order", () => {
  for (const epoch of [2, 3, 1000]) follows(suite, roster, next({ signers, epoch }).signed);
  const later = groupOf(suite, group, { epoch: 5 });
  for (const epoch of [1, 4, 5]) {
    refuses("roster_stale", () => follows(suite, later.roster, next({ signers, epoch }).signed));
  }
  refuses("roster_stale", () => follows(suite, roster, signed));
});

Deno.test("follows() refuses another group: another key, or another name", () => {
  const otherKey = groupOf(suite, deal(suite, { k: 2, n: 3 }), { epoch: 2 });
  refuses("roster_foreign", () => follows(suite, roster, otherKey.signed));
  const otherName = groupOf(suite, group, { epoch: 2, name: "other" });
  refuses("roster_foreign", () => follows(suite, roster, otherName.signed));
});

Deno.test("follows() asks for k members of the held roster, and for all new ones", () => {
  const fresh = signersOf(suite, 4, 10);
  const endorsedBy = (next: { roster: Roster }, by: typeof signers) => {
    return signedBy(suite, next.roster, by);
  };
  // every gateway replaced: two of the old three must sign as well
  const replaced = next({ signers: fresh });
  refuses("roster_unsigned", () => follows(suite, roster, replaced.signed));
  const one = endorsedBy(replaced, [...fresh, signers[2]!]);
  assert.throws(() => follows(suite, roster, one), /1 members of epoch 1 signed it, not 2/);
  follows(suite, roster, endorsedBy(replaced, [...fresh, signers[2]!, signers[0]!]));
  follows(suite, roster, endorsedBy(replaced, [...signers, ...fresh]));
  refuses("roster_unsigned", () => {
    follows(suite, roster, endorsedBy(replaced, [...signers, ...fresh.slice(1)]));
  });
  // one gateway replaced: the two that stay are old and new at once
  const changed = next({ signers: [signers[0]!, fresh[0]!, signers[2]!] });
  follows(suite, roster, changed.signed);
  // members with the names of old ones, but keys of their own
  const impostors = next({ signers: fresh.slice(0, 3) });
  assert.deepEqual(
    impostors.roster.members.map(({ id }) => id),
    roster.members.map(({ id }) => id),
  );
  refuses("roster_unsigned", () => follows(suite, roster, impostors.signed));
});

Deno.test("follows() counts no signature of an old member that is wrong", () => {
  const fresh = signersOf(suite, 3, 10);
  const replaced = next({ signers: fresh });
  const good = signedBy(suite, replaced.roster, [...fresh, signers[0]!, signers[1]!]);
  follows(suite, roster, good);
  const parts = splitSign1(good.statements[4]!)!;
  const signature = parts.signature.with(0, parts.signature[0]! ^ 1);
  const statements = good.statements.with(4, encodeSign1({ ...parts, signature }));
  refuses("roster_unsigned", () => follows(suite, roster, { ...good, statements }));
});
