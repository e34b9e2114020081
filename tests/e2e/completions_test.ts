/** What the shells offer, asked of the shells themselves where they are on this machine. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { peerKinds } from "../../core/wire/peer.ts";
import { registry } from "../../edge/plugins.ts";
import { run, temporaryFolder } from "./program.ts";

const shells = ["bash", "zsh", "fish"];

Deno.test("edgeward completions bash teaches bash commands, flags, choices and files", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(join(folder.path, "script"), await scriptFor("bash"));
  await Deno.mkdir(join(folder.path, "sites"));
  await Deno.writeTextFile(join(folder.path, "site 1.toml"), "");
  const cases: [string[], string[]][] = [
    [["do"], ["doctor"]],
    [["peers", ""], [
      ...["list", "show", "approve", "revoke", "remove", "replace", "name", "ban", "unban"],
      ...["open", "close", "help"],
    ]],
    [["admin", "token", ""], ["add", "list", "revoke", "help"]],
    [["admin", "token", "add", "--r"], ["--role"]],
    [["admin", "token", "add", "--role", ""], ["viewer", "operator", "admin"]],
    [["admin", "token", "add", "--role", "=", "v"], ["viewer"]],
    [["admin", "token", "add", "--role", "="], ["viewer", "operator", "admin"]],
    [["admin", "token", "add", "--note", ""], []],
    [["admin", "enrol", ""], [...peerKinds]],
    [["admin", "enrol", "-c", "site.toml", "--ttl", "1h", "wit"], ["witness"]],
    [["admin", "enrol", "--ttl", "=", "1h", "wit"], ["witness"]],
    [["admin", "enrol", "meter", ""], []],
    [["init", ""], Object.keys(registry)],
    [["init", "cloud-summary", "fog"], ["fog-aggregator"]],
    [["completions", ""], shells],
    [["help", "va"], ["validate"]],
    [["peers", "help", "rem"], ["remove"]],
    [["run", "-c", "si"], ["site 1.toml", "sites"]],
    [["doctor", "--config", "=", "site"], ["site 1.toml", "sites"]],
    [["demo", "--data-dir", "si"], ["sites"]],
    [["run", "-"], ["-c", "--config", "-h", "--help"]],
    [["nonsense", ""], []],
  ];
  const queries = cases.map(([words]) =>
    `COMP_WORDS=(edgeward ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length}
_edgeward
printf '%s|' "\${COMPREPLY[@]}"; echo`
  );
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["--norc", "-c", ["source ./script", ...queries].join("\n")],
    cwd: folder.path,
  }).output();
  const text = new TextDecoder();
  assert.deepEqual([code, text.decode(stderr)], [0, ""]);
  const answers = text.decode(stdout).trimEnd().split("\n").map((line) => line.split("|"));
  for (const [i, [words, expected]] of cases.entries()) {
    const offered = answers[i]!.filter((word) => word !== "");
    assert.deepEqual(offered.sort(), [...expected].sort(), words.join(" "));
  }
});

Deno.test("edgeward completions knows these shells, and no other", async () => {
  for (const shell of shells) assert.match(await scriptFor(shell), /^#.*\n[^]*\bedgeward\b/);
  const { code, stderr } = await run(["completions", "cmd.exe"]);
  assert.deepEqual([code, /hint: shells are bash, zsh, fish$/m.test(stderr)], [2, true]);
});

for (const shell of shells.filter(isInstalled)) {
  Deno.test(`edgeward completions ${shell} prints what ${shell} can read`, async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "script");
    await Deno.writeTextFile(path, await scriptFor(shell));
    const { code, stderr } = await new Deno.Command(shell, { args: ["-n", path] }).output();
    assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
  });
}

async function scriptFor(shell: string): Promise<string> {
  const { code, stdout, stderr } = await run(["completions", shell]);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

function isInstalled(program: string): boolean {
  try {
    return new Deno.Command(program, { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
