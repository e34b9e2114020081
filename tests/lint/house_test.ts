/**
 * The house's lint rules on small sources. The files named here need not exist: a rule judges a
 * source by the path that it is given.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import house from "./house.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The diagnostics of one rule over a source that would stand at the path. */
function diagnose(rule: keyof typeof house.rules, path: string, source: string) {
  return Deno.lint.runPlugin(house, root + path, source)
    .filter(({ id }) => id === `edgeward/${rule}`);
}

/** What each diagnostic of the rule points at, in the order of the source. */
function marked(rule: keyof typeof house.rules, path: string, source: string): string[] {
  return diagnose(rule, path, source).map(({ range }) => source.slice(...range));
}

function reports(rule: keyof typeof house.rules, path: string, ...sources: string[]): void {
  for (const source of sources) {
    assert.equal(diagnose(rule, path, source).length, 1, `${path} should be reported: ${source}`);
  }
}

function accepts(rule: keyof typeof house.rules, path: string, ...sources: string[]): void {
  for (const source of sources) {
    assert.deepEqual(diagnose(rule, path, source), [], `${path} should be accepted: ${source}`);
  }
}

/** The four forms of an import, and the spellings of each. */
function forms(specifier: string): string[] {
  return [
    `import { a } from "${specifier}";`,
    `import type { A } from "${specifier}";`,
    `import a, * as b from "${specifier}";`,
    `import "${specifier}";`,
    `export { a } from "${specifier}";`,
    `export type { A } from "${specifier}";`,
    `export * from "${specifier}";`,
    `export * as a from "${specifier}";`,
    `const a = await import("${specifier}");`,
    "const a = () => import(`" + specifier + "`);",
    `type A = import("${specifier}").A;`,
    `type A = typeof import("${specifier}");`,
  ];
}

Deno.test("import-arrows accepts an import on its floor or down, in every form", () => {
  accepts("import-arrows", "core/base/a.ts", ...forms("./b.ts"));
  accepts("import-arrows", "core/trust/a.ts", ...forms("../base/b.ts"));
  accepts("import-arrows", "core/wire/a.ts", ...forms("../base/b.ts"), ...forms("../trust/b.ts"));
  accepts("import-arrows", "core/services/db/a.ts", ...forms("../../wire/b.ts"));
  accepts("import-arrows", "core/console/a.ts", ...forms("../services/db/mod.ts"));
  accepts("import-arrows", "core/host/a.ts", ...forms("../console/b.ts"));
  accepts(
    "import-arrows",
    "plugins/fog/a.ts",
    ...forms("./b.ts"),
    ...forms("../../core/host/b.ts"),
  );
  accepts(
    "import-arrows",
    "edge/a.ts",
    ...forms("../plugins/fog/mod.ts"),
    ...forms("../deno.json"),
  );
  accepts("import-arrows", "firmware/apps/a.ts", ...forms("../lib/b.ts"));
  accepts("import-arrows", "firmware/lib/a.ts", ...forms("../../core/wire/b.ts"));
  accepts("import-arrows", "tests/e2e/a.ts", ...forms("../../edge/b.ts"), ...forms("../x/b.ts"));
});

Deno.test("import-arrows reports an import that points up, in every form", () => {
  reports("import-arrows", "core/base/a.ts", ...forms("../trust/b.ts"));
  reports("import-arrows", "core/trust/a.ts", ...forms("../wire/b.ts"));
  reports("import-arrows", "core/wire/a.ts", ...forms("../services/b.ts"));
  reports("import-arrows", "core/services/a.ts", ...forms("../console/b.ts"));
  reports("import-arrows", "core/services/a.ts", ...forms("../host/plugin.ts"));
  reports("import-arrows", "core/services/db/a.ts", ...forms("../../host/plugin.ts"));
  reports("import-arrows", "core/console/a.ts", ...forms("../host/b.ts"));
  reports("import-arrows", "core/host/a.ts", ...forms("../../plugins/fog/mod.ts"));
  reports("import-arrows", "core/host/a.ts", ...forms("../../edge/main.ts"));
  reports("import-arrows", "core/base/a.ts", ...forms("../../tests/b.ts"));
});

