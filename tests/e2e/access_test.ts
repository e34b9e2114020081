/**
 * Who may do what over HTTP at a real site: nothing without a token, then by the token's role, and
 * nothing any more once it is revoked. A token is in the answer that makes it and nowhere else.
 */
import { createClient } from "@libsql/client";
import assert from "node:assert/strict";
import { join } from "node:path";
import { HostProcess } from "./_host_process.ts";
import { temporaryFolder } from "./program.ts";

/** As chatty as can be, for a secret to slip into. */
const tables = `log.level = "debug"\n[plugins.cloud-summary]\n`;
const roles = ["viewer", "operator", "admin"] as const;
type Role = typeof roles[number];

Deno.test("summaries are for viewers, unless they are public", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, tables);
  const { token } = await newToken(site, "viewer");
  for (const path of ["/summary", "/cloud-summary/windows"]) {
    assert.deepEqual(await ask(site, path), [401, "token_required"]);
    assert.deepEqual(await ask(site, path, { token: `${token}x` }), [401, "token_invalid"]);
    assert.deepEqual(await ask(site, path, { token }), [200, undefined]);
  }
  await site.configure(`${tables}public_summary = true`);
  site.signal("SIGHUP");
  await site.says("configuration reloaded");
  assert.deepEqual(await ask(site, "/summary"), [200, undefined]);
  assert.deepEqual(await ask(site, "/site/peers"), [401, "token_required"]);
});

Deno.test("viewers look, operators decide, admins configure, over HTTP", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, tables);
  const tokens = Object.fromEntries(
    await Promise.all(roles.map(async (role) => [role, (await newToken(site, role)).token])),
  ) as Record<Role, string>;
  let count = 0;
  const peer = { kind: "fog", ttl: 60_000 };
  // each with what it answers when it is let through: whom it is about need not be there
  const routes: [Role, string, string, () => unknown, number][] = [
    ["viewer", "GET", "/site/peers", () => undefined, 200],
    ["viewer", "GET", "/site/peers/fog/f", () => undefined, 200],
    ["operator", "POST", "/site/peers/fog/f/approve", () => ({ words: "a b c d e f" }), 404],
    ["operator", "POST", "/site/peers/fog/f/revoke", () => ({}), 404],
    ["operator", "POST", "/site/peers/fog/f/replace", () => ({ words: "a b c d e f" }), 404],
    ["operator", "DELETE", "/site/peers/fog/f", () => undefined, 404],
    ["admin", "POST", "/site/enrol", () => ({ ...peer, id: `f-${++count}` }), 201],
    ["admin", "GET", "/site/tokens", () => undefined, 200],
    ["admin", "POST", "/site/tokens", () => ({ role: "viewer" }), 201],
    ["admin", "DELETE", "/site/tokens/nobody", () => undefined, 404],
  ];
  for (const [need, method, path, body, status] of routes) {
    const name = `${method} ${path}`;
    assert.deepEqual(
      await ask(site, path, { method, body: body() }),
      [401, "token_required"],
      name,
    );
    for (const role of roles) {
      const [answered, code] = await ask(site, path, { method, body: body(), token: tokens[role] });
      if (roles.indexOf(role) >= roles.indexOf(need)) assert.equal(answered, status, name);
      else assert.deepEqual([answered, code], [403, "role_too_low"], `${role}: ${name}`);
    }
  }
  // one whole decision: an admin enrols, an operator revokes, a viewer sees it
  const whole = { ...peer, id: "f-9" };
  await ask(site, "/site/enrol", { method: "POST", body: whole, token: tokens.admin });
  const revoke = "/site/peers/fog/f-9/revoke";
  assert.deepEqual(await ask(site, revoke, { method: "POST", body: {}, token: tokens.operator }), [
    ...[200, undefined],
  ]);
  const seen = await fetch(`${site.url}/site/peers/fog/f-9`, bearer(tokens.viewer));
  assert.deepEqual((await seen.json()).peers.map((one: { state: string }) => one.state), [
    "revoked",
  ]);
});

