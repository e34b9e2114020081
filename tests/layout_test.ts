/**
 * Hygiene of the tree as a whole: what lies at the root, what deno.json promises, and whether the
 * links between the documents lead somewhere. What one file can show by itself is in tests/lint.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const config: {
  tasks: Record<string, { description?: string }>;
  imports: Record<string, string>;
} = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));

const entries = [
  ...[".ci", ".gitignore", "LICENSE", "README.md", "core", "deno.json", "deno.lock", "edge"],
  ...["firmware", "plugins", "tests"],
];
/** Git's own, and what .gitignore lists: a build, a site at work. */
const local = /^(\.git|dist|site\.toml|.*\.db(-shm|-wal)?)$/;
const unread = /^(\.git|dist|node_modules)$/;

Deno.test("the root holds what belongs to it and nothing else", () => {
  const found = Array.from(Deno.readDirSync(root), ({ name }) => name);
  assert.deepEqual(found.filter((name) => !local.test(name)).sort(), entries);
});

Deno.test("deno.json describes every task", () => {
  for (const [name, { description }] of Object.entries(config.tasks)) {
    assert.match(description ?? "", /\S/, `task ${name} has no description`);
  }
});

Deno.test("deno.json names every package by its exact version", () => {
  const exact = /^npm:\/?(@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+(-[\w.]+)?\/?$/;
  for (const [name, target] of Object.entries(config.imports)) {
    if (!target.startsWith("./")) assert.match(target, exact, `${name} is not exact: ${target}`);
  }
});

Deno.test("deno.json names one version of each package", () => {
  const versions = new Map<string, string>();
  for (const target of Object.values(config.imports)) {
    const [, name, version] = /^npm:\/?(.+?)@([^/@]+)\/?$/.exec(target) ?? [];
    if (name === undefined || version === undefined) continue;
    assert.equal(versions.get(name) ?? version, version, `${name} has two versions`);
    versions.set(name, version);
  }
});

Deno.test("every relative link in a README leads to a file", () => {
  const readmes = [...filesNamed("README.md", root)];
  assert.ok(readmes.some(({ href }) => href === new URL("README.md", root).href), "no README.md");
  const broken = readmes.flatMap((readme) =>
    linksOf(Deno.readTextFileSync(readme))
      .filter((link) => !exists(new URL(link, readme)))
      .map((link) => `${fileURLToPath(readme).slice(fileURLToPath(root).length)}: ${link}`)
  );
  assert.deepEqual(broken, []);
});

Deno.test("linksOf() finds relative links and leaves addresses, anchors and code alone", () => {
  const text = [
    "[a](core/README.md) ![b](docs/b.svg 'title') [`c`](../c.md#d) [e](<f.md>)",
    "[g](https://example.org/g.md) [h](#i) [j](mailto:k@example.org) `[l](l.md)`",
    "```sh\n[m](m.md)\n```",
    "[n]: n/o.md",
    "[p]: https://example.org",
  ].join("\n");
  assert.deepEqual(linksOf(text), ["core/README.md", "docs/b.svg", "../c.md", "f.md", "n/o.md"]);
});

/** The relative targets of links, images and reference definitions, without their anchors. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^ *(```|~~~)[\s\S]*?^ *\1/gm, "").replace(/`[^`\n]*`/g, "");
  const targets = prose.matchAll(/(?:\]\(|^\[[^\]]+\]:)\s*<?([^)>#\s]+)/gm);
  return Array.from(targets, ([, target]) => target ?? "")
    .filter((target) => !/^[a-z][a-z\d+.-]*:/i.test(target));
}

function* filesNamed(name: string, folder: URL): Generator<URL> {
  for (const entry of Deno.readDirSync(folder)) {
    if (unread.test(entry.name)) continue;
    if (entry.isDirectory) yield* filesNamed(name, new URL(`${entry.name}/`, folder));
    else if (entry.name === name) yield new URL(entry.name, folder);
  }
}

function exists(url: URL): boolean {
  try {
    Deno.statSync(url);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