Deno.test("import-arrows keeps roles apart from each other and from the front door", () => {
  reports("import-arrows", "plugins/fog/a.ts", ...forms("../tang/mod.ts"));
  reports("import-arrows", "plugins/fog/a.ts", ...forms("../foggy/b.ts"));
  reports("import-arrows", "plugins/fog/a.ts", ...forms("../../edge/plugins.ts"));
  reports("import-arrows", "plugins/fog/a.ts", ...forms("../registry.ts"));
});

Deno.test("import-arrows keeps firmware on trust, wire and base, and tests above all", () => {
  reports("import-arrows", "firmware/lib/a.ts", ...forms("../../core/services/b.ts"));
  reports("import-arrows", "firmware/lib/a.ts", ...forms("../../edge/b.ts"));
  reports("import-arrows", "edge/a.ts", ...forms("../tests/bench/b.ts"));
});

Deno.test("import-arrows lets a test beside the code look anywhere in core", () => {
  accepts("import-arrows", "core/trust/a_test.ts", ...forms("../services/crypto_native.ts"));
  accepts("import-arrows", "core/base/a_test.ts", ...forms("../host/b.ts"));
  accepts("import-arrows", "core/base/a_test.ts", ...forms("fast-check"), ...forms("node:fs"));
  accepts("import-arrows", "plugins/fog/a_test.ts", ...forms("./b.ts"));
  accepts("import-arrows", "plugins/fog/pages_test.tsx", ...forms("../../core/host/b.ts"));
  reports("import-arrows", "core/base/a_test.ts", ...forms("../../plugins/fog/mod.ts"));
  reports("import-arrows", "core/host/a_test.ts", ...forms("../../edge/b.ts"));
  reports("import-arrows", "plugins/fog/a_test.ts", ...forms("../tang/mod.ts"));
});

Deno.test("import-arrows follows aliases and file URLs, and refuses what it cannot follow", () => {
  reports("import-arrows", "firmware/lib/a.ts", ...forms("@std/crypto/timing-safe-equal"));
  reports("import-arrows", "core/trust/a.ts", ...forms("@std/crypto/timing-safe-equal"));
  accepts("import-arrows", "plugins/fog/a.ts", ...forms("@std/crypto/timing-safe-equal"));
  reports(
    "import-arrows",
    "core/host/a.ts",
    ...forms(new URL("../../edge/b.ts", import.meta.url).href),
  );
  reports("import-arrows", "core/host/a.ts", ...forms("../../../elsewhere/b.ts"));
  reports("import-arrows", "core/host/a.ts", "import(name);", "import(`../${name}.ts`);");
  accepts("import-arrows", "tests/a.ts", "import(name);");
});

Deno.test("import-arrows points at the specifier and says why", () => {
  const source = `import { a } from "../tang/mod.ts";`;
  const [found] = diagnose("import-arrows", "plugins/fog/a.ts", source);
  assert.equal(source.slice(...found!.range), `"../tang/mod.ts"`);
  assert.equal(
    found!.message,
    "Cannot import plugins/tang/mod.ts from plugins/fog: a role imports core and its own folder only",
  );
  assert.equal(found!.hint, "let roles meet on the bus, or move what both need to core");
});

Deno.test("private-files keeps _name.ts in its folder", () => {
  accepts("private-files", "core/base/a.ts", ...forms("./_b.ts"));
  accepts("private-files", "core/base/a_test.ts", ...forms("./_b.ts"));
  reports("private-files", "core/trust/a.ts", ...forms("../base/_b.ts"));
  reports("private-files", "core/services/db/a.ts", ...forms("../_b.ts"));
  reports("private-files", "plugins/fog/a.ts", ...forms("./pages/_b.ts"));
});

