/**
 * Every primitive of a Suite once. Whether they are right is for the published vectors to say, which
 * are too many for a slow engine; here it shows whether one engine computes what another does.
 */
import { toHex, utf8 } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { hkdf } from "../../core/trust/hkdf.ts";
import { same } from "./same.ts";

/** What each primitive gives, long results by their SHA-256. @throws Error when a pair does not fit */
export async function runPrimitives(suite: Suite): Promise<Record<string, string>> {
  const message = utf8("what is signed and sealed");
  const seed = suite.sha256(message);
  const given: Record<string, string> = {
    hmac: toHex(suite.hmacSha256(seed, message)),
    hkdf: toHex(hkdf(suite, { ikm: seed, salt: "salt", info: message, length: 100 })),
  };

  const [one, other] = [suite.x25519.keyPair(seed), suite.x25519.keyPair()];
  given["x25519"] = toHex(one.sharedSecret(other.publicKey));
  same(toHex(other.sharedSecret(one.publicKey)), given["x25519"], "x25519");

  for (const cipher of ["chacha20poly1305", "aes256gcm"] as const) {
    const nonce = seed.slice(0, 12);
    const sealed = suite[cipher].seal(seed, nonce, seed, message);
    given[cipher] = toHex(sealed);
    same(suite[cipher].open(seed, nonce, seed, sealed), message, cipher);
    same(suite[cipher].open(seed, nonce, message, sealed), null, cipher);
  }

  for (const scheme of ["ed25519", "p256", "mldsa65"] as const) {
    const signer = await suite[scheme].signer(seed);
    const signature = await signer.sign(message);
    given[`${scheme} key`] = toHex(suite.sha256(signer.publicKey));
    given[`${scheme} signature`] = toHex(suite.sha256(signature));
    const verifier = suite[scheme].verifier(signer.publicKey);
    same(await verifier.verify(message, signature), true, scheme);
    same(await verifier.verify(seed, signature), false, scheme);
  }

  const pair = await suite.mlkem768.keyPair(new Uint8Array(64).fill(7));
  const { ciphertext, sharedSecret } = await suite.mlkem768.encapsulate(pair.publicKey);
  given["mlkem768 key"] = toHex(suite.sha256(pair.publicKey));
  given["mlkem768 ciphertext"] = toHex(suite.sha256(ciphertext));
  given["mlkem768 secret"] = toHex(sharedSecret);
  same(await pair.decapsulate(ciphertext), sharedSecret, "mlkem768");
  return given;
}