Deno.test("a token that is revoked or expired opens nothing at once, and the audit has it", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, tables);
  const admin = await newToken(site, "admin", "--note", "the console");
  const viewer = await newToken(site, "viewer");
  assert.deepEqual(await ask(site, "/summary", viewer), [200, undefined]);
  assert.equal((await site.operate(["admin", "token", "revoke", viewer.id])).code, 0);
  assert.deepEqual(await ask(site, "/summary", viewer), [401, "token_invalid"]);
  const brief = await newToken(site, "viewer", "--ttl", "1ms");
  assert.deepEqual(await ask(site, "/summary", brief), [401, "token_invalid"]);
  // an admin revokes itself, and that is that
  const gone = await ask(site, `/site/tokens/${admin.id}`, { method: "DELETE", ...admin });
  assert.deepEqual(gone, [200, undefined]);
  assert.deepEqual(await ask(site, "/site/tokens", admin), [401, "token_invalid"]);

  const { stdout } = await site.operate(["admin", "token", "list", "--json"]);
  const listed = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(
    listed.map(({ id, role, note, revoked }) => [id, role, note, revoked !== null]).sort(),
    [
      [admin.id, "admin", "the console", true],
      [viewer.id, "viewer", "", true],
      [brief.id, "viewer", "", false],
    ].sort(),
  );
  const table = await site.operate(["admin", "token", "list"]);
  assert.match(table.stdout, /^TOKEN +ROLE +STATE +NOTE$/m);
  assert.match(table.stdout, RegExp(`^${admin.id} +admin +revoked .* ago +the console$`, "m"));
  assert.match(table.stdout, RegExp(`^${brief.id} +viewer +expired .* ago$`, "m"));

  const route = "GET /summary";
  assert.deepEqual(await audited(site, "admin.refused"), [
    ["nobody", { reason: "token_invalid", needed: "viewer", route }],
    ["nobody", { reason: "token_invalid", needed: "viewer", route }],
    ["nobody", { reason: "token_invalid", needed: "admin", route: "GET /site/tokens" }],
  ]);
  assert.deepEqual((await audited(site, "token.revoked")).map(([actor]) => actor), [
    ...["site", `token:${admin.id}`],
  ]);
});

Deno.test("a token is in no file of the site, and in no line of its log", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, tables);
  const made = await Promise.all(roles.map((role) => newToken(site, role)));
  for (const one of made) await ask(site, "/site/tokens", one);
  await ask(site, `/site/tokens?token=${made[0]!.token}`);
  await ask(site, `/cloud-summary/${made[0]!.token}`);
  const secrets = made.map(({ token }) => token.slice("edgeward_12345678_".length));
  const search = async () => {
    const log = site.written.join("\n");
    let found = "";
    for (const { name, isFile } of Deno.readDirSync(site.dataDir)) {
      if (!isFile) continue;
      found += new TextDecoder("latin1").decode(await Deno.readFile(join(site.dataDir, name)));
    }
    assert.ok(found.includes("token.added"), "the search finds nothing at all");
    assert.match(log, /an API request was refused/);
    for (const secret of secrets) assert.ok(!(log + found).includes(secret));
  };
  await search();
  await site.stop();
  await search();
});

Deno.test("edgeward admin token shows a token once, and says what is wrong", async () => {
  await using folder = await temporaryFolder();
  await using site = await HostProcess.start(folder.path, tables);
  const add = ["admin", "token", "add"];
  const added = await site.operate([...add, "--role", "viewer", "--ttl", "90d"]);
  assert.equal(added.code, 0);
  assert.match(added.stdout, /^id {5}([\w-]{8})\ntoken {2}edgeward_\1_[\w-]{43}\n$/);
  assert.match(added.stderr, /^edgeward: the token is shown this once/);
  const cases: [string[], number, RegExp][] = [
    [add, 2, /required option '--role <role>'/],
    [[...add, "--role", "boss"], 2, /Allowed choices are viewer, operator, admin/],
    [[...add, "--role", "viewer", "--ttl", "soon"], 2, /a duration such as "24h"/],
    [[...add, "--role", "viewer", "--ttl", "9999d"], 2, /ten years at most/],
    [[...add, "--role", "viewer", "--note", "a\nb"], 2, /Cannot take the note/],
    [["admin", "token", "revoke", "nobody12"], 3, /there is none of this id/],
    [["admin", "token", "revoke", "-nobody1"], 3, /there is none of this id/],
  ];
  for (const [args, code, error] of cases) {
    const outcome = await site.operate(args);
    assert.deepEqual([outcome.code, outcome.stdout], [code, ""], args.join(" "));
    assert.match(outcome.stderr, error);
  }
});

interface MadeToken {
  readonly id: string;
  readonly token: string;
}

/** Made by the operator of the machine, over the unix socket, which asks for no token. */
async function newToken(site: HostProcess, role: Role, ...more: string[]): Promise<MadeToken> {
  const args = ["admin", "token", "add", "--role", role, ...more, "--json"];
  const { code, stdout, stderr } = await site.operate(args);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** The status and the code of the problem of an answer. */
async function ask(
  site: HostProcess,
  path: string,
  { method = "GET", body, token }: { method?: string; body?: unknown; token?: string } = {},
): Promise<[status: number, code: string | undefined]> {
  const response = await fetch(`${site.url}${path}`, {
    ...(token !== undefined && bearer(token)),
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return [response.status, text === "" ? undefined : JSON.parse(text).code];
}

function bearer(token: string): RequestInit {
  return { headers: { authorization: `Bearer ${token}` } };
}

/** Who did it, and what it was, of the entries of this type. */
async function audited(site: HostProcess, type: string): Promise<[string, unknown][]> {
  const client = createClient({ url: `file:${join(site.dataDir, "edgeward.db")}` });
  try {
    const sql = "SELECT actor, detail FROM audit WHERE type = ? ORDER BY id";
    const { rows } = await client.execute({ sql, args: [type] });
    return rows.map(({ actor, detail }) => {
      const { unrecorded: _, ...rest } = JSON.parse(String(detail));
      return [String(actor), rest];
    });
  } finally {
    client.close();
  }
}