Deno.test("private-files lets a room be entered through its mod.ts only", () => {
  accepts("private-files", "edge/a.ts", ...forms("../plugins/fog/mod.ts"));
  accepts("private-files", "core/host/a.ts", ...forms("../services/db/mod.ts"));
  accepts("private-files", "core/host/a.ts", ...forms("../services/bus.ts"));
  accepts("private-files", "core/services/db/a_test.ts", ...forms("./queue.ts"));
  accepts("private-files", "core/services/db/a.ts", ...forms("./pg/b.ts"), ...forms("zod"));
  accepts("private-files", "plugins/fog/pages/a.ts", ...forms("../store.ts"));
  reports("private-files", "edge/a.ts", ...forms("../plugins/fog/store.ts"));
  reports("private-files", "tests/e2e/a.ts", ...forms("../../plugins/fog/store.ts"));
  reports("private-files", "core/services/a.ts", ...forms("./db/queue.ts"));
  reports("private-files", "core/services/dbx/a.ts", ...forms("../db/queue.ts"));
  reports("private-files", "core/host/a.ts", ...forms("./config/b.ts"));
  reports("private-files", "core/host/a.ts", ...forms("../services/db/pg/mod.ts"));
});

const impureNames = [
  ...["Deno", "process", "Buffer", "globalThis", "crypto", "console", "URL", "TextDecoder"],
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "performance"],
  ...["structuredClone", "fetch", "localStorage"],
];

Deno.test("pure reports each global that only some runtimes have", () => {
  for (const name of impureNames) {
    reports("pure", "core/base/a.ts", `${name};`, `${name}.now();`, `f(${name});`, `[${name}];`);
    reports("pure", "core/trust/a.ts", `new ${name}();`, `const a = { b: ${name} };`);
    reports("pure", "core/wire/a.ts", `const a = { ${name} };`, `const { a = ${name} } = b;`);
    reports("pure", "core/wire/a.ts", `typeof ${name};`, `type A = typeof ${name};`);
    reports(
      "pure",
      "core/wire/a.ts",
      `type A = ${name}.B.C;`,
      `const a: ${name} = b;`,
    );
    reports(
      "pure",
      "core/wire/a.ts",
      `a[${name}];`,
      `const a = { [${name}]: 1 };`,
      `\`\${${name}}\`;`,
    );
    reports("pure", "core/wire/a.ts", `class A { a = ${name}; }`, `class A extends ${name} {}`);
    reports("pure", "core/wire/a.ts", `export { ${name} };`, `function f(a = ${name}) {}`);
  }
});

Deno.test("pure accepts the same words as names of something else", () => {
  for (const name of impureNames) {
    const labels = `a.${name}; a?.${name}?.b; const o = { ${name}: 1 }; const p = { ${name}() {} };
      class A { ${name} = 1; #${name} = 2; } class B { ${name}() {} } class C { get ${name}() {} }
      interface D { ${name}: number } interface E { ${name}(): void } type F = [${name}: string];
      type G = a.${name}; enum H { ${name} } ${name}: for (;;) { break ${name}; }`;
    accepts(
      "pure",
      "core/base/a.ts",
      `/* ${name} */ // ${name}\n"${name}"; \`${name}\`; /${name}/;`,
    );
    accepts("pure", "core/base/a.ts", labels, `export { a as ${name} };`);
    accepts("pure", "core/base/a.ts", `export { ${name} } from "./b.ts";`);
    accepts("pure", "core/base/a.ts", `export * as ${name} from "./b.ts";`);
    accepts("pure", "core/base/a.ts", `import { ${name} as a } from "./b.ts"; a;`);
    accepts("pure", "core/base/a.ts", `type A = import("./b.ts").${name};`);
  }
});

