/** Signatures checked on other threads, against the Suite's own verdicts. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { packSignatures, unpackSignatures } from "./_verification_message.ts";
import { nativeSuite } from "./crypto_native.ts";
import { VerificationPool } from "./verification.ts";

const suite = nativeSuite();
const complaints: string[] = [];
const log = {
  debug() {},
  info() {},
  warn() {},
  error: (message: string) => void complaints.push(message),
};

/** Signatures of three keys, some of them wrong in one bit of the key's, message's or their own. */
function signatures(count: number) {
  const signers = [1, 2, 3].map(() => suite.ed25519.signer());
  return Array.from({ length: count }, (_, i) => {
    const signer = signers[i % 3]!;
    const message = suite.randomBytes(i % 300);
    const signature = signer.sign(message);
    const other = signers[(i + 1) % 3]!;
    if (i % 5 === 1) signature[i % 64]! ^= 1 << i % 8;
    const key = suite.ed25519.verifier(i % 5 === 2 ? other.publicKey : signer.publicKey);
    const said = i % 5 === 3 ? Uint8Array.of(...message, 0) : message;
    return { key, message: said, signature, isRight: ![1, 2, 3].includes(i % 5) };
  });
}

for (const [threads, where] of [[0, "here"], [1, "on another thread"], [2, "on two threads"]]) {
  Deno.test(`a VerificationPool says of each signature whether it is right, ${where}`, async () => {
    using pool = new VerificationPool({ log, threads: threads as number });
    for (const count of [1, 3, 5, 64, 1_000]) {
      const all = signatures(count);
      const verdicts = await Promise.all(
        all.map(({ key, message, signature }) => pool.verify(key, message, signature)),
      );
      assert.deepEqual(verdicts, all.map(({ isRight }) => isRight));
    }
    assert.deepEqual(complaints, []);
  });
}

Deno.test("a VerificationPool takes signatures of any length", async () => {
  using pool = new VerificationPool({ log, threads: 1 });
  const signer = suite.ed25519.signer();
  const key = suite.ed25519.verifier(signer.publicKey);
  for (const length of [0, 63, 65, 1_000]) {
    assert.equal(await pool.verify(key, Uint8Array.of(1), new Uint8Array(length)), false);
  }
});

Deno.test("a VerificationPool that ends answers what still waits", async () => {
  const all = signatures(500);
  const pool = new VerificationPool({ log, threads: 1 });
  const verdicts = all.map(({ key, message, signature }) => pool.verify(key, message, signature));
  await verdicts[0];
  pool[Symbol.dispose]();
  assert.deepEqual(await Promise.all(verdicts), all.map(({ isRight }) => isRight));
  const { key, message, signature, isRight } = all[0]!;
  assert.equal(await pool.verify(key, message, signature), isRight);
});

Deno.test("a VerificationPool refuses when too many wait", async () => {
  using pool = new VerificationPool({ log, threads: 1 });
  const [{ key, message, signature }] = signatures(1) as [ReturnType<typeof signatures>[0]];
  // four groups of 64 are given to the thread, all others wait
  const few = Array.from({ length: 256 + 16_384 }, () => pool.verify(key, message, signature));
  await assert.rejects(pool.verify(key, message, signature), { code: "overloaded" });
  assert.ok((await Promise.all(few)).every(Boolean));
});

Deno.test("a VerificationPool whose threads fail checks everything itself, and says so", async () => {
  const program = new URL(
    "data:application/javascript,onmessage = () => { throw new Error('no') }",
  );
  using pool = new VerificationPool({ log, threads: 2, program });
  for (const count of [200, 5]) {
    const all = signatures(count);
    const verdicts = await Promise.all(
      all.map(({ key, message, signature }) => pool.verify(key, message, signature)),
    );
    assert.deepEqual(verdicts, all.map(({ isRight }) => isRight));
  }
  assert.deepEqual(complaints, ["checking signatures on other threads failed"]);
});

Deno.test("signatures pass through a message as they are", () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const signature = fc.record({
    publicKey: bytes(32),
    signature: bytes(64),
    message: fc.uint8Array({ maxLength: 300 }),
  }, { noNullPrototype: true });
  fc.assert(fc.property(fc.array(signature), (all) => {
    const unpacked = Array.from(unpackSignatures(packSignatures(all)), (one) => ({
      publicKey: one.publicKey.slice(),
      signature: one.signature.slice(),
      message: one.message.slice(),
    }));
    assert.deepEqual(unpacked, all);
  }));
});
