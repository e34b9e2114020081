/**
 * The house's own lint rules: which floor imports which, what a folder keeps to itself, what PURE
 * means, and how a file looks. A rule sees one file at a time; what only the whole tree can show is
 * in tests/layout_test.ts. Deno 2.8.3 shows a rule nothing that follows an empty statement (which
 * `deno fmt` removes) or a hole in an array.
 */
import { posix } from "node:path";
import { pathToFileURL } from "node:url";
import config from "../../deno.json" with { type: "json" };

type Node = Deno.lint.Node;
type Identifier = Deno.lint.Identifier;
type Visitor = Deno.lint.LintVisitor;

const root = new URL("../../", import.meta.url);
const aliases: Record<string, string> = config.imports;
const maxLines = 400;

/** The floors of core from the ground up: an import stays on its floor or points down. */
const storeys = [
  "core/base",
  "core/trust",
  "core/wire",
  "core/services",
  "core/console",
  "core/host",
];
const judged = /^(core|plugins|edge|firmware|tests)\//;
const testFile = /_test\.tsx?$/;
const pureFolder = /^core\/(base|trust|wire)\//;
const purePackage = /^(@noble\/|@scure\/bip39|(cborg|shamir-secret-sharing)(\/|$))/;
const testPackage = /^(node:|fast-check$)/;

/** What is neither ECMAScript 2021 nor TextEncoder, or is not the same twice. */
const impure = new Set([
  ...["Deno", "process", "Buffer", "globalThis", "crypto", "Math.random", "Date.now"],
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "AbortSignal.timeout"],
  ...["console", "URL", "URLSearchParams", "TextDecoder", "performance", "structuredClone"],
  ...["fetch", "localStorage", "atob", "btoa"],
]);

const importArrows = rule((path, ctx) =>
  onImports((specifier, node) => {
    const from = floorOf(path);
    if (specifier === undefined) {
      if (from === "edge" || from === "tests") return;
      const message = "Cannot follow a computed import: the floors are checked by path";
      return ctx.report({ node, message, hint: "write the path as one literal" });
    }
    const target = targetOf(path, specifier);
    if (target === undefined || mayImport(path, target)) return;
    const message = `Cannot import ${target} from ${from}: ${lawOf(from)}`;
    const hint = from.startsWith("plugins/")
      ? "let roles meet on the bus, or move what both need to core"
      : "move what both need to a lower floor, or take it as an argument";
    ctx.report({ node, message, hint });
  })
);

const privateFiles = rule((path, ctx) =>
  onImports((specifier, node) => {
    const target = specifier === undefined ? undefined : targetOf(path, specifier);
    if (target === undefined) return;
    const folder = posix.dirname(target);
    if (posix.basename(target).startsWith("_") && folder !== posix.dirname(path)) {
      const message = `Cannot import ${target}: a file named _name.ts is private to its folder`;
      ctx.report({ node, message, hint: `import what ${folder} exports instead` });
    }
    const room = /^(plugins|core\/(services|host))\/[^/]+(?=\/)/.exec(target)?.[0];
    if (room === undefined || path.startsWith(`${room}/`) || target === `${room}/mod.ts`) return;
    const message = `Cannot import ${target}: ${room} is entered only through its mod.ts`;
    ctx.report({ node, message, hint: `export it from ${room}/mod.ts if others need it` });
  })
);

const pure = rule((path, ctx) => {
  if (!pureFolder.test(path)) return {};
  const floor = floorOf(path);
  const imports = onImports((specifier, node) => {
    if (specifier === undefined || targetOf(path, specifier) !== undefined) return;
    if (purePackage.test(specifier)) return;
    if (testFile.test(path) && testPackage.test(specifier)) return;
    const message = `Cannot import ${specifier}: ${floor} is PURE and runs in XS and browsers too`;
    const hint = "take what it gives as an argument, or use cborg, @noble or shamir-secret-sharing";
    ctx.report({ node, message, hint });
  });
  if (testFile.test(path)) return imports;
  return {
    ...imports,
    ...onGlobals((node) => {
      const name = impurityOf(node);
      if (name === undefined) return;
      const message = `Cannot use ${name}: ${floor} is PURE and runs in XS and browsers too`;
      ctx.report({ node, message, hint: "take it as an argument, as with Clock and Suite" });
    }),
    VariableDeclaration(node) {
      if (node.kind !== "let" && node.kind !== "var" || node.declare || !isTopLevel(node)) return;
      const message = `Cannot keep state in a module: ${floor} is PURE`;
      ctx.report({ node, message, hint: "use const, or move the state into a function or class" });
    },
  };
});

