/** Notes, checkpoints, cosignatures and proof files; the example is that of C2SP signed-note. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../base/bytes.ts";
import { nobleSuite } from "../crypto_noble.ts";
import { formatCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import { cosign, verifyCosignature } from "./cosignature.ts";
import { leafHash, nodeHash } from "./merkle.ts";
import {
  formatNote,
  formatNoteKey,
  noteKey,
  NoteKind,
  parseNote,
  parseNoteKey,
  signText,
  verifyText,
} from "./note.ts";
import { checkProof, formatProof, parseProof } from "./proof_file.ts";

const suite = nobleSuite((length) => new Uint8Array(length).fill(7));
const signer = suite.ed25519.signer(new Uint8Array(32).fill(1));
const origin = "edgeward/cloud/01234567/1";
const key = noteKey(suite, { name: origin, kind: 0x01, publicKey: signer.publicKey });
const witness = suite.ed25519.signer(new Uint8Array(32).fill(2));
const witnessKey = noteKey(suite, {
  name: "edgeward/fog-1/89abcdef/witness",
  kind: NoteKind.cosignature,
  publicKey: witness.publicKey,
});

const example = {
  key: "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
  note: `This is an example message.

\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`,
};

const [leaf, other] = [leafHash(suite, utf8("entry")), leafHash(suite, utf8("other"))];
const checkpoint = { origin, size: 2, root: nodeHash(suite, leaf, other) };

function signed(text: string): string {
  return formatNote({ text, signatures: [signText(text, { key, sign: signer.sign })] });
}

Deno.test("the note of the standard is read, verified and written alike", () => {
  const known = parseNoteKey(suite, example.key);
  assert.equal(formatNoteKey(known), example.key);
  const note = parseNote(example.note);
  assert.equal(note.text, "This is an example message.\n");
  verifyText(suite, note, known);
  assert.equal(formatNote(note), example.note);
});

Deno.test("a note is refused when its text, its signature or its key is another", () => {
  const known = parseNoteKey(suite, example.key);
  const changed = parseNote(example.note.replace("an example", "no example"));
  assert.throws(() => verifyText(suite, changed, known), { code: "forged" });
  const resigned = parseNote(example.note.replace("IneyaQM=", "IneyaQI="));
  assert.throws(() => verifyText(suite, resigned, known), { code: "forged" });
  assert.throws(() => verifyText(suite, parseNote(example.note), key), { code: "unsigned" });
  const namesake = noteKey(suite, { ...key, name: known.name });
  assert.throws(() => verifyText(suite, parseNote(example.note), namesake), { code: "unsigned" });
});

Deno.test("what is no note, no key and no checkpoint is refused as malformed", () => {
  const malformed = { code: "malformed" };
  const line = example.note.split("\n")[2]!;
  for (
    const text of [
      "",
      "\n",
      "text\n",
      "text\n\n",
      `text\n${line}\n`,
      `text\n\n${line}`,
      `te\txt\n\n${line}\n`,
      `text\n\n${line.replace("\u2014", "-")}\n`,
      `text\n\n${line} more\n`,
      `text\n\n${line}\nmore\n`,
      `text\n\n\u2014 a+b AAAAAAA=\n`,
      `text\n\n\u2014 name AAAA\n`,
      `text\n\n${`${line}\n`.repeat(101)}`,
    ]
  ) assert.throws(() => parseNote(text), malformed, JSON.stringify(text));
  for (const text of ["", "name", "name+00000000", example.key.replace("530", "531")]) {
    assert.throws(() => parseNoteKey(suite, text), malformed, text);
  }
  const root = formatCheckpoint(checkpoint).split("\n")[2];
  for (
    const text of ["", `${origin}\n`, `${origin}\n01\n${root}\n`, `\n1\n${root}\n`, `a\n1\nAAAA\n`]
  ) assert.throws(() => parseCheckpoint(text), malformed, JSON.stringify(text));
  assert.throws(() => noteKey(suite, { ...key, name: "a b" }), malformed);
});

Deno.test("a checkpoint passes through a note, and a witness says when it saw it", () => {
  const text = formatCheckpoint(checkpoint);
  const note = parseNote(signed(text));
  verifyText(suite, note, key);
  assert.deepEqual(parseCheckpoint(note.text), checkpoint);

  const line = cosign(text, { key: witnessKey, time: 1_700_000_000, sign: witness.sign });
  const cosigned = parseNote(formatNote({ text, signatures: [...note.signatures, line] }));
  verifyText(suite, cosigned, key);
  assert.equal(verifyCosignature(suite, cosigned, witnessKey), 1_700_000_000);
  assert.throws(() => verifyCosignature(suite, note, witnessKey), { code: "unsigned" });
  for (const byte of [0, 7, 8, 71]) {
    const bytes = line.bytes.slice();
    bytes[byte]! ^= 1;
    const changed = { text, signatures: [{ ...line, bytes }] };
    assert.throws(() => verifyCosignature(suite, changed, witnessKey), { code: "forged" });
  }
});

Deno.test("a proof file proves its entry and no other", () => {
  const note = signed(formatCheckpoint(checkpoint));
  for (const extra of [{}, { extra: utf8("window 12") }]) {
    const file = formatProof({ index: 0, path: [other], checkpoint: note, ...extra });
    const proof = parseProof(file);
    assert.deepEqual(proof, { index: 0, path: [other], checkpoint: note, ...extra });
    assert.deepEqual(checkProof(suite, proof, utf8("entry")).checkpoint, checkpoint);
    assert.throws(() => checkProof(suite, proof, utf8("entrx")), { code: "forged" });
    assert.throws(() => checkProof(suite, { ...proof, index: 1 }, utf8("entry")), {
      code: "forged",
    });
  }
  for (const text of ["", "c2sp.org/tlog-proof@v1\nindex 00\n\n", "c2sp.org/tlog-proof@v2\n\n"]) {
    assert.throws(() => parseProof(text), { code: "malformed" });
  }
});

Deno.test("any text makes notes and proofs fail only as malformed", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "\n",
      "\n\n",
      "\u2014 ",
      "index 1",
      "c2sp.org/tlog-proof@v1\n",
      "AAAA",
      example.note,
    ),
  );
  const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
  fc.assert(fc.property(text, (any) => {
    for (const parse of [parseNote, parseProof, parseCheckpoint]) {
      try {
        parse(any);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "malformed");
      }
    }
  }));
});
