/**
 * Makes our own vectors anew: `deno run -A tests/vectors/make.ts`. A test asserts that the files in the
 * repository are what this makes; when one changes, so does what devices in the field must speak.
 */
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { makeSessionVectors } from "./_session_plans.ts";
import { makeShareVectors } from "./_share_plans.ts";
import { makeStatementVectors } from "./_statement_plans.ts";
import { makeLegacyVectors } from "./_v1_plans.ts";

/** Every file of our own by its name, as text. */
export async function makeVectorFiles(): Promise<Record<string, string>> {
  const suite = nativeSuite();
  return {
    "session_v2.json": textOf({ ...sessionHeader, sessions: makeSessionVectors(suite) }),
    "share.json": textOf({ ...shareHeader, ...await makeShareVectors(suite) }),
    "statement.json": textOf({
      ...statementHeader,
      statements: await makeStatementVectors(suite),
    }),
    "v1.json": textOf({ ...legacyHeader, associations: makeLegacyVectors() }),
  };
}

/** What is said in the file itself, for whoever writes the other end. */
const sessionHeader = {
  about: "Sessions of Edgeward, version 2: handshakes and data frames byte for byte. " +
    "Bytes are hexadecimal, times milliseconds from the end of the handshake. " +
    "Made by tests/vectors/make.ts; all secrets are made up.",
  fields: {
    hello: "what the prologue says",
    code: "the install code that psk is derived from; null: psk is 32 zeros",
    initiator: "keys; random is r of the six words, in first contact only",
    drawn_session: "the session field of the handshake's frames, drawn by the initiator",
    prologue: "CBOR; message 1 carries it in clear",
    messages: "the handshake's frames and what their Noise messages carry as payload",
    handshake_hash: "Noise's h after the last message",
    words: "six words that people compare after a first contact",
    session: "the session field of data frames",
    keys: "what each side seals with, by key generation: seq >> 16",
    frames: "data frames as each side sends them at a time; the numbers between them were sent " +
      "too, save where more than 24 hours had passed: there the sender skips",
    deliveries: "what becomes of frames that arrive in this order; one that was refused leaves " +
      "no trace in the receiver. outcome: opened, duplicate (opened before, byte for byte the " +
      "same), or why it was refused: malformed or wrong_version (no frame), forged (the tag), " +
      "replayed (64 or more behind the highest number, or a used number with other bytes), " +
      "out_of_generation (neither the previous, the current nor the next key)",
    refused: "changed messages 1, each for a fresh responder. outcome: malformed (no opening), " +
      "static_forged or payload_forged (what does not open), low_order (no key agreement)",
  },
};

const shareHeader = {
  about: "Sharing of Edgeward: a group's key and roster, and what opens a volume. Bytes are " +
    "hexadecimal; elements and scalars are those of ristretto255 (RFC 9496), 32 bytes, scalars " +
    "little-endian. Made by tests/vectors/make.ts; all secrets are made up.",
  fields: {
    drawn:
      "64 random bytes, little-endian, that each coefficient is modulo the order; the lowest " +
      "coefficient, the key, first",
    shares: "the polynomial's values at 1, 2, …",
    commitments:
      "of a dealing C0, C1, …: the coefficients times the generator; of pieces SHA-256 " +
      "of each",
    public_shares: "the shares times the generator: the sum of C_j times i^j",
    members: "of a roster, by index from 1; seed is the secret of the member's Ed25519 key",
    dealers: "SHA-256 over each dealer's commitments, one after the other",
    endorsed_by: "seeds of members of the roster before it who signed it too",
    payload: "CBOR {group, epoch, k, n, members: [{index, id, url, noise_key, sign_key}], " +
      "commitments, dealers}",
    statements: "COSE_Sign1 over payload, application/edgeward-roster+cbor: the members', then " +
      "those of endorsed_by",
    signed: "CBOR {payload, signatures: [[kid, signature]]}, in the order of the statements",
    input: '"edgeward/volume/1" | u8 length of device | device | volume',
    hash: "HashToGroup(input) of RFC 9497, ristretto255-SHA512, VOPRF mode",
    nonce:
      "48 random bytes: the proof's scalar is this number, little-endian, modulo (order - 1), " +
      "plus 1",
    answer: "of a member: the share times hash; proof is GenerateProof of RFC 9497 §2.2.1 for it",
    combined: "indices of the members whose answers or pieces make result",
    element: "the key times hash, which nobody computes but by combining",
    result: "of voprf SHA-512 of input and element as in RFC 9497's Finalize; else the secret",
    kek: 'HKDF-SHA256(result, salt device_secret, info "edgeward/kek/1" | volume)',
    refused: "what must not be taken, of a roster after the one before it. outcome: malformed, " +
      "roster_unsigned, roster_foreign (another group), roster_stale (no higher epoch), " +
      "proof_missing, bad_proof, bad_point (not the encoding of an element, or the identity), " +
      "bad_piece, member_unknown",
  },
};

