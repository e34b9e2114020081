/**
 * What may become of a peer, against a table written down a second time, and what the answering side of
 * sessions makes of each state.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { equalBytes, isZero } from "../../base/bytes.ts";
import { parseId } from "../../base/id.ts";
import { Answerer } from "../../trust/session/answerer.ts";
import { Initiator, zeroPsk } from "../../trust/session/handshake.ts";
import type { Hello } from "../../trust/session/hello.ts";
import { approved, bound, enrolled, type Peer, PeerError } from "./_states.ts";
import { removed, replaced, revoked } from "./_states.ts";
import { suite } from "./_test_peers.ts";

const name = { kind: "meter", id: parseId("m-1") } as const;
const pairs = [0, 1, 2].map(() => suite.x25519.keyPair());
const signKeys = [0, 1].map(() => suite.randomBytes(32));
/** The psk of no code, and of two codes. */
const psks = [zeroPsk, suite.randomBytes(32), suite.randomBytes(32)];
const expiries = [0, 1_000, 2_000];

/** Numbers stand for keys, codes and their expiry. */
type Act =
  | { readonly act: "enrol"; readonly code: number }
  | { readonly act: "replaceByCode"; readonly code: number }
  | { readonly act: "bind"; readonly key: number; readonly sign: number }
  | { readonly act: "approve"; readonly key: number }
  | { readonly act: "replace"; readonly key: number; readonly holdsCode: boolean }
  | { readonly act: "revoke" }
  | { readonly act: "remove" };

const code = fc.constantFrom(1, 2);
const key = fc.constantFrom(0, 1, 2);
const acts: fc.Arbitrary<readonly Act[]> = fc.array(
  fc.oneof(
    fc.record({ act: fc.constantFrom("enrol", "replaceByCode"), code }),
    fc.record({ act: fc.constant("bind"), key, sign: fc.constantFrom(0, 1) }),
    fc.record({ act: fc.constant("approve"), key }),
    fc.record({ act: fc.constant("replace"), key, holdsCode: fc.boolean() }),
    fc.record({ act: fc.constantFrom("revoke", "remove") }),
  ),
  { maxLength: 20 },
) as fc.Arbitrary<readonly Act[]>;

/** What the functions do. @throws PeerError */
function real(peer: Peer | null, act: Act): Peer | null {
  const given = (code: number) => ({ psk: psks[code]!, expires: expiries[code]! });
  switch (act.act) {
    case "enrol":
      return enrolled(peer, name, given(act.code));
    case "replaceByCode":
      return replaced(peer, name, given(act.code));
    case "bind": {
      const keys = { noiseKey: pairs[act.key]!.publicKey, signKey: signKeys[act.sign]! };
      return bound(peer, name, keys);
    }
    case "approve":
      return approved(peer, name, pairs[act.key]!.publicKey);
    case "replace": {
      const { holdsCode } = act;
      return replaced(peer, name, { noiseKey: pairs[act.key]!.publicKey, holdsCode });
    }
    case "revoke":
      return revoked(peer, name);
    case "remove":
      return removed(peer, name);
  }
}

interface Model {
  readonly state: "nobody" | Peer["state"];
  readonly key: number | null;
  readonly sign: number | null;
  readonly psk: number;
  readonly expires: number;
}

const nobody: Model = { state: "nobody", key: null, sign: null, psk: 0, expires: 0 };