Deno.test("pure accepts a name that the file declares", () => {
  for (const name of impureNames) {
    accepts(
      "pure",
      "core/base/a.ts",
      `import { ${name} } from "./b.ts"; ${name};`,
      `import { a as ${name} } from "./b.ts"; ${name};`,
      `import ${name} from "./b.ts"; ${name};`,
      `import * as ${name} from "./b.ts"; ${name}.a;`,
      `import type { ${name} } from "./b.ts"; type A = ${name};`,
      `f(${name}); const ${name} = 1;`,
      `const { ${name} } = a; ${name};`,
      `const { b: ${name} = 1 } = a; ${name};`,
      `const { ${name} = 1 } = a; ${name};`,
      `const { b: [{ ...${name} }] } = a; ${name};`,
      `const [b, ...${name}] = a; ${name};`,
      `function f(${name}: A) { return () => ${name}; }`,
      `function f({ ${name} }: A, a = ${name}) { ${name}; }`,
      `const f = (${name} = 1) => ${name};`,
      `const f = async ({ ${name} }: { ${name}: A }) => { await ${name}.b(); };`,
      `f(function ${name}() { ${name}(); });`,
      `function ${name}() {} ${name}();`,
      `class A { constructor(${name}: B) { ${name}; } }`,
      `class ${name} {} new ${name}();`,
      `const a = { f(${name}: B) { ${name}; }, set b(${name}: B) { ${name}; } };`,
      `for (const ${name} of a) ${name};`,
      `for (let ${name} = 0;;) { ${name}; }`,
      `try { a(); } catch (${name}) { ${name}; }`,
      `if (a) { const ${name} = 1; ${name}; }`,
      `interface ${name} { a: ${name} } type A = ${name};`,
      `function f<${name}>(a: ${name}): ${name} {}`,
      `type A = (${name}: B) => ${name} is string;`,
      `type A<B> = B extends (infer ${name})[] ? ${name} : never;`,
      `type A = { [${name} in B]: C<${name}> }; interface D { (${name}: E): void }`,
      `interface A { [${name}: string]: B; c(${name}: D): typeof ${name} }`,
      `declare function f(${name}: A): void;`,
    );
  }
});

Deno.test("pure reports a global outside of the scope that declares its name", () => {
  const path = "core/base/a.ts";
  reports("pure", path, "function f(crypto: A) { return crypto; } crypto;");
  reports("pure", path, "if (a) { const fetch = 1; fetch; } fetch();");
  reports("pure", path, "f(function process() { process(); }); process;");
  reports("pure", path, "type A = (URL: B) => void; new URL(a);");
  reports("pure", path, "for (const Deno of a) Deno; Deno;");
  reports("pure", path, "const { crypto: a } = crypto;");
  reports("pure", path, "[crypto] = a;", "({ a: crypto } = b);");
  assert.deepEqual(marked("pure", path, "Deno.a(fetch, b.crypto, URL);"), ["Deno", "fetch", "URL"]);
});

Deno.test("pure reports the time of day, chance and timers, not the classes beside them", () => {
  const path = "core/trust/a.ts";
  reports("pure", path, "Date.now();", "const clock = Date.now;", `Date["now"]();`, "new Date();");
  reports("pure", path, "new Date;", "Date();", "Math.random();", "AbortSignal.timeout(1);");
  accepts(
    "pure",
    path,
    "new Date(0);",
    "Date.UTC(1);",
    "a instanceof Date;",
    "let_(Math.floor(1));",
  );
  accepts("pure", path, "clock.now();", "function f(Math: A) { Math.random(); }", "Date[now];");
  accepts("pure", path, "function f(signal: AbortSignal) { signal.aborted; }");
});

Deno.test("pure reports every package but the pure ones, in every form", () => {
  const path = "core/trust/a.ts";
  for (const name of ["node:crypto", "node:assert/strict", "zod", "fast-check", "cborgish"]) {
    reports("pure", path, ...forms(name));
  }
  reports("pure", path, ...forms("npm:cborg@6.1.5"), ...forms("https://example.org/cborg"));
  accepts("pure", path, ...forms("cborg"), ...forms("@noble/hashes/sha2.js"), ...forms("./b.ts"));
  accepts("pure", path, ...forms("shamir-secret-sharing"));
  accepts("pure", path, ...forms("@scure/bip39/wordlists/english.js"));
});

