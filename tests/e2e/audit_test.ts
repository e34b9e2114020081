/**
 * An auditor with nothing but keys: the log of a running site and of its witness, a copy of it looked at
 * offline, and copies in which somebody has changed one thing.
 */
import assert from "node:assert/strict";
import { copyFileSync, cpSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { inclusionNodes, rootOf } from "../../core/trust/log/merkle.ts";
import { formatNoteKey } from "../../core/trust/log/note.ts";
import { formatProof } from "../../core/trust/log/proof_file.ts";
import {
  decodeBundle,
  encodeBundle,
  hashIn,
  placeOf,
  tilePath,
  widthOf,
} from "../../core/trust/log/tile.ts";
import { LogSite } from "./_log_site.ts";
import { eventually } from "./_test_site.ts";
import { type Outcome, run, temporaryFolder } from "./program.ts";

const suite = nativeSuite();
const patience = 60_000;

Deno.test("an auditor checks a running site's log, keeps it, and finds what was changed in the copy", async () => {
  await using folder = await temporaryFolder();
  await using fog = new LogSite(folder.path, "fog-1");
  await using witness = new LogSite(folder.path, "fog-2");
  await Promise.all([
    fog.start({ witnesses: [witness] }),
    witness.start({ witnessOf: [fog] }),
  ]);
  const token = await fog.token();
  await fog.act(299);
  const copy = join(folder.path, "copy");
  const address = `${fog.url}/log`;
  const keys = [
    ...["--key", formatNoteKey(fog.logKey(1))],
    ...["--witness", formatNoteKey(witness.witnessKey)],
  ];
  const env = { EDGEWARD_TOKEN: token };
  await eventually("all is witnessed", async () => {
    const status = await fog.status();
    return status?.witnessed === 300 || undefined;
  }, patience);

  const kept = await run(["audit", "verify", address, ...keys, "--save", copy], { env });
  assert.deepEqual([kept.code, kept.stderr], [0, ""]);
  const parts = kept.stdout.trimEnd().split("\n").map((line) => line.slice(0, 14).trimEnd());
  assert.deepEqual(parts, [
    ...["[+] checkpoint", "[+] signature", "[+] witness", "[+] quorum", "[+] entries", "[+] tiles"],
    ...["[+] root", "[+] saved"],
  ]);
  const paths = [...files(copy)].map((file) => relative(copy, file)).sort();
  assert.deepEqual(paths, [
    ...["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"],
    ...["tile/entries/000", "tile/entries/001.p/44"],
  ]);

  // it grows, and has grown from what was kept
  const old = join(folder.path, "old");
  copyFileSync(join(copy, "checkpoint"), old);
  await fog.act(3);
  await eventually("more is witnessed", async () => {
    const status = await fog.status();
    return status?.witnessed === 303 || undefined;
  }, patience);
  const grown = await run(
    ["audit", "verify", address, ...keys, "--since", old, "--save", copy, "--json"],
    { env },
  );
  assert.equal(grown.code, 0, grown.stderr);
  const facts = JSON.parse(grown.stdout);
  assert.deepEqual([facts.ok, facts.size, facts.entries.count], [true, 303, 303]);
  assert.deepEqual(facts.since.map(({ size }: { size: number }) => size), [300, 300]);

  // who may not read entries, or says whose log it is not, is told so
  const refused: [string[], number, RegExp][] = [
    [[address, ...keys], 3, /asks for a token/],
    [[address, ...keys.slice(2), "--no-entries"], 1, /without --key/],
    [[address, "--key", formatNoteKey(witness.logKey(1)), "--no-entries"], 1, /the log is .*fog-1/],
    [[address, ...keys, "--quorum", "2"], 2, /quorum of 2/],
    [[`${fog.url}/logg`, ...keys], 1, /Cannot find a checkpoint/],
    [["http://127.0.0.1:1/log", ...keys], 4, /Cannot reach/],
    [["nowhere", ...keys], 2, /there is no such file/],
    [[address, "--key", formatNoteKey(witness.witnessKey)], 2, /not one of a log/],
    [
      ["http://192.0.2.1/log", ...keys, "--token-file", await tokenFile(token)],
      2,
      /in the clear|on the/,
    ],
  ];
  for (const [args, code, error] of refused) {
    const outcome = await run(["audit", "verify", ...args], { cwd: folder.path });
    assert.equal(outcome.code, code, `${args}: ${outcome.stderr}`);
    assert.match(outcome.stderr, error);
  }
  const hashes = await run(["audit", "verify", address, ...keys, "--no-entries"]);
  assert.equal(hashes.code, 0, hashes.stderr);
  assert.match(hashes.stdout, /^\[~\] entries +NOT READ/m);

  await Promise.all([fog.stop(), witness.stop()]);
  await checkCopies({ copy, keys, folder: folder.path });

  async function tokenFile(text: string): Promise<string> {
    const path = join(folder.path, "token");
    await Deno.writeTextFile(path, `${text}\n`);
    return path;
  }
});

/** A copy is whole, and one in which anything is not what it was is not, and its file is named. */
async function checkCopies(
  { copy, keys, folder }: { copy: string; keys: readonly string[]; folder: string },
): Promise<void> {
  const verify = (path: string) => run(["audit", "verify", path, ...keys, "--json"]);
  const whole = await verify(copy);
  assert.deepEqual([whole.code, JSON.parse(whole.stdout).ok], [0, true]);

  const changed = join(folder, "changed");
  let seed = 7;
  const draw = (below: number) => (seed = (seed * 48_271) % 0x7fffffff) % below;
  for (const file of files(copy)) {
    const path = relative(copy, file);
    const bytes = Deno.readFileSync(file);
    const flip = (at: number) => bytes.with(at, bytes[at]! ^ (1 << draw(8)));
    const lines = path === "checkpoint" ? lineStarts(bytes) : [];
    const cases: (Uint8Array | null)[] = [
      ...[draw(bytes.length), ...lines.map((at) => at + 5)].map(flip),
      bytes.slice(0, bytes.length - 1 - draw(bytes.length - 1)),
      null,
    ];
    if (path.includes("entries")) {
      const entries = decodeBundle(bytes);
      cases.push(encodeBundle(entries.with(1, entries[2]!).with(2, entries[1]!)));
    }
    for (const [i, other] of cases.entries()) {
      cpSync(copy, changed, { recursive: true });
      if (other === null) Deno.removeSync(join(changed, path));
      else Deno.writeFileSync(join(changed, path), other);
      assertNames(await verify(changed), path, `${path}, case ${i}`);
      Deno.removeSync(changed, { recursive: true });
    }
  }
  await checkProofs({ copy, keys, folder });
}

function assertNames({ code, stdout, stderr }: Outcome, path: string, what: string): void {
  assert.equal(code, 1, `${what}: ${stderr}`);
  const { ok, failure } = JSON.parse(stdout);
  assert.deepEqual([ok, failure.where], [false, path], `${what}: ${stderr}`);
  assert.match(stderr, /^edgeward: error: Cannot /);
  if (path !== "checkpoint") assert.ok(stderr.includes(path), stderr);
}

/** Proofs of one entry, made from the copy. */
async function checkProofs(
  { copy, keys, folder }: { copy: string; keys: readonly string[]; folder: string },
): Promise<void> {
  const checkpoint = Deno.readTextFileSync(join(copy, "checkpoint"));
  const [size, index] = [Number(checkpoint.split("\n")[1]), 7];
  const path = inclusionNodes(index, size).map((nodes) =>
    rootOf(
      suite,
      nodes.map((node) => {
        const { tile, ...span } = placeOf(node);
        const file = join(copy, tilePath({ ...tile, width: widthOf(tile, size) }));
        return hashIn(suite, Deno.readFileSync(file), span);
      }),
    )
  );
  const entries = decodeBundle(Deno.readFileSync(join(copy, "tile/entries/000")));
  const proof = join(folder, "a.tlog-proof");
  const verify = (args: readonly string[] = []) =>
    run(["audit", "verify", proof, ...args, ...keys, "--json"]);
  Deno.writeTextFileSync(proof, formatProof({ index, path, checkpoint, extra: entries[index]! }));
  const outcome = await verify();
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(JSON.parse(outcome.stdout).entry.index, index);
  Deno.writeFileSync(join(folder, "entry"), entries[index]!);
  Deno.writeFileSync(join(folder, "another"), entries[index + 1]!);
  Deno.writeTextFileSync(proof, formatProof({ index, path, checkpoint }));
  assert.equal((await verify()).code, 2);
  assert.equal((await verify([join(folder, "entry")])).code, 0);
  assertNames(await verify([join(folder, "another")]), proof, "another entry");
}

Deno.test("edgeward audit shows the latest entries, and the keys of a site that need not run", async () => {
  await using folder = await temporaryFolder();
  await using fog = new LogSite(folder.path, "fog-1");
  await using witness = new LogSite(folder.path, "fog-2");
  await fog.start({ witnessOf: [witness] });
  await fog.act(5);
  await eventually("all is in the log", async () => (await fog.status())?.size === 5 || undefined);
  const cwd = dirname(fog.dataDir);
  const shown = await run(["audit", "show", "--last", "2", "--json"], { cwd });
  assert.equal(shown.code, 0, shown.stderr);
  const entries = shown.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(entries.map(({ index, role }) => [index, role]), [[3, "core"], [4, "core"]]);
  const { type } = entries[0];
  const some = await run(["audit", "show", "--type", type], { cwd });
  assert.match(some.stdout, RegExp(`^(\\d  20\\S+Z  core  ${type}  .*\n){5}$`));
  assert.equal((await run(["audit", "show", "--type", "never.was"], { cwd })).stdout, "");

  const log = formatNoteKey(fog.logKey(1));
  const cosigns = [formatNoteKey(witness.logKey(1))];
  const keys = { log, witness: formatNoteKey(fog.witnessKey), cosigns };
  assert.deepEqual(JSON.parse((await run(["audit", "witness", "--json"], { cwd })).stdout), keys);
  await fog.stop();
  const lines = [`log      ${log}`, `witness  ${keys.witness}`, `cosigns  ${cosigns[0]}`, ""];
  assert.equal((await run(["audit", "witness"], { cwd })).stdout, lines.join("\n"));
  assert.equal((await run(["audit", "show"], { cwd })).code, 4);
  await Deno.writeTextFile(join(cwd, "new.toml"), 'site = "new"\ndata_dir = "new"\n');
  const { code, stderr } = await run(["audit", "witness", "-c", "new.toml"], { cwd });
  assert.deepEqual([code, /has none yet/.test(stderr)], [1, true]);
  assert.ok(!Array.from(Deno.readDirSync(cwd), ({ name }) => name).includes("new"));
});

/** Where the lines of a note begin, but for the empty one. */
function lineStarts(bytes: Uint8Array): number[] {
  const starts = [0];
  for (const [i, byte] of bytes.entries()) if (byte === 10) starts.push(i + 1);
  return starts.filter((at) => at + 20 < bytes.length && bytes[at] !== 10);
}

function* files(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* files(path);
    else yield path;
  }
}