const docComment = rule((_path, ctx) => ({
  Program() {
    const text = ctx.sourceCode.text.replace(/^#!.*\n/, "");
    const lines = /^\s*\/\*\*([\s\S]*?)\*\//.exec(text)?.[1]?.split("\n") ?? [];
    // A line that begins with a tag is for a compiler (@jsxImportSource), not for a reader.
    if (lines.some((line) => /^[\s*]*[^\s*@]/.test(line))) return;
    const message = "Cannot tell what the file is for: it does not begin with a doc comment";
    ctx.report({ range: [0, 0], message, hint: "begin it with /** what it is, and why it is */" });
  },
}));

const noConsole = rule((path, ctx) => {
  if (/^(edge|tests\/bench)\//.test(path)) return {};
  return onGlobals((node) => {
    if (node.name !== "console") return;
    const message = "Cannot use the console outside edge/: a service does not own the terminal";
    ctx.report({ node, message, hint: "write to the role's or the service's log" });
  });
});

const noDefaultExport = rule((path, ctx) => {
  if (/^(plugins\/[^/]+\/mod\.ts$|tests\/lint\/)/.test(path)) return {};
  const report = (range: Deno.lint.Range) => {
    const message = "Cannot export by default: only the mod.ts of a role does";
    ctx.report({ range, message, hint: "export it by its name" });
  };
  return {
    ExportDefaultDeclaration: ({ range: [start] }) =>
      report([start, start + "export default".length]),
    ExportAllDeclaration({ exported, range }) {
      if (exported?.name === "default") report(range);
    },
    ExportSpecifier({ exported, range }) {
      const name = exported.type === "Identifier" ? exported.name : exported.value;
      if (name === "default") report(range);
    },
  };
});

const fileLength = rule((_path, ctx) => ({
  Program() {
    const lines = ctx.sourceCode.text.trimEnd().split("\n");
    if (lines.length <= maxLines) return;
    const start = lines.slice(0, maxLines).join("\n").length + 1;
    const message = `Cannot take a file of ${lines.length} lines: ${maxLines} is the most`;
    ctx.report({ range: [start, start], message, hint: "give its second concept its own file" });
  },
}));

export default {
  name: "edgeward",
  rules: {
    "import-arrows": importArrows,
    "private-files": privateFiles,
    "pure": pure,
    "doc-comment": docComment,
    "no-console": noConsole,
    "no-default-export": noDefaultExport,
    "file-length": fileLength,
  },
} satisfies Deno.lint.Plugin;

/** A rule that judges the files of the floors by their path in the repository. */
function rule(visit: (path: string, ctx: Deno.lint.RuleContext) => Visitor): Deno.lint.Rule {
  return {
    create(ctx) {
      const path = pathOf(pathToFileURL(ctx.filename));
      return path !== undefined && judged.test(path) ? visit(path, ctx) : {};
    },
  };
}

function pathOf(url: URL): string | undefined {
  if (!url.href.startsWith(root.href)) return undefined;
  return decodeURIComponent(url.pathname.slice(root.pathname.length));
}

/** `core/<floor>`, `plugins/<role>`, or the folder at the root of the repository. */
function floorOf(path: string): string {
  return /^(core|plugins)\/[^/]+(?=\/)|^[^/]*/.exec(path)?.[0] ?? "";
}

/** The file of the repository that a specifier leads to; undefined for a package. */
function targetOf(path: string, specifier: string): string | undefined {
  const alias = aliases[specifier];
  const local = alias ?? specifier;
  if (!/^(\.{0,2}\/|file:)/.test(local)) return undefined;
  const url = new URL(local, alias === undefined ? new URL(path, root) : root);
  return pathOf(url) ?? url.href;
}

function mayImport(path: string, target: string): boolean {
  const from = floorOf(path);
  const to = floorOf(target);
  if (from === to || from === "tests") return true;
  if (from === "edge") return to !== "tests";
  const storey = storeys.indexOf(to);
  if (storey < 0) return false;
  if (from.startsWith("plugins/") || testFile.test(path)) return true;
  return storey <= storeys.indexOf(from === "firmware" ? "core/wire" : from);
}

function lawOf(floor: string): string {
  if (floor === "edge") return "nothing imports tests";
  if (floor === "firmware") return "firmware imports core/trust, core/wire and core/base only";
  if (floor.startsWith("plugins/")) return "a role imports core and its own folder only";
  return "imports only point down the floors";
}

/** Visits each import, whatever its form; the specifier is undefined when it is computed. */
function onImports(visit: (specifier: string | undefined, node: Node) => void): Visitor {
  return {
    ImportDeclaration: ({ source }) => visit(source.value, source),
    ExportAllDeclaration: ({ source }) => visit(source.value, source),
    ExportNamedDeclaration({ source }) {
      if (source !== null) visit(source.value, source);
    },
    ImportExpression: ({ source }) => visit(textOf(source), source),
    TSImportType({ argument }) {
      if (argument.type === "TSLiteralType") visit(textOf(argument.literal), argument);
    },
  };
}

/** The text of a string literal, or of a template without holes. */
function textOf(node: Node): string | undefined {
  if (node.type === "Literal" && typeof node.value === "string") return node.value;
  if (node.type === "TemplateLiteral" && node.expressions.length === 0) {
    return node.quasis[0]?.cooked;
  }
  return undefined;
}

/**
 * What a node is to its parent: it declares a name there, it is a part of a pattern whose own place
 * decides, or it only labels something. In every other place an identifier refers to a name.
 */
type Slot = "declares" | "pattern" | "label";

const slots: Record<string, Record<string, Slot>> = {
  ArrayPattern: { elements: "pattern" },
  AssignmentPattern: { left: "pattern" },
  ObjectPattern: { properties: "pattern" },
  Property: { key: "label", value: "pattern" },
  RestElement: { argument: "pattern" },
  TSParameterProperty: { parameter: "pattern" },

  ArrowFunctionExpression: { params: "declares" },
  CatchClause: { param: "declares" },
  ClassDeclaration: { id: "declares" },
  ClassExpression: { id: "declares" },
  FunctionDeclaration: { id: "declares", params: "declares" },
  FunctionExpression: { id: "declares", params: "declares" },
  ImportDefaultSpecifier: { local: "declares" },
  ImportNamespaceSpecifier: { local: "declares" },
  ImportSpecifier: { local: "declares", imported: "label" },
  TSCallSignatureDeclaration: { params: "declares" },
  TSConstructSignatureDeclaration: { params: "declares" },
  TSConstructorType: { params: "declares" },
  TSDeclareFunction: { id: "declares", params: "declares" },
  TSEmptyBodyFunctionExpression: { params: "declares" },
  TSEnumDeclaration: { id: "declares" },
  TSFunctionType: { params: "declares" },
  TSIndexSignature: { parameters: "declares" },
  TSInterfaceDeclaration: { id: "declares" },
  TSMappedType: { key: "declares" },
  TSMethodSignature: { key: "label", params: "declares" },
  TSModuleDeclaration: { id: "declares" },
  TSTypeAliasDeclaration: { id: "declares" },
  TSTypeParameter: { name: "declares" },
  VariableDeclarator: { id: "declares" },

  AccessorProperty: { key: "label" },
  BreakStatement: { label: "label" },
  ContinueStatement: { label: "label" },
  ExportAllDeclaration: { exported: "label" },
  ExportSpecifier: { exported: "label" },
  ImportAttribute: { key: "label" },
  LabeledStatement: { label: "label" },
  MemberExpression: { property: "label" },
  MetaProperty: { meta: "label", property: "label" },
  MethodDefinition: { key: "label" },
  PropertyDefinition: { key: "label" },
  TSAbstractMethodDefinition: { key: "label" },
  TSAbstractPropertyDefinition: { key: "label" },
  TSEnumMember: { id: "label" },
  TSImportType: { qualifier: "label" },
  TSNamedTupleMember: { label: "label" },
  TSPropertySignature: { key: "label" },
  TSQualifiedName: { right: "label" },
};

/** Nodes that a name can be local to. */
const scopes = new RegExp([
  "^Program$|Block|Function|Signature|^For|^SwitchStatement$|^CatchClause$",
  "^Class(Declaration|Expression)$|^TS(Interface|TypeAlias)Declaration$",
  "^TS(Conditional|Constructor|Mapped)Type$",
].join("|"));

/** Visits each identifier that refers to a name which no scope of the file declares. */
function onGlobals(visit: (node: Identifier) => void): Visitor {
  const declared = new Map<Node | null, Set<string>>();
  const references: Identifier[] = [];

  function isDeclared({ name, parent }: Identifier): boolean {
    for (let scope: Node | null = parent; scope !== null; scope = parentOf(scope)) {
      if (declared.get(scope)?.has(name)) return true;
    }
    return false;
  }

  return {
    Identifier(node) {
      let part: Node = node;
      while (slotOf(part) === "pattern") part = parentOf(part)!;
      const slot = slotOf(part);
      if (slot === undefined) references.push(node);
      if (slot !== "declares") return;
      const scope = scopeOf(part);
      declared.set(scope, (declared.get(scope) ?? new Set()).add(node.name));
    },
    // Names are hoisted: references are judged once every declaration has been seen.
    "Program:exit"() {
      for (const node of references) if (!isDeclared(node)) visit(node);
    },
  };
}

function slotOf(node: Node): Slot | undefined {
  const parent = parentOf(node);
  if (parent === null || isComputedKey(node, parent)) return undefined;
  if (parent.type === "ExportSpecifier" && parent.parent.source !== null) return "label";
  const children = parent as unknown as Record<string, unknown>;
  for (const [key, slot] of Object.entries(slots[parent.type] ?? {})) {
    const child = children[key];
    if (child === node || Array.isArray(child) && child.includes(node)) return slot;
  }
  return undefined;
}

function isComputedKey(node: Node, parent: Node): boolean {
  if (!("computed" in parent) || parent.computed !== true) return false;
  return "key" in parent && parent.key === node || "property" in parent && parent.property === node;
}

/** A declaration's own name belongs to the scope around it; all else it declares is inside. */
function scopeOf(part: Node): Node | null {
  let scope = parentOf(part);
  const named = scope as { id?: unknown; type: string };
  if (named.id === part && !named.type.endsWith("Expression")) scope = parentOf(scope!);
  while (scope !== null && !scopes.test(scope.type)) scope = parentOf(scope);
  return scope;
}

function parentOf(node: Node): Node | null {
  return (node as { parent?: Node | null }).parent ?? null;
}

function isTopLevel(node: Deno.lint.VariableDeclaration): boolean {
  const { parent } = node;
  return (parent.type === "ExportNamedDeclaration" ? parent.parent : parent).type === "Program";
}

/** How the source names an impure global that the identifier refers to, if it is one. */
function impurityOf(node: Identifier): string | undefined {
  const { name, parent } = node;
  if (impure.has(name)) return name;
  if (parent.type === "MemberExpression" && parent.object === node) {
    const { computed, property } = parent;
    const key = !computed && property.type === "Identifier" ? property.name : textOf(property);
    return impure.has(`${name}.${key}`) ? `${name}.${key}` : undefined;
  }
  if (name !== "Date") return undefined;
  if (parent.type === "CallExpression" && parent.callee === node) return "Date()";
  if (parent.type !== "NewExpression" || parent.arguments.length > 0) return undefined;
  return "new Date() without a time";
}