Deno.test("pure reports state that a module keeps", () => {
  const path = "core/wire/a.ts";
  reports("pure", path, "let a = 1;", "export let a: number;", "var a = 1;", "export var a;");
  accepts("pure", path, "const a = 1;", "function f() { let a = 1; }", "for (let i = 0;;) i;");
  accepts("pure", path, "{ let a = 1; }", "declare let a: number;", "class A { b = 1; }");
});

Deno.test("pure leaves tests and the other floors alone, but for a test's packages", () => {
  const source = `import { a } from "node:crypto"; Deno.a(); let b = Date.now();`;
  accepts("pure", "core/base/a_test.ts", source, ...forms("fast-check"), ...forms("node:fs"));
  reports("pure", "core/base/a_test.ts", ...forms("zod"));
  accepts("pure", "core/services/a.ts", source, ...forms("zod"));
  accepts("pure", "plugins/fog/a.ts", source);
  accepts("pure", "firmware/lib/a.ts", source);
});

Deno.test("doc-comment asks for prose at the beginning", () => {
  const path = "edge/a.ts";
  accepts("doc-comment", path, "/** What it is. */\nexport {};", "/**\n * What it is.\n */");
  accepts("doc-comment", path, "#!/usr/bin/env -S deno run\n/** What it is. */", "\n/** A. */");
  accepts("doc-comment", path, "/**\n * @module\n * What it is.\n */", "/** 6LoWPAN frames. */");
  reports("doc-comment", path, "", "export {};", "// What it is.", "/* What it is. */");
  reports("doc-comment", path, "/** */\nexport {};", "/***/ const a = 1; /** Late. */");
  reports("doc-comment", path, "/** @jsxImportSource hono/jsx */\nexport {};");
  reports("doc-comment", path, `import "./b.ts";\n/** Late. */\nexport const a = 1;`);
});

Deno.test("no-console leaves the terminal to edge/ and the bench", () => {
  const source = "console.log(1);";
  for (const path of ["core/host/a.ts", "plugins/fog/a.ts", "tests/a_test.ts", "firmware/a.ts"]) {
    reports("no-console", path, source, "const { error } = console;", "f(console);");
    accepts(
      "no-console",
      path,
      "a.console.log(1); // console.log",
      "f((console) => console.log(1));",
    );
  }
  accepts("no-console", "edge/main.ts", source);
  accepts("no-console", "tests/bench/main.ts", source);
});

Deno.test("no-default-export leaves the default to a role's mod.ts", () => {
  const sources = [
    "export default {};",
    "export default function f() {}",
    "export { a as default };",
  ];
  const forwards = [
    `export { default } from "./b.ts";`,
    `export { a as default } from "./b.ts";`,
    `export * as default from "./b.ts";`,
  ];
  for (
    const path of ["core/host/a.ts", "plugins/fog/a.ts", "plugins/fog/x/mod.ts", "edge/mod.ts"]
  ) {
    reports("no-default-export", path, ...sources, ...forwards);
    accepts(
      "no-default-export",
      path,
      "export const a = 1;",
      `export { default as a } from "./b.ts";`,
    );
  }
  accepts("no-default-export", "plugins/fog/mod.ts", ...sources, ...forwards);
  accepts("no-default-export", "tests/lint/a.ts", ...sources);
});

Deno.test("file-length takes 400 lines and no more", () => {
  accepts("file-length", "core/host/a.ts", "a;\n".repeat(400), "a;\n".repeat(399) + "b;");
  const long = "a;\n".repeat(400) + "b;\n";
  reports("file-length", "core/host/a.ts", long);
  const [found] = diagnose("file-length", "core/host/a.ts", long);
  assert.equal(long.slice(found!.range[0]), "b;\n");
});

Deno.test("every rule leaves files outside the floors alone", () => {
  const source = `import "../edge/main.ts"; console.log(Deno); export default 1;\n`.repeat(401);
  for (const path of ["dist/a.ts", "a.ts", "../elsewhere/core/base/a.ts", "corebase/a.ts"]) {
    assert.deepEqual(Deno.lint.runPlugin(house, root + path, source), [], path);
  }
});