/** The same once more: the next state, or the code of the error. */
function model(was: Model, act: Act): Model | string {
  const { state } = was;
  if (act.act === "enrol") {
    if (state === "approved" || state === "revoked") return "peer_exists";
    return { ...nobody, state: "enrolled", psk: act.code, expires: expiries[act.code]! };
  }
  if (act.act === "bind") {
    const mayBind = state === "enrolled" ||
      state === "approved" && was.sign === null && was.key === act.key;
    return mayBind ? { ...was, state: "approved", key: act.key, sign: act.sign } : "peer_bound";
  }
  if (act.act === "approve") {
    if (state === "approved") return "peer_exists";
    if (state === "revoked") return "peer_revoked";
    return { ...nobody, state: "approved", key: act.key };
  }
  if (state === "nobody") return "peer_unknown";
  if (act.act === "remove") return nobody;
  if (act.act === "revoke") return { ...was, state: "revoked", psk: 0, expires: 0 };
  if (state === "revoked") return "peer_revoked";
  if (act.act === "replaceByCode") {
    return { ...nobody, state: "enrolled", psk: act.code, expires: expiries[act.code]! };
  }
  return { ...was, state: "approved", key: act.key, sign: null, psk: act.holdsCode ? was.psk : 0 };
}

/** What a model stands for. */
function peerOf({ state, key, sign, psk, expires }: Model): Peer | null {
  if (state === "nobody") return null;
  return {
    ...{ ...name, state, psk: psks[psk]!, codeExpires: expires },
    noiseKey: key === null ? null : pairs[key]!.publicKey,
    signKey: sign === null ? null : signKeys[sign]!,
  };
}

Deno.test("a peer becomes what a second table says, whatever is done to it in whatever order", () => {
  fc.assert(
    fc.property(acts, (acts) => {
      let [peer, was]: [Peer | null, Model] = [null, nobody];
      for (const act of acts) {
        const expected = model(was, act);
        if (typeof expected === "string") {
          const refusal = (error: unknown) => error instanceof PeerError && error.code === expected;
          assert.throws(() => real(peer, act), refusal, JSON.stringify([was, act]));
          continue;
        }
        const before: Peer | null = structuredClone(peer);
        const next = real(peer, act);
        assert.deepEqual(peer, before, "what it was has been altered");
        [peer, was] = [next, expected];
        assert.deepEqual(peer, peerOf(expected));
        if (peer === null) continue;
        if (peer.state === "approved") assert.ok(peer.noiseKey !== null);
        if (peer.state === "enrolled") assert.equal(peer.noiseKey ?? peer.signKey, null);
        if (peer.signKey !== null) assert.ok(peer.noiseKey !== null);
        if (peer.state === "revoked") assert.ok(isZero(peer.psk) && peer.codeExpires === 0);
      }
    }),
    { numRuns: 2_000 },
  );
});

const site = suite.x25519.keyPair();
const hello: Hello = { purpose: "meter", site: parseId("site-1"), device: name.id, versions: [2] };
const clock = () => 500;
/** Message 1 of each key under each psk, with what it came from. */
const messages = pairs.flatMap((staticKey) =>
  psks.map((psk) => {
    const options = { hello, staticKey, psk, clock, remoteStatic: site.publicKey };
    return { staticKey, psk, message1: new Initiator(suite, options).message1 };
  })
);

/** Whether a session is opened for a handshake. */
function admits(peer: Peer | null, message1: Uint8Array): boolean {
  const answerer = new Answerer({
    ...{ suite, site: parseId("site-1"), staticKey: site, purpose: "meter" },
    ...{ clock, wallClock: clock },
  });
  const step = answerer.take(message1);
  assert.ok(step.step === "knock");
  try {
    return answerer.admit(step.knock, peer).step === "reply" && answerer.size === 1;
  } catch {
    return false;
  }
}

Deno.test("a session is opened for the approved key with its psk, and for an unused code, alone", () => {
  fc.assert(
    fc.property(acts, (acts) => {
      let peer: Peer | null = null;
      for (const act of acts) {
        try {
          peer = real(peer, act);
        } catch { /* it stays what it was */ }
      }
      for (const { staticKey, psk, message1 } of messages) {
        const holdsPsk = peer !== null && equalBytes(peer.psk, psk);
        const isItsKey = peer?.state === "approved" &&
          equalBytes(peer.noiseKey!, staticKey.publicKey);
        const expected = holdsPsk && (isItsKey || peer?.state === "enrolled");
        assert.equal(admits(peer, message1), expected, `${peer?.state}`);
      }
    }),
    { numRuns: 60 },
  );
});