const statementHeader = {
  about: "Statements of Edgeward: COSE_Sign1 with tag 18 (RFC 9052) in deterministic CBOR. " +
    "Bytes are hexadecimal. Made by tests/vectors/make.ts; all secrets are made up.",
  fields: {
    algorithm: "as the COSE registry names it",
    seed: "the signer's 32 secret bytes; of ESP256 the scalar",
    public_key: "of ESP256 the uncompressed point",
    kid: "SHA-256 of the public key's thumbprint input (RFC 7638)",
    protected: "the header: {1: alg, 3: content_type, 4: kid}; alg is -19 Ed25519, -9 ESP256, " +
      "-49 ML-DSA-65",
    signature:
      "of ESP256 the one of RFC 6979, with s in the lower half of the order; of ML-DSA-65 " +
      "the deterministic one (FIPS 204, rnd = 0, empty context). Others verify as well.",
    to_be_signed: "Sig_structure (RFC 9052 §4.4): [\"Signature1\", protected, h'', payload]",
    statement: "18([protected, {}, payload, signature])",
    refused:
      "what a reader who expects this algorithm, public_key and content_type must refuse. outcome: " +
      "malformed (not the one encoding), wrong_type, wrong_algorithm, wrong_key, forged, " +
      "bad_key (the reader's key is none)",
  },
};

const legacyHeader = {
  about: "Profile v1 of MQTT RPC, the prototype's published design completed. Keys and codes are " +
    "hexadecimal; what is JSON on the wire is text, in UTF-8. Made by tests/vectors/make.ts with " +
    "another implementation than the product's; all secrets are made up.",
  fields: {
    code: "the 16-byte install code; null: the device has no psk",
    psk: "the code in base64url, whose text is hashed",
    psk_proof: "HMAC-SHA256(key SHA-256(psk), device_id | device_public in hexadecimal)",
    gateway_secret: "of the key pair that the gateway draws for this approve",
    shared: "X25519; no key itself",
    hmac_label: "the one that this device uses; the gateway takes either on the first message",
    hmac_key: "HMAC-SHA256(key hmac_label, shared)",
    enc_key: 'HMAC-SHA256(key "esp32-dashboard-enc-key", shared)',
    messages:
      "rpc is JSON-RPC, plaintext the same with nonce and timestamp, signed what the HMAC " +
      "is over; the nonce is u32 counter | u64 seconds, the associated data device_id",
    deliveries: "what becomes of messages that arrive in this order, at a gateway that has " +
      "approved and at a device that was approved; one that was refused leaves no trace. " +
      "outcome: fresh (to be acted on), duplicate (one of the last 64, nonce and ciphertext " +
      "alike: it gets the same answer again), or why it was refused: malformed (not the one " +
      "strict form, outside or inside), wrong_device, wrong_half (a counter of the other side), " +
      "forged (the tag), mismatched (nonce or timestamp inside), wrong_hmac, replayed (a counter " +
      "not above the last)",
    connects: "what becomes of a connect that arrives at a gateway that would approve. outcome: " +
      "none (approved), malformed, wrong_device, unproven (psk_proof missing or wrong), low_order",
    approves: "approves that arrive at a device in this order. outcome: none (taken), malformed, " +
      "low_order, not_connecting (only one is taken)",
  },
};

function textOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(await makeVectorFiles())) {
    Deno.writeTextFileSync(new URL(name, import.meta.url), text);
  }
}
